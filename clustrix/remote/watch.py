"""Sees that jobs end: from the marks they leave, else from the scheduler, which is asked rarely and about all at once."""

import os
import threading
import time
import traceback
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Union

from . import attempts, jobs
from .arrays import Array, News, Notice
from .paths import StatePaths, look_again
from .schedulers import JobState, SchedulerError, scheduler, signal_in
from .turns import Queued, Turns

__all__ = ["Began", "Ended", "News", "Notice", "Queued", "Watch", "array_state", "job_state"]

ASK_FIRST, ASK_LAST = 2.0, 15.0  # seconds between questions to the scheduler, at first and at most
SHORTEST_LOOK, LONGEST_LOOK = 0.01, 0.5  # seconds between looks at the directory of marks
FORCE_EVERY = 1.0  # seconds between two forced looks
ASK_SUSPECT, ASK_SUSPECT_LAST = 0.1, 5.0  # seconds, of a job that has marked its exit: the scheduler is not that quick
# A job that the scheduler calls COMPLETED has written its result; only a slow shared file system can hide it. So may one that the
# scheduler does not know any more, if it did not mark that it failed.
GRACE_COMPLETED, GRACE_DEAD = 90.0, 2.0
SILENCE = 60.0  # seconds without an answer of the scheduler after which the user is told


class Began(NamedTuple):
    """The job is at its function, or about to be."""

    job_id: str


class Ended(NamedTuple):
    """How a job ended: with ``result`` (sealed bytes), or dead with ``state``; and the end of what it wrote.

    ``step`` is the module or command that it was at, if it never came to its function; ``again`` says why it was not begun
    again, where that was asked for.
    """

    job_id: str
    scheduler_id: str
    result: Optional[bytes]
    state: Optional[JobState]
    stdout: str
    stderr: str
    step: str
    again: str


class _Watched:
    def __init__(
        self, client: str, scheduler_name: str, scheduler_id: str, array: Optional[Array], pause: Optional[float]
    ) -> None:
        self.array = array
        self.pause = pause
        self.client = client
        self.scheduler_name = scheduler_name
        self.scheduler_id = scheduler_id
        self.dead_since: Optional[float] = None
        self.is_suspicious = False
        self.has_begun = False
        self.suspect_pause = ASK_SUSPECT
        self.shows_turn = False
        self.held = ""
        self.is_held_told = False

    def scheduler_ids(self) -> List[str]:
        if self.array is not None:
            return self.array.living
        return [self.scheduler_id] if self.scheduler_id else []


