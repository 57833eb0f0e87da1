"""Letters, substates, exit codes and comments: where a job stands, as PBS tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simcluster.emulated.conditions import FULFILLED
from simcluster.emulated.jobs import ENDED, State
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.surroundings import chunk_nodes
from simcluster.emulated.pbs.words import short_moment

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.pbs.identifiers import Entry

__all__ = [
    "FORCED",
    "comment",
    "elapsed",
    "exec_vnode",
    "exit_status",
    "hold_types",
    "is_finished",
    "is_reported",
    "letter",
    "substate",
]

FORCED = "Forced"
"""The reason of a job that `qdel -W force` has ended."""

_REPORT_AFTER = 1.0
"""Seconds after which a node first tells of a job that it runs: session and resources used."""

_TERMINATED, _KILLED = 256 + 15, 256 + 9


def is_finished(entry: Entry) -> bool:
    """Whether it is history."""
    return entry.job.has_ended if entry.array is None else entry.array.is_over


def letter(core: Core, entry: Entry) -> str:
    """`Q`, `R`, `H`: the job_state."""
    if entry.array is not None:
        if is_finished(entry):
            return "F"
        return "B" if entry.array.started else _waiting(core, entry.job)
    job = entry.job
    if job.has_ended:
        array = core.arrays.get(job.array_id) if job.array_id is not None else None
        return "F" if array is None or array.is_over else "X"
    if job.is_delivering:
        return "E"
    if job.state is State.PENDING:
        return _waiting(core, job)
    return "S" if job.state is State.SUSPENDED else "R"


def _waiting(core: Core, job: Job) -> str:
    if hold_types(job) != "n":
        return "H"
    return "W" if job.begin is not None and job.begin > core.clock.time() and not job.attempts else "Q"


def hold_types(job: Job) -> str:
    """`u`, `o` and `s` together, or `n`; a dependency that is not met is a hold of the system's."""
    types = ("o" if job.is_held_by_admin else "u") if job.is_held else ""
    waits = job.state in {State.PENDING, State.CANCELLED} and job.started is None
    if waits and job.dependency is not None and job.dependency.verdict != FULFILLED:
        types += "s"
    return types or "n"


def substate(core: Core, entry: Entry) -> int:
    """As the server's, from job.h of PBS."""
    state = letter(core, entry)
    if state == "B":
        return 70
    if state in "FX":
        return _final_substate(entry)
    if state == "H":
        return 22 if hold_types(entry.job) == "s" else 20
    if state == "R":
        return 42 if is_reported(core, entry.job) else 41
    return {"Q": 10, "W": 30, "E": 51, "S": 43}[state]


def _final_substate(entry: Entry) -> int:
    if entry.array is None and entry.job.task_id is not None and entry.job.started is None:
        return 70
    statuses = [exit_status(job) for job in entry.jobs]
    if any(job.state is State.CANCELLED and not _is_dependency(job) for job in entry.jobs):
        return 91
    return 92 if all(status in {0, None} for status in statuses) else 93


def _is_dependency(job: Job) -> bool:
    return job.own_reason == "DependencyNeverSatisfied"


def exit_status(job: Job) -> int | None:
    """The Exit_status; None before the end, and for what never ran."""
    if job.started is None or not (job.has_ended or job.is_delivering):
        return None
    if job.state is State.CANCELLED:
        return _KILLED if job.own_reason == FORCED else _TERMINATED
    special = {
        State.TIMEOUT: -29,
        State.OUT_OF_MEMORY: -27,
        State.NODE_FAIL: -20,
        State.PREEMPTED: _TERMINATED,
    }.get(job.state)
    if special is not None:
        return special
    if job.own_reason == "JobLaunchFailure" and job.signal == 53:
        return -1
    return 256 + job.signal if job.signal else job.exit_code


def elapsed(core: Core, job: Job) -> float:
    """Seconds that it ran or has run."""
    if job.started is None:
        return 0
    end = job.ended if job.script_ended is None else job.script_ended
    return max(0.0, (core.clock.time() if end is None else end) - job.started)


def is_reported(core: Core, job: Job) -> bool:
    """Whether its node has told of it."""
    if job.started is None or job.state is State.NODE_FAIL:
        return False
    return job.has_ended or job.is_delivering or core.clock.time() - job.started >= _REPORT_AFTER


def exec_vnode(job: Job) -> str:
    """`(node1:ncpus=2:mem=524288kb)+(node2:ncpus=2:mem=524288kb)`."""
    given = submission(job)
    chunk = given.resources.chunk
    parts = [f"ncpus={chunk.ncpus}"]
    if chunk.mem is not None:
        parts.append(f"mem={chunk.mem_kb}kb")
    if chunk.ngpus:
        parts.append(f"ngpus={chunk.ngpus}")
    return "+".join(f"({name}:{':'.join(parts)})" for name, _ in chunk_nodes(job, given))


def comment(core: Core, entry: Entry) -> str | None:
    """The scheduler's or the server's remark; None without one."""
    job = entry.job
    if entry.array is not None:
        return _array_comment(entry)
    if job.has_ended and job.started is None and job.task_id is not None:
        return "Subjob finished"
    if job.started is None:
        before = _why_waiting(core, job)
        if job.state is State.CANCELLED and not _is_dependency(job):
            return f"{before} and terminated" if before else None
        return before
    if job.held is not None and job.is_held and not job.has_ended:
        return _held(job)
    text = f"Job run at {short_moment(job.started)} on {exec_vnode(job)}"
    if job.cancelled_by is not None:
        return f"{text} and terminated by {job.cancelled_by}@{submission(job).host}"
    return text + _how_it_ended(job)


def _how_it_ended(job: Job) -> str:
    status = exit_status(job)
    if job.state not in ENDED or not job.has_ended or job.state is State.NODE_FAIL:
        return ""
    if job.state is State.TIMEOUT:
        return " and exceeded resource walltime"
    if job.state is State.OUT_OF_MEMORY:
        return " and exceeded resource mem"
    return " and finished" if status == 0 else " and failed"


def _array_comment(entry: Entry) -> str | None:
    starts = [attempt.start for job in entry.jobs for attempt in job.attempts if attempt.start is not None]
    starts += [job.started for job in entry.jobs if job.started is not None]
    if not starts:
        return None
    text = f"Job Array Began at {short_moment(min(starts))}"
    if not is_finished(entry):
        return text
    return f"{text} and {'finished' if all(exit_status(job) == 0 for job in entry.jobs) else 'failed'}"


def _held(job: Job) -> str:
    by = "operator" if job.is_held_by_admin else "user"
    return f"Job held by {by} on {time.ctime(job.held)}"


def _why_waiting(core: Core, job: Job) -> str | None:
    if job.is_held and job.held is not None:
        return _held(job)
    reason = job.reason
    if reason == "PartitionDown":
        return "Not Running: Queue not started."
    if reason.startswith("ReqNode"):
        return "Not Running: Not enough free nodes available"
    if reason not in {"Resources", "Priority"} or job.need is None:
        return None
    asked = job.need.tasks * job.need.cpus_per_task
    machines = [node for node in core.nodes.all if node.is_available]
    total = sum(node.machine.cpus for node in machines)
    if not core.nodes.could_ever(job.need):
        return f"Can Never Run: Insufficient amount of resource: ncpus (R: {asked} A: {total} T: {total})"
    free = sum(node.free_cpus for node in machines)
    return f"Not Running: Insufficient amount of resource: ncpus (R: {asked} A: {free} T: {total})"
