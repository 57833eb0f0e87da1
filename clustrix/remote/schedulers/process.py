"""No scheduler at all: a job is a process of this host, looked after by a supervisor of its own. For plain SSH hosts, and for here.

It starts at once, for there is no queue. Its time limit is wall clock; its memory limit is that of each of its processes'
address space, which is all that the kernel lets an ordinary user set, so what is too much fails in the function, as MemoryError.
A map is a pool of such processes, as many as the host has cores for.

A job is called by its id and its host, ``cx...@host``; a later attempt ``cx...1@host``; an array of a map ``cx...-0@host``, then
``cx...-1@host``, and the elements of that ``cx...-1.0``, ``cx...-1.1`` and so on.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, Iterable, List, Optional

from ..paths import JobPaths, write_aside
from ..runs import attempt_of
from . import JobState, LimitError, SchedulerError, Turn, place, signal_in
from .processes import birth_of, boot, end, members, table
from .supervisor import CANCEL_MARK, ELEMENT_VARIABLE, ENDED_MARK, PROCESS_MARK, START, mark_of

__all__ = [
    "ELEMENT",
    "LACKS",
    "PREFIX",
    "cancel",
    "directives",
    "element_names",
    "find",
    "post_mortem",
    "states",
    "submit",
    "turns",
]

PREFIX = "#PROCESS "
ELEMENT = "${%s}" % ELEMENT_VARIABLE
_NO_SCHEDULER = "there is no scheduler that could give that: leave it out"
_FIELDS = ("partition", "queue", "gpus", "account", "qos", "constraint", "reservation", "mail", "extra_directives")
LACKS = dict.fromkeys(_FIELDS, _NO_SCHEDULER)
LACKS["nodes"] = "a job is a process of one host: leave it out"
ID_LENGTH = 14  # characters of a job's id
# Of a job on another host nothing is seen but its files; this long after its time it is taken for dead.
GRACE = 60.0  # seconds


def directives(
    job_id: str,  # noqa: ARG001 - the interface of all of them
    job: JobPaths,  # noqa: ARG001 - likewise
    work_dir: str,  # noqa: ARG001 - likewise
    resources: Dict[str, Any],
    *,
    is_array: bool = False,
) -> List[str]:
    """What the supervisor will hold the job to, for whoever reads the script."""
    return [
        "# No scheduler: %sended after %d s; each process may have %d MiB."
        % ("each element is " if is_array else "", resources["time_seconds"], resources["memory_mb"])
    ]


def submit(script: str, elements: int = 0) -> str:
    """Start the supervisor of the job whose script it is, or those of so many elements, and return once they run."""
    job = JobPaths(os.path.dirname(script))
    if elements > 1:
        _refuse_more_than_the_cores(job, elements)
    name = _new_array(job) if elements else os.path.basename(job.root) + str(attempt_of(script) or "")
    names = element_names(name, elements) if elements else [name]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = START.format(package=os.path.basename(here))
    starter = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, os.path.dirname(here), script, str(elements > 0), *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
    )
    words = starter.communicate()[1].decode("utf-8", "replace").strip()
    if starter.returncode != 0:
        raise SchedulerError("the job's process can't be started here: %s" % words[-2000:])
    return _id(name, os.uname().nodename)


def element_names(scheduler_id: str, elements: int) -> List[str]:
    """What the elements of an array are called."""
    array = scheduler_id.partition("@")[0]
    return ["%s.%d" % (array, number) for number in range(elements)]


def find(name: str) -> Optional[str]:
    """The id of the job that is called ``name``, or of the first array of that map, if it was started."""
    for run, one in ((name, name), (name + "-0", name + "-0.0")):
        about = _mark(one, PROCESS_MARK)
        if about:
            return _id(run, about["host"])
    return None


def states(scheduler_ids: Iterable[str]) -> Dict[str, JobState]:
    """The states of those jobs of which there are files, an array's by element; none of this costs a process where there is /proc."""
    found: Dict[str, Optional[JobState]] = {}
    for scheduler_id in scheduler_ids:
        name = scheduler_id.partition("@")[0]
        elements = _elements(name)
        found.update({element: _state(element) for element in elements} if elements else {scheduler_id: _state(name)})
    return {name: state for name, state in found.items() if state}


