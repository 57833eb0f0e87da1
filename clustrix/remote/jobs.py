"""Job directories on the cluster: written before the job is queued, removed when the client has the result."""

import contextlib
import glob
import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import attempts, pool
from .job_python import JobPython
from .paths import JobPaths, StatePaths, remove_tree, write_aside
from .runs import most_runs, resources_of, script_of
from .schedulers import JobState, LimitError, scheduler
from .script import ScriptParts, environment_file, job_script

__all__ = [
    "LOG_TAIL",
    "JobRequest",
    "Round",
    "collect_output",
    "discard",
    "find",
    "forget",
    "has_run",
    "known_scheduler_id",
    "living_ids",
    "prepare",
    "queue_array",
    "read_spec",
    "render_script",
    "rounds_of",
    "step_before_the_runner",
    "submit",
    "with_memory_told",
]

LOG_TAIL = 1 << 16  # bytes of each log that come with the end of a job


class JobRequest(NamedTuple):
    """A job as the client describes it (``spec``, kept as spec.json), with what the agent found for it."""

    spec: Dict[str, Any]
    python: JobPython
    work_dir: str
    runner: str

    @property
    def job_id(self) -> str:
        return str(self.spec["job_id"])


class Round(NamedTuple):
    """One array that was queued for a map; it asked for what a task is given at the ``attempt``-th time."""

    elements: int
    attempt: int = 0


def known_scheduler_id(state: StatePaths, job_id: str) -> Optional[str]:
    """The scheduler's number of a job that was submitted before, or None."""
    return attempts.known_scheduler_id(state.job(job_id))


def find(state: StatePaths, job_id: str) -> Optional[Tuple[str, str, str]]:
    """(client, scheduler, scheduler_id) of a job that was submitted over any connection, or None.

    An agent that was killed between the submission and its note of the number left a job that its name still finds.
    """
    job = state.job(job_id)
    spec = read_spec(state, job_id)
    if spec is None:
        return None
    scheduler_id = attempts.find_scheduler_id(job, job_id, spec["scheduler"])
    # A number that nobody noted and the scheduler has forgotten is of no more use once there is a result.
    if scheduler_id is None and not os.path.exists(job.result):
        return None
    return spec["client"], spec["scheduler"], scheduler_id or ""


def read_spec(state: StatePaths, job_id: str) -> Optional[Dict[str, Any]]:
    """The job as it was submitted, or None if its directory is not here."""
    try:
        with open(state.job(job_id).spec, encoding="utf-8") as stream:
            spec: Dict[str, Any] = json.load(stream)
            return spec
    except FileNotFoundError:
        return None


def has_run(state: StatePaths, job_id: str) -> bool:
    """Whether the job has left a result or a mark, whatever the scheduler still knows of it."""
    job = state.job(job_id)
    return os.path.exists(job.result) or bool(
        glob.glob(os.path.join(glob.escape(state.root), "done", "*", job_id + ".*"))
    )


def discard(state: StatePaths, job_id: str) -> None:
    """Remove a job that this agent prepared and that will not be submitted."""
    if _is_own(state, job_id):
        remove_tree(state.job(job_id).root)


def _is_own(state: StatePaths, job_id: str) -> bool:
    """Whether it is still this agent that submits the job; see resubmission.py."""
    try:
        with open(state.job(job_id).file("submitter"), "rb") as stream:
            return stream.read() == _SUBMITTER
    except OSError:
        return False


_SUBMITTER = os.urandom(16).hex().encode("ascii")


def render_script(state: StatePaths, request: JobRequest, attempt: int = 0) -> str:
    """The job script, as it is submitted for the ``attempt``-th time, from 0."""
    spec, job = request.spec, state.job(request.job_id)
    module = scheduler(spec["scheduler"])
    resources = resources_of(spec, attempt)
    parts = ScriptParts(
        directives=module.directives(
            attempts.job_name(request.job_id, attempt), job, request.work_dir, resources, is_array="tasks" in spec
        ),
        modules=spec["modules"],
        pre_execution_commands=spec["pre_execution_commands"],
        work_dir=request.work_dir,
        done_dir=state.done(spec["client"]),
        command=[request.python.program, "-s", request.runner, job.root],
        python_modules=request.python.interpreter.modules,
        is_activated=bool(request.python.activation),
        element=module.ELEMENT if "tasks" in spec else "",
        attempt=attempt,
    )
    return job_script(job, request.job_id, parts)


