"""No scheduler at all: a job is a process of this host, looked after by a supervisor of its own. For plain SSH hosts, and for here.

It starts at once, for there is no queue. Its time limit is wall clock; its memory limit is that of each of its processes'
address space, which is all that the kernel lets an ordinary user set, so what is too much fails in the function, as MemoryError.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, Iterable, List, Optional

from ..paths import JobPaths, write_aside
from . import JobState, SchedulerError, place, signal_in
from .processes import birth_of, boot, end, members, table
from .supervisor import CANCEL_MARK, ENDED_MARK, PROCESS_MARK, START

__all__ = ["ELEMENT", "LACKS", "PREFIX", "cancel", "directives", "find", "post_mortem", "states", "submit"]

PREFIX = "#PROCESS "
ELEMENT = ""
_NO_SCHEDULER = "there is no scheduler that could give that: leave it out"
_FIELDS = ("partition", "queue", "gpus", "account", "qos", "constraint", "reservation", "mail", "extra_directives")
LACKS = dict.fromkeys(_FIELDS, _NO_SCHEDULER)
LACKS["nodes"] = "a job is a process of one host: leave it out"
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
    if is_array:
        raise ValueError("maps are not supported on a host without a scheduler yet: submit a job for each call")
    return [
        "# No scheduler: ended after %d s; each process may have %d MiB."
        % (resources["time_seconds"], resources["memory_mb"])
    ]


def submit(script: str) -> str:
    """Start the supervisor of the job whose script it is, and return once the job runs."""
    root = os.path.dirname(script)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = START.format(package=os.path.basename(here))
    starter = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, os.path.dirname(here), root],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
    )
    words = starter.communicate()[1].decode("utf-8", "replace").strip()
    if starter.returncode != 0:
        raise SchedulerError("the job's process can't be started here: %s" % words[-2000:])
    return _id(os.path.basename(root), os.uname().nodename)


def find(name: str) -> Optional[str]:
    """The id of the job that is called ``name``, if it was started."""
    about = _mark(name, PROCESS_MARK)
    return _id(name, about["host"]) if about else None


def states(scheduler_ids: Iterable[str]) -> Dict[str, JobState]:
    """The states of those jobs of which there are files; none of this costs a process where there is /proc."""
    found = {scheduler_id: _state(scheduler_id.partition("@")[0]) for scheduler_id in scheduler_ids}
    return {scheduler_id: state for scheduler_id, state in found.items() if state}


def post_mortem(scheduler_id: str) -> Optional[JobState]:
    """As ``states``, which know all that there is."""
    return _state(scheduler_id.partition("@")[0])


def cancel(scheduler_ids: Iterable[str]) -> None:
    """Have the supervisors end their jobs; those of other hosts see a file that asks for it."""
    for scheduler_id in scheduler_ids:
        name = scheduler_id.partition("@")[0]
        about = _mark(name, PROCESS_MARK)
        if about is None or _mark(name, ENDED_MARK):
            continue
        write_aside(_job(name).file("marks", CANCEL_MARK), b"")
        if about["host"] == os.uname().nodename and _lives(about):
            end([about["pid"]], signal.SIGTERM)


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
    state = place().state
    if state is None:
        raise SchedulerError("jobs' directories are known on their host only")
    return state.job(name)


def _mark(name: str, mark: str) -> Any:
    """What a mark of the job's says; None when it is not there."""
    try:
        with open(_job(name).file("marks", mark), encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
