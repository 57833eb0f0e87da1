"""Handing a job to the scheduler: once, looked up before that is ever repeated, and again if it died of its surroundings.

A further attempt is claimed by making a directory, ``marks/attempt-<n>``: of several agents that see a job die, one submits
it again. What runs counts for itself (``runs.py``), whoever had it begin.
"""

import contextlib
import os
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from .paths import JobPaths, write_aside
from .runs import count_runs, most_runs, policy_of, resources_of, script_of
from .schedulers import JobState, SchedulerError, SchedulerUnavailableError, SchedulerUnreachableError, scheduler

__all__ = [
    "Again",
    "UndecidedError",
    "again",
    "as_often_as_allowed",
    "asking_for",
    "find_scheduler_id",
    "how_it_died",
    "is_worth_it",
    "job_name",
    "known_scheduler_id",
    "submit",
]

# How a job dies through no fault of its own, in words; None is one that the scheduler has lost.
SURROUNDINGS = {
    "NODE_FAIL": "lost its compute node",
    "PREEMPTED": "had to make room for another job",
    None: "was lost by the scheduler",
}
# What is asked for more of, if the policy says so, by the state of a job that had too little.
GROWING = {"OUT_OF_MEMORY": "memory", "TIMEOUT": "time"}
LOOK_UP_PAUSES = (1.0, 3.0, 8.0)  # seconds before each question whether a submission was queued without an answer
PAUSE = 10.0  # seconds before a scheduler that can't be reached is handed a job again
CLAIM_LASTS = 300.0  # seconds after which nobody can still be handing in an attempt


class UndecidedError(Exception):
    """The scheduler does not answer, so whether a job was submitted can't be told now."""


class Again(NamedTuple):
    """What became of a job that died: ``scheduler_id`` is the number of its next attempt; without one it waits for that, or is dead.

    ``words`` tell the user.
    """

    scheduler_id: Optional[str] = None
    is_waiting: bool = False
    words: str = ""


def job_name(job_id: str, attempt: int) -> str:
    """The scheduler's name for an attempt: an id has 14 characters, and the 15 that any scheduler takes leave one more."""
    return job_id + str(attempt) if attempt else job_id


def known_scheduler_id(job: JobPaths) -> Optional[str]:
    """The number of the last attempt whose number was noted, or None."""
    for attempt in range(_last_attempt(job), -1, -1):
        with contextlib.suppress(FileNotFoundError), open(_note(job, attempt), encoding="ascii") as stream:
            return stream.read().strip()
    return None


def find_scheduler_id(job: JobPaths, job_id: str, scheduler_name: str) -> Optional[str]:
    """The number of the last attempt: as it was noted, else as the scheduler knows it by its name, else None.

    An agent that was killed between a submission and its note of the number left a job that only its name still finds.
    """
    attempt = _last_attempt(job)
    if not os.path.exists(_note(job, attempt)):
        found = scheduler(scheduler_name).find(job_name(job_id, attempt))
        if found:
            with contextlib.suppress(OSError):  # it can be looked up again
                write_aside(_note(job, attempt), str(found).encode("ascii"))
            return str(found)
    return known_scheduler_id(job)


def submit(
    job: JobPaths,
    job_id: str,
    spec: Dict[str, Any],
    hand_in: Callable[[], str],
    *,
    attempt: int = 0,
    tries: int = 1,
    report: Callable[[str], object] = lambda _: None,
) -> str:
    """Hand an attempt to the scheduler by ``hand_in()``, ``tries`` times while it can't be reached, and note its number.

    What was not answered is looked up by its name, never repeated blindly.

    :raises UndecidedError: neither it nor the questions after it were answered
    :raises SchedulerError: it was refused, or not queued
    """
    module = scheduler(spec["scheduler"])
    for left in range(tries - 1, -1, -1):
        try:
            scheduler_id = hand_in()
            break
        except SchedulerUnreachableError as error:
            if not left:
                raise
            report(
                "the scheduler can't be reached (%s); trying again in %d s, %d tries are left" % (error, PAUSE, left)
            )
            time.sleep(PAUSE)
        except SchedulerUnavailableError as error:
            scheduler_id = _look_up(module, job_name(job_id, attempt), error)
            break
    try:
        write_aside(_note(job, attempt), scheduler_id.encode("ascii"))
    except OSError:
        # Whoever asks for it later must find the job, or there must be none.
        module.cancel([scheduler_id])
        raise
    return scheduler_id