class Watch:
    """Watches jobs in a thread of its own and calls ``tell(Began)`` and ``tell(Ended)`` once for each; for a map, ``tell(News)`` until all its tasks have ended.

    What a user should know meanwhile is a ``Notice``; of a job whose ``shows_turn`` is set in its spec, ``Queued`` says when it may start.
    """

    def __init__(self, state: StatePaths, tell: Callable[[Union[Began, Ended, News, Notice, Queued]], None]) -> None:
        self._state = state
        self._tell = tell
        self._turns = Turns(tell)
        self._silent_since: Dict[str, float] = {}
        self._changed = threading.Condition()
        self._jobs: Dict[str, _Watched] = {}
        self._added = 0.0
        self._next_question = 0.0
        self._pause = ASK_FIRST
        self._forced = 0.0
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def add(self, job_id: str, client: str, scheduler_name: str, scheduler_id: str) -> None:
        """Watch one more job."""
        spec = jobs.read_spec(self._state, job_id) or {}
        array = Array(self._state, spec, scheduler_id, self._tell) if "tasks" in spec else None
        pause = spec.get("poll_interval")
        with self._changed:
            self._added = time.time()
            self._pause = ASK_FIRST
            soon = self._added + (pause or ASK_FIRST)
            # A client that submits all the time must not put off the question about the jobs it has.
            self._next_question = min(self._next_question, soon) if self._jobs else soon
            self._jobs[job_id] = _Watched(client, scheduler_name, scheduler_id, array, pause)
            self._jobs[job_id].shows_turn = spec.get("shows_turn", False)
            self._changed.notify()

    def forget(self, job_id: str) -> None:
        """Nobody waits for this job any more."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.array is not None:
                job.array.stop()
                del self._jobs[job_id]

    def is_watched(self, job_id: str) -> bool:
        """Whether its end is still awaited."""
        return job_id in self._jobs

    def ask_now(self) -> None:
        """Ask the scheduler at the next look: something happened that changes states, such as a cancel."""
        with self._changed:
            self._next_question, self._pause = 0.0, ASK_FIRST
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    self._changed.wait()
                self._changed.wait(min(LONGEST_LOOK, max(SHORTEST_LOOK, (time.time() - self._added) / 50)))
                watched = dict(self._jobs)
            try:
                self._look(watched)
            except Exception:  # noqa: BLE001 - nothing may end the watch over all jobs; the agent's log has it
                traceback.print_exc()
                time.sleep(LONGEST_LOOK)

    def _look(self, watched: Dict[str, _Watched]) -> None:
        marks = {client: self._marks(client) for client in {job.client for job in watched.values()}}
        for job_id, job in list(watched.items()):
            names = marks[job.client]
            if job_id + ".began" in names and not job.has_begun:
                job.has_begun = True
                self._tell(Began(job_id))
            if job.array is not None:
                self._look_at_array(job_id, job.array, names)
            elif job_id + ".done" in names and self._finish(job_id):
                del watched[job_id]
            elif job_id + ".exit" in names and not job.is_suspicious:
                job.is_suspicious = True
                self.ask_now()
        if watched and time.time() >= self._next_question:
            self._ask(watched)

    def _look_at_array(self, job_id: str, array: Array, marks: Set[str]) -> None:
        if array.look(marks):
            self.ask_now()
        if array.is_over:
            with self._changed:
                self._jobs.pop(job_id, None)

    def _marks(self, client: str) -> Set[str]:
        directory = self._state.done(client)
        if time.time() - self._forced > FORCE_EVERY:
            self._forced = time.time()
            look_again(directory)
        try:
            return set(os.listdir(directory))
        except OSError:
            return set()

    def _finish(self, job_id: str) -> bool:
        """Deliver the result; False when its file can't be seen yet."""
        try:
            with open(self._state.job(job_id).result, "rb") as stream:
                result = stream.read()
        except OSError:
            return False
        self._end(job_id, result, None)
        return True

    def _ask(self, watched: Dict[str, _Watched]) -> None:
        self._pause = min(ASK_LAST, self._pause * 1.5)
        # Those who said how often are asked about that often, the others with them.
        self._next_question = time.time() + min(job.pause or self._pause for job in watched.values())
        for name in {job.scheduler_name for job in watched.values()}:
            mine = {job_id: job for job_id, job in watched.items() if job.scheduler_name == name}
            try:
                ids = [scheduler_id for job in mine.values() for scheduler_id in job.scheduler_ids()]
                states = scheduler(name).states(ids) if ids else {}
                for job_id, job in mine.items():
                    if job.array is not None:
                        self._next_question = min(self._next_question, time.time() + job.array.judge(states))
                        self._look_at_array(job_id, job.array, set())
                        continue
                    self._judge(job_id, job, states.get(job.scheduler_id))
                self._turns.look(name, _waiting(mine, states))
            except SchedulerError as error:
                # It does not answer now; the jobs go on without it, and the next question is not far.
                self._note_silence(name, mine, error)
            else:
                self._silent_since.pop(name, None)

    def _note_silence(self, name: str, mine: Iterable[str], error: SchedulerError) -> None:
        since = self._silent_since.setdefault(name, time.time())
        if 0 < since < time.time() - SILENCE:
            self._silent_since[name] = 0.0  # told
            for job_id in mine:
                words = "the scheduler has not answered for %d s (%s). Jobs that run go on, their results are noticed without it, and it is asked again and again"
                self._tell(Notice(job_id, words % (SILENCE, error)))
                break

    def _judge(self, job_id: str, job: _Watched, state: Optional[JobState]) -> None:
        if state is not None and not state.is_ended:
            job.dead_since = None
            if job.is_suspicious:
                self._next_question = min(self._next_question, time.time() + job.suspect_pause)
                job.suspect_pause = min(ASK_SUSPECT_LAST, job.suspect_pause * 1.5)
            self._note_held(job_id, job, state.held)
            return
        now = time.time()
        if job.dead_since is None:
            job.dead_since = now
        if now - job.dead_since < GRACE_DEAD:
            self._next_question = min(self._next_question, job.dead_since + GRACE_DEAD)
            return
        # The mark may be hidden by a cached listing: the result itself decides.
        if self._finish(job_id):
            return
        known = (scheduler(job.scheduler_name).post_mortem(job.scheduler_id) if job.scheduler_id else None) or state
        if known is not None and not known.is_ended:
            job.dead_since = None
            return
        code = self._marked_exit(job_id, job.client)
        may_have_result = code is None and (known is None or known.state == "COMPLETED")
        # Unless one of the user's own commands ended it.
        if may_have_result and jobs.step_before_the_runner(self._state.job(job_id)):
            may_have_result = False
        waited = now - job.dead_since
        if may_have_result and waited < GRACE_COMPLETED:
            self._next_question = min(
                self._next_question, job.dead_since + min(GRACE_COMPLETED, waited + max(GRACE_DEAD, waited))
            )
            return
        if code is not None and (known is None or known.state in ("COMPLETED", "FAILED")):
            known = (known or JobState("FAILED"))._replace(state="FAILED", exit_code=code, signal=signal_in(code))
        self._end_or_begin_again(job_id, job, jobs.with_memory_told(self._state.job(job_id), known))

    def _end_or_begin_again(self, job_id: str, job: _Watched, state: Optional[JobState]) -> None:
        spec = jobs.read_spec(self._state, job_id)
        again = attempts.Again()
        if spec is not None:
            again = attempts.again(self._state.job(job_id), job_id, spec, job.scheduler_id, state)
        if again.is_waiting:
            job.dead_since = time.time()
        elif again.scheduler_id is not None:
            self.add(job_id, job.client, job.scheduler_name, again.scheduler_id)
            if again.words:
                self._tell(Notice(job_id, again.words))
        else:
            self._end(job_id, None, state, again.words)

    def _marked_exit(self, job_id: str, client: str) -> Optional[int]:
        """What the job script has marked of the runner's end; None as long as it has not."""
        try:
            with open(os.path.join(self._state.done(client), job_id + ".exit"), encoding="ascii") as stream:
                return int(stream.read())
        except (OSError, ValueError):
            return None

    def _note_held(self, job_id: str, job: _Watched, held: str) -> None:
        """Tell why a job never starts, once, if that is still so at the second question."""
        if held and held == job.held and not job.is_held_told:
            job.is_held_told = True
            self._tell(Notice(job_id, "job %s (%s) will not start by itself: %s" % (job_id, job.scheduler_id, held)))
        job.held = held

    def _end(self, job_id: str, result: Optional[bytes], state: Optional[JobState], again: str = "") -> None:
        stdout, stderr = (
            jobs.collect_output(self._state.job(job_id), stream, jobs.LOG_TAIL) for stream in ("stdout", "stderr")
        )
        with self._changed:
            job = self._jobs.pop(job_id, None)
        if job is None:
            return
        step = "" if result is not None else jobs.step_before_the_runner(self._state.job(job_id))
        self._tell(Ended(job_id, job.scheduler_id, result, state, stdout, stderr, step, again))


def _waiting(watched: Dict[str, _Watched], states: Dict[str, JobState]) -> Dict[str, str]:
    """Which of the jobs wait that somebody looks at, by the scheduler's number."""
    found = {}
    for job_id, job in watched.items():
        state = states.get(job.scheduler_id)
        if not job.shows_turn or job.has_begun or (state and state.held):
            continue
        if (state is not None and state.state == "PENDING") or (job.array is not None and not job.array.has_begun):
            found[job.scheduler_id] = job_id
    return found


def array_state(name: str, scheduler_ids: List[str]) -> Dict[str, Any]:
    """What the scheduler says of a map's elements now, in one word: RUNNING as soon as one does."""
    known = scheduler(name).states(scheduler_ids).values() if scheduler_ids else ()
    for word in ("RUNNING", "PENDING"):
        if any(state.state == word for state in known):
            return {"state": word}
    return {"state": "UNKNOWN"}


def job_state(name: str, scheduler_id: str) -> Dict[str, Any]:
    """What the scheduler says of one job now, as plain data."""
    state = scheduler(name).post_mortem(scheduler_id)
    return dict(state._asdict()) if state else {"state": "UNKNOWN"}
