"""The attributes that `qstat -f` shows, in the server's order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simcluster.emulated.arrays import in_ranges
from simcluster.emulated.conditions import FULFILLED
from simcluster.emulated.jobs import State
from simcluster.emulated.pbs.identifiers import job_id
from simcluster.emulated.pbs.states import (
    comment,
    elapsed,
    exec_vnode,
    exit_status,
    hold_types,
    is_finished,
    is_reported,
    letter,
    substate,
)
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.surroundings import default_path
from simcluster.emulated.pbs.words import SERVER, clock_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.pbs.identifiers import Entry

__all__ = ["Attribute", "dependents", "exec_host", "job_attributes", "used"]

Attribute = tuple[str, str | None, str]
"""Name, resource, value."""

_BEFORE = {"after": "before", "afterok": "beforeok", "afternotok": "beforenotok", "afterany": "beforeany"}


def job_attributes(core: Core, entry: Entry, waiting: Mapping[int, list[tuple[str, str]]]) -> list[Attribute]:
    """All that there is to say of a job, an element or an array; `waiting` is from `dependents`."""
    found = [*_head(core, entry), *_middle(entry, waiting), *_tail(core, entry)]
    return [(name.partition(".")[0], name.partition(".")[2] or None, value) for name, value in found]


def dependents(core: Core) -> dict[int, list[tuple[str, str]]]:
    """For each number that others wait for, or waited, what its own `depend` says: kind and id."""
    found: dict[int, list[tuple[str, str]]] = {}
    for job in core.known:
        for condition in job.dependency.conditions if job.dependency else ():
            is_past = condition.kind == "after" and condition.state == FULFILLED
            targets = core.find(condition.job_id)
            was_over = not targets or (targets[0].ended or job.submitted) < job.submitted
            if condition.kind in _BEFORE and not is_past and not was_over:
                found.setdefault(condition.job_id, []).append((_BEFORE[condition.kind], job_id(job)))
    return found


def used(core: Core, job: Job) -> list[tuple[str, str]]:
    """The resources_used, if the node has told of any. Nothing here measures CPU time or memory."""
    if not is_reported(core, job):
        return []
    return [
        ("cpupercent", "0"),
        ("cput", "00:00:00"),
        ("mem", "0kb"),
        ("ncpus", str(job.cpus)),
        ("vmem", "0kb"),
        ("walltime", clock_text(elapsed(core, job))),
    ]


def exec_host(job: Job) -> str:
    """`node1/0*2+node2/0*2`."""
    slots = job.slots or (0,) * len(job.nodes)
    return "+".join(
        f"{name}/{slot}" + (f"*{cpus}" if cpus > 1 else "")
        for name, cpus, slot in zip(job.nodes, job.cpus_by_node, slots, strict=True)
    )


def _head(core: Core, entry: Entry) -> Iterator[tuple[str, str]]:
    job = entry.job
    given = submission(job)
    yield "Job_Name", job.name
    yield "Job_Owner", f"{job.user}@{given.host}"
    if entry.array is None:
        for name, value in used(core, job):
            yield f"resources_used.{name}", value
    yield "job_state", letter(core, entry)
    yield "queue", job.partition
    yield "server", SERVER
    if given.account is not None:
        yield "Account_Name", given.account
    if _is_whole(entry):
        yield "Checkpoint", "u"
    yield "ctime", time.ctime(job.submitted)


def _middle(entry: Entry, waiting: Mapping[int, list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    job = entry.job
    given = submission(job)
    if _is_whole(entry) and (depend := _depend(job, waiting)):
        yield "depend", depend
    yield "Error_Path", _shown_path(entry, "e")
    if entry.array is None and job.nodes:
        yield "exec_host", exec_host(job)
        yield "exec_vnode", exec_vnode(job)
    if given.begin is not None:
        yield "Execution_Time", time.ctime(given.begin)
    if _is_whole(entry):
        yield "Hold_Types", hold_types(job)
    yield "Join_Path", given.join
    yield "Keep_Files", given.keep
    yield "Mail_Points", given.mail_points
    if given.mail_users is not None:
        yield "Mail_Users", given.mail_users
    yield "mtime", time.ctime(_modified(entry))
    yield "Output_Path", _shown_path(entry, "o")
    yield "Priority", str(given.priority)
    yield "qtime", time.ctime(job.submitted)
    if given.remove is not None:
        yield "Remove_Files", given.remove
    yield "Rerunable", str(given.is_rerunable)
    for name, value in given.resources.shown(job.limit):
        yield f"Resource_List.{name}", value


def _tail(core: Core, entry: Entry) -> Iterator[tuple[str, str]]:
    job = entry.job
    given = submission(job)
    yield from _run(core, entry)
    yield "substate", str(substate(core, entry))
    yield "Variable_List", ",".join(f"{name}={_escaped(value)}" for name, value in given.variables)
    if text := comment(
        core, entry if entry.array or job.started or job.has_ended or job.task_id is None else _whole(core, entry)
    ):
        yield "comment", text
    if job.eligible is not None and not (job.is_held and job.started is None):
        yield "etime", time.ctime(job.eligible)
    if given.umask is not None:
        yield "umask", f"{given.umask:o}"
    if given.blocks:
        yield "block", "True"
    yield from _outcome(_whole(core, entry) if entry.job.started is None and not _is_whole(entry) else entry)
    if _is_whole(entry):
        yield "Submit_arguments", " ".join(given.arguments)
    if given.command is not None:
        yield "executable", f"<jsdl-hpcpa:Executable>{given.command[0]}</jsdl-hpcpa:Executable>"
        if given.command[1:]:
            words = (f"<jsdl-hpcpa:Argument>{word}</jsdl-hpcpa:Argument>" for word in given.command[1:])
            yield "argument_list", "".join(words)
    yield from _array(entry)
    if is_finished(entry):
        yield "history_timestamp", str(int(max(one.ended or one.submitted for one in entry.jobs)))
    yield "project", given.project
    yield "Submit_Host", given.host
    if given.limit and _is_whole(entry):
        yield "max_run_subjobs", str(given.limit)


def _run(core: Core, entry: Entry) -> Iterator[tuple[str, str]]:
    """When it ran, and as what."""
    job = entry.job
    starts = [one.started for one in entry.jobs if one.started is not None]
    if starts:
        yield "stime", time.ctime(min(starts))
    if starts and is_finished(entry):
        yield "obittime", time.ctime(max(max(one.ended or 0, one.script_ended or 0) for one in entry.jobs))
    if entry.array is None and job.started is not None:
        if job.process is not None and elapsed(core, job) >= 1 and is_reported(core, job):
            yield "session_id", str(job.process)
        if is_reported(core, job):
            yield "jobdir", submission(job).home


def _outcome(entry: Entry) -> Iterator[tuple[str, str]]:
    job = entry.job
    if entry.array is None and (job.started is not None or job.restarts):
        yield "run_count", str(job.restarts + (job.started is not None))
    ended = [one for one in entry.jobs if one.has_ended and one.started is not None]
    if entry.array is not None:
        if ended:
            yield "Stageout_status", "1"
            yield "Exit_status", str(int(any(exit_status(one) != 0 for one in ended)))
        return
    if job.is_delivered is not None and job.has_ended:
        yield "Stageout_status", str(int(job.is_delivered))
    if (status := exit_status(job)) is not None:
        yield "Exit_status", str(status)


def _array(entry: Entry) -> Iterator[tuple[str, str]]:
    job, array = entry.job, entry.array
    if array is None:
        if job.task_id is not None:
            yield "array_id", f"{job.array_id}[].{SERVER}"
            yield "array_index", str(job.task_id)
        return
    waiting = [one.task_id for one in entry.jobs if one.state is State.PENDING and one.task_id is not None]
    ended = 0 if is_finished(entry) else sum(one.has_ended for one in entry.jobs)
    exiting = sum(one.is_delivering for one in entry.jobs)
    running = 0 if is_finished(entry) else len(entry.jobs) - len(waiting) - ended - exiting
    yield "array", "True"
    counts = f"Queued:{len(waiting)} Running:{running} Exiting:{exiting} Expired:{ended}"
    yield "array_state_count", counts
    yield "array_indices_submitted", submission(job).indices or ""
    yield "array_indices_remaining", in_ranges(waiting) or "-"


def _is_whole(entry: Entry) -> bool:
    """Whether it is what somebody submitted, and no element of it."""
    return entry.array is not None or entry.job.task_id is None


def _whole(core: Core, entry: Entry) -> Entry:
    """The array of an element."""
    array = core.arrays[entry.job.array_id or 0]
    return type(entry)(entry.id, next(iter(array.elements.values())), array)


def _modified(entry: Entry) -> float:
    return max(moment for one in entry.jobs for moment in (one.submitted, one.started or 0, one.ended or 0))


def _shown_path(entry: Entry, kind: str) -> str:
    job = entry.job
    given = submission(job)
    wanted = (given.output if kind == "o" else given.error) or default_path(job, kind)
    if entry.array is None and job.task_id is not None:
        wanted = wanted.replace("^array_index^", str(job.task_id))
    return wanted if ":" in wanted else f"{given.host}:{wanted}"


def _depend(job: Job, waiting: Mapping[int, list[tuple[str, str]]]) -> str:
    shown: dict[str, str] = {}
    for condition in job.dependency.conditions if job.dependency else ():
        if condition.state != FULFILLED:
            brackets = "[]" if condition.is_array else ""
            target = f"{condition.job_id}{brackets}.{SERVER}@{SERVER}"
            shown[condition.kind] = f"{shown.get(condition.kind, condition.kind)}:{target}"
    for kind, other in waiting.get(job.id, ()):
        shown[kind] = f"{shown.get(kind, kind)}:{other}@{SERVER}"
    return ",".join(shown.values())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\\\\\").replace(",", "\\,")