def again(job: JobPaths, job_id: str, spec: Dict[str, Any], scheduler_id: str, died: Optional[JobState]) -> Again:
    """Submit the job that died as ``scheduler_id`` once more, if its retries and their policy say so."""
    if not is_worth_it(spec, died):
        return Again()
    # In this order another agent that is faster is seen, at whatever it is: what it has claimed may count here, and is then either
    # without a number or known by it.
    attempt = max(_last_attempt(job) + 1, count_runs(job))
    if _is_being_submitted(job):
        return Again(is_waiting=True)
    known = known_scheduler_id(job)
    if known is not None and known != scheduler_id:
        return Again(known)
    if attempt >= most_runs(spec):
        return Again(words=as_often_as_allowed(spec))
    claim = _claim(job, attempt)
    try:
        os.mkdir(claim, 0o700)
    except FileExistsError:
        return Again(is_waiting=True)
    _clear_for_another(job, job_id, spec, attempt)
    try:
        path = script_of(job, attempt)
        number = submit(job, job_id, spec, lambda: str(scheduler(spec["scheduler"]).submit(path)), attempt=attempt)
    except UndecidedError:
        return Again(is_waiting=True)
    except SchedulerUnreachableError:
        os.rmdir(claim)
        return Again(is_waiting=True)
    except (SchedulerError, OSError) as error:
        return Again(words="submitting it again%s failed: %s" % (asking_for(spec, attempt), error))
    return Again(
        number,
        words="job %s %s; attempt %d of %d is queued as %s%s"
        % (job_id, how_it_died(died), attempt + 1, most_runs(spec), number, asking_for(spec, attempt)),
    )


def is_worth_it(spec: Dict[str, Any], died: Optional[JobState]) -> bool:
    """Whether what ended so is begun again, as long as it may."""
    if most_runs(spec) == 1:
        return False
    state = died.state if died else None
    return state in SURROUNDINGS or GROWING.get(state or "") in policy_of(spec)


def how_it_died(died: Optional[JobState]) -> str:
    """Why it is begun again, in words."""
    return SURROUNDINGS.get(died.state if died else None) or "had too little %s" % GROWING[died.state if died else ""]


def as_often_as_allowed(spec: Dict[str, Any]) -> str:
    """Why it is not begun again, in words."""
    return "it was begun %d times, as often as retries= allows" % most_runs(spec)


def asking_for(spec: Dict[str, Any], attempt: int) -> str:
    """What an attempt asks for more of, in words; empty if the policy grows nothing."""
    policy, resources = policy_of(spec), resources_of(spec, attempt)
    words = {"memory": "memory=%dMB" % resources["memory_mb"], "time": "time=%d s" % resources["time_seconds"]}
    return " with " + " and ".join(words[word] for word in sorted(policy)) if policy else ""


def _look_up(module: Any, name: str, unanswered: SchedulerUnavailableError) -> str:
    """The number of a job whose submission was not answered; it may be queued all the same, and a little later."""
    answers = 0
    for pause in LOOK_UP_PAUSES:
        time.sleep(pause)
        try:
            found = module.find(name)
        except SchedulerUnavailableError:
            continue
        if found is not None:
            return str(found)
        answers += 1
    if answers >= 2:
        raise SchedulerError(
            "%s; the scheduler knows no job %s, so nothing was queued: call again" % (unanswered, name)
        )
    raise UndecidedError("%s. Neither did it answer whether a job %s was queued" % (unanswered, name))


def _clear_for_another(job: JobPaths, job_id: str, spec: Dict[str, Any], attempt: int) -> None:
    """What the dead attempt left would be taken for the next one's."""
    for stream in ("stdout", "stderr"):
        with contextlib.suppress(OSError):
            os.rename(job.file("log", stream), job.file("log", "%s-%d" % (stream, attempt - 1)))
    for mark in (os.path.join(spec["done_dir"], job_id + ".exit"), job.step):
        with contextlib.suppress(OSError):
            os.unlink(mark)


def _is_being_submitted(job: JobPaths) -> bool:
    attempt = _last_attempt(job)
    if not attempt or os.path.exists(_note(job, attempt)):
        return False
    with contextlib.suppress(OSError):
        return time.time() - os.stat(_claim(job, attempt)).st_mtime < CLAIM_LASTS
    return False


def _last_attempt(job: JobPaths) -> int:
    """The number of the last attempt that was claimed; the first, 0, needs no claim. Runs that a scheduler requeued may leave gaps."""
    try:
        names = os.listdir(job.file("marks"))
    except FileNotFoundError:
        return 0
    return max([int(name[len("attempt-") :]) for name in names if name.startswith("attempt-")] or [0])


def _claim(job: JobPaths, attempt: int) -> str:
    return job.file("marks", "attempt-%d" % attempt)


def _note(job: JobPaths, attempt: int) -> str:
    return "%s-%d" % (job.scheduler_id, attempt) if attempt else job.scheduler_id