def prepare(state: StatePaths, request: JobRequest, key: bytes, arguments: Any, bindings: Any) -> None:
    """Write the job's directory. Every file is 0600 and the directory 0700: they hold the user's data and the key."""
    try:
        _write_files(state, request, key, arguments, bindings)
    except BaseException:
        discard(state, request.job_id)
        raise


def _write_files(state: StatePaths, request: JobRequest, key: bytes, arguments: Any, bindings: Any) -> None:
    job = state.job(request.job_id)
    os.makedirs(os.path.dirname(job.root), mode=0o700, exist_ok=True)
    os.mkdir(job.root, mode=0o700)  # of two agents that have the same submission, one is first
    write_aside(job.file("submitter"), _SUBMITTER)
    for directory in (
        job.file("out"),
        job.file("log"),
        job.file("marks"),
        state.done(request.spec["client"]),
    ):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    spec = dict(
        request.spec,
        done_dir=state.done(request.spec["client"]),
        package_dir=request.python.package_dir,
        original_dir=state.package(request.spec["package"]),
    )
    # Variables may be tokens: they are in one file only.
    del spec["environment_variables"]
    write_aside(job.spec, json.dumps(spec).encode("utf-8"))
    write_aside(job.key, key)
    write_aside(job.arguments, arguments)
    if len(bindings):
        write_aside(job.bindings, bindings)
    write_aside(job.environment, environment_file(request.spec["environment_variables"]).encode("utf-8"))
    if request.python.activation:
        write_aside(job.activation, request.python.activation.encode("utf-8"))
    for attempt in range(most_runs(spec)):
        write_aside(script_of(job, attempt), render_script(state, request, attempt).encode("utf-8"))
    if "tasks" in spec:
        os.mkdir(job.file("rounds"), 0o700)
        os.mkdir(job.pool, 0o700)
        pool.offer(job.pool, "all", 0, spec["tasks"])


def submit(state: StatePaths, request: JobRequest, report: Callable[[str], Any]) -> str:
    """Hand the prepared job to the scheduler; its number is kept beside the job. A refused job leaves nothing.

    :raises attempts.UndecidedError: the scheduler does not answer, so the job may be queued; then it stays.
    """
    job, spec = state.job(request.job_id), request.spec
    module = scheduler(spec["scheduler"])

    def hand_in() -> str:
        if "tasks" in spec:
            scheduler_id = queue_array(job, spec["scheduler"], spec["elements"], report)
        else:
            scheduler_id = str(module.submit(job.script))
        if not _is_own(state, request.job_id):
            module.cancel([scheduler_id])
            raise ValueError("job %s was submitted over another connection meanwhile" % request.job_id)
        return scheduler_id

    try:
        scheduler_id = attempts.submit(job, request.job_id, spec, hand_in, tries=most_runs(spec), report=report)
    except attempts.UndecidedError:
        raise
    except BaseException:
        discard(state, request.job_id)
        raise
    if "tasks" in spec and scheduler_id not in rounds_of(job):  # it was found by its name
        _note_round(job, scheduler_id, Round(spec["elements"]))
    return scheduler_id