def post_mortem(scheduler_id: str) -> Optional[JobState]:
    """As ``states``, which know all that there is; of an element, too."""
    return _state(scheduler_id.partition("@")[0])


def turns(_scheduler_ids: Iterable[str]) -> Dict[str, Turn]:
    """Nothing waits where there is no scheduler."""
    return {}


def cancel(scheduler_ids: Iterable[str]) -> None:
    """Have the supervisors end their jobs; those of other hosts see a file that asks for it."""
    for scheduler_id in scheduler_ids:
        name = scheduler_id.partition("@")[0]
        for each in _elements(name) or [name]:
            about = _mark(each, PROCESS_MARK)
            if about is None or _mark(each, ENDED_MARK):
                continue
            write_aside(mark_of(_job(each), each, CANCEL_MARK), b"")
            if about["host"] == os.uname().nodename and _lives(about):
                end([about["pid"]], signal.SIGTERM)


def _refuse_more_than_the_cores(job: JobPaths, elements: int) -> None:
    """There is no queue in which an element could wait for a core."""
    with open(job.spec, encoding="utf-8") as stream:
        cores = int(json.load(stream)["resources"]["cores"])
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = max(1, there // cores)
    if elements > most:
        raise LimitError("this host has %d cores, and an element takes %d" % (there, cores), most)


def _new_array(job: JobPaths) -> str:
    """A name that no other array of the map has, whoever starts one at the same time."""
    for number in itertools.count():
        with contextlib.suppress(FileExistsError):
            os.mkdir(job.file("marks", "array-%d" % number), 0o700)
            return "%s-%d" % (os.path.basename(job.root), number)
    raise AssertionError


def _elements(array: str) -> List[str]:
    """The elements that were started of an array; none of anything else."""
    start = "%s.%s." % (PROCESS_MARK, array)
    try:
        names = os.listdir(_job(array).file("marks"))
    except FileNotFoundError:
        return []
    return [name[len(PROCESS_MARK) + 1 :] for name in names if name.startswith(start)]


def _state(name: str) -> Optional[JobState]:
    about = _mark(name, PROCESS_MARK)
    if about is None:
        return None
    # Asked before its last words are looked for: it writes them, and then ends.
    is_of_this_host = about["host"] == os.uname().nodename
    lives = _lives(about) if is_of_this_host else time.time() < about["until"] + GRACE
    told = _mark(name, ENDED_MARK)
    if told:
        return JobState(
            told["state"], "", about["host"], told["exit_code"], told["signal"] or signal_in(told["exit_code"])
        )
    if lives:
        return JobState("RUNNING", "", about["host"])
    if not is_of_this_host:
        return JobState("NODE_FAIL", "nothing was heard from its host for %d s after its time" % GRACE, about["host"])
    if about["boot"] != boot():
        return JobState("NODE_FAIL", "its host was started anew", about["host"])
    _end_what_is_left(about)
    return JobState("FAILED", "its supervisor was killed", about["host"])


def _end_what_is_left(about: Dict[str, Any]) -> None:
    """A job whose supervisor is gone has no limits any more."""
    leader = table().get(about["session"])
    if leader is None or leader.birth == about["session_birth"]:
        end(members(-1, about["session"]), signal.SIGKILL)


def _lives(about: Dict[str, Any]) -> bool:
    return bool(about["boot"] == boot() and about["birth"] == birth_of(about["pid"]))


def _id(name: str, host: str) -> str:
    return "%s@%s" % (name, host)


def _job(name: str) -> JobPaths:
    """The job that a name is of, which begins with its id."""
    state = place().state
    if state is None:
        raise SchedulerError("jobs' directories are known on their host only")
    return state.job(name[:ID_LENGTH])


def _mark(name: str, mark: str) -> Any:
    """What a mark of the job's says; None when it is not there."""
    try:
        with open(mark_of(_job(name), name, mark), encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