def queue_array(
    job: JobPaths, scheduler_name: str, elements: int, report: Callable[[str], Any], attempt: int = 0
) -> str:
    """Hand a prepared map to the scheduler as an array of ``elements``, or of as many as the site takes; gives its number.

    It is the map's first round or, as elements ended before all tasks had, a further one; it asks for what the ``attempt``-th time of
    a task takes.
    """
    submit, taken, refusal = scheduler(scheduler_name).submit, elements, None
    scheduler_id = None
    while scheduler_id is None:
        scheduler_id, refused = _if_taken(submit, script_of(job, attempt), taken)
        if refused is not None:
            refusal, taken = refused, refused.most or taken // 2
    # That a host has only so many cores is no news.
    if refusal is not None and refusal.most is None:
        report("the scheduler takes no array of %d elements, so this one has %d: %s" % (elements, taken, refusal))
    _note_round(job, scheduler_id, Round(taken, attempt))
    return scheduler_id


def _if_taken(
    submit: Callable[[str, int], str], script: str, elements: int
) -> Tuple[Optional[str], Optional[LimitError]]:
    try:
        return submit(script, elements), None
    except LimitError as error:
        if elements == 1:
            raise
        return None, error


def _note_round(job: JobPaths, scheduler_id: str, queued: Round) -> None:
    write_aside(job.file("rounds", scheduler_id), ("%d %d" % queued).encode("ascii"))


def rounds_of(job: JobPaths) -> Dict[str, Round]:
    """The arrays that were queued for a map, by the scheduler's number."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for scheduler_id in os.listdir(job.file("rounds")):
            if not scheduler_id.startswith("."):
                with open(job.file("rounds", scheduler_id), encoding="ascii") as stream:
                    found[scheduler_id] = Round(*map(int, stream.read().split()))
    return found


def living_ids(state: StatePaths, job_id: str, spec: Dict[str, Any]) -> Dict[str, List[str]]:
    """The numbers under which the scheduler may still have the job, each with what its ``states`` call that: a map has an array for each of its rounds, of elements."""
    job = state.job(job_id)
    rounds = rounds_of(job)
    if rounds:
        names = scheduler(spec["scheduler"]).element_names
        return {scheduler_id: names(scheduler_id, queued.elements) for scheduler_id, queued in sorted(rounds.items())}
    scheduler_id = attempts.find_scheduler_id(job, job_id, spec["scheduler"])
    return {scheduler_id: [scheduler_id]} if scheduler_id else {}


def collect_output(job: JobPaths, stream: str, limit: int, element: str = "") -> str:
    """The last ``limit`` bytes of the job's ``stdout`` or ``stderr``, or of one element's; empty when there is none (yet)."""
    path = job.output(stream, element) if element else job.stdout if stream == "stdout" else job.stderr
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.path.getsize(path) - limit))
            return log.read(limit).decode("utf-8", "replace")
    except OSError:  # not there yet, or not any more; a log is never worth losing a result
        return ""


def with_memory_told(job: JobPaths, state: Optional[JobState], element: str = "") -> Optional[JobState]:
    """Without cgroups slurmstepd kills a job, or an element, and says so in its log, and the state is just FAILED."""
    if state is None or state.state != "FAILED":
        return state
    log = collect_output(job, "stderr", LOG_TAIL, element)
    return state._replace(state="OUT_OF_MEMORY") if "xceeded memory limit" in log else state


def step_before_the_runner(job: JobPaths, element: str = "") -> str:
    """The module or command that the job, or one element, was at when it ended; empty when it came as far as the runner."""
    try:
        with open(job.step + ("." + element if element else ""), encoding="utf-8", errors="replace") as stream:
            return stream.read(1000)
    except OSError:
        return ""


def forget(state: StatePaths, job_id: str) -> None:
    """Remove all of a job whose result the client has. The directory goes first: a late mark can't be moved then."""
    job, spec = state.job(job_id), read_spec(state, job_id)
    remove_tree(job.root)
    # Whoever fetches it need not be the client that submitted it; of one whose directory is gone every client may have a mark.
    client = glob.escape(state.done(spec["client"])) if spec else os.path.join(glob.escape(state.root), "done", "*")
    pattern = os.path.join(client, job_id + ".*")
    # An element may be renaming its mark just now, which it can as long as it has one.
    while glob.glob(pattern):
        for mark in glob.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(mark)
