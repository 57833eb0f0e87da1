"""The history of a real Slurm, from its completion log, `scontrol` and the controller's log.

What Slurm itself does not keep is not there: fractions of a second; the CPUs on each node of a job on several nodes
(they are shared out evenly); a job that was forgotten (MinJobAge) without having ended in the completion log. Of a run that
`scontrol requeue` ended, only the controller's log knows the start. A node is down from when slurmctld has noticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from simcluster.emulated.slurm.hostlists import expand
from simcluster.history import JobHistory, NodeHistory, Run
from simcluster.slurm.jobs import by_number, full_id, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from simcluster.spec import ClusterSpec

__all__ = ["parse_absences", "parse_history", "parse_nodes"]

_ALIVE = {"PENDING", "RUNNING", "SUSPENDED", "CONFIGURING"}


@dataclass
class _Story:
    """What the lines about one job say, the first one first."""

    runs: dict[float, Run] = field(default_factory=dict)
    submitted: list[float] = field(default_factory=list)
    last: str = ""


def parse_history(
    completion_log: str, show_job: str, zone: tzinfo | None = None, *, controller_log: str = ""
) -> tuple[JobHistory, ...]:
    """Every job by number, from the completion log and `scontrol -o show job`; `zone` is the cluster's, None this machine's.

    Each run that Slurm ended has a line in the completion log, also one that was followed by another.
    """
    stories: dict[str, _Story] = {}
    logged = completion_log.splitlines()
    for position, line in enumerate((*logged, *show_job.splitlines())):
        if not line.startswith("JobId="):
            continue  # "No jobs in the system"
        story = stories.setdefault(full_id(line), _Story())
        story.last = line
        submitted = _seconds(value(line, "SubmitTime"), zone)
        if submitted is not None:
            story.submitted.append(submitted)
        run = _run(line, zone, has_ended=position < len(logged))
        if run is not None:
            # Of the last run both know; scontrol, read later, can tell that it is still alive.
            story.runs[run.start] = run
    starts = _starts(controller_log, zone)
    for number, story in stories.items():
        story.runs = _with_starts(story.runs, starts.get(number, ()))
    return tuple(_job(number, stories[number], zone) for number in sorted(stories, key=by_number))


def parse_nodes(spec: ClusterSpec, controller_log: str, zone: tzinfo | None = None) -> tuple[NodeHistory, ...]:
    """The nodes of the spec, with the spans in which slurmctld took them to be down."""
    down = parse_absences(controller_log, zone)
    return tuple(NodeHistory(name, spec.cpus_per_node, tuple(down.get(name, ()))) for name in spec.node_names)


def parse_absences(controller_log: str, zone: tzinfo | None = None) -> dict[str, list[tuple[float, float | None]]]:
    """When slurmctld set nodes DOWN, and when it heard of them again; its lines begin with an ISO 8601 time."""
    down: dict[str, list[tuple[float, float | None]]] = {}
    for line in controller_log.splitlines():
        at = _log_time(line, zone)
        went = re.search(r"Nodes (\S+) not responding, setting DOWN", line)
        came = re.search(r"Node (\S+) now responding|node (\S+) returned to service", line)
        if at is None:
            continue
        for name in expand(went[1]) if went else ():
            if not _is_open(down.get(name)):
                down.setdefault(name, []).append((at, None))
        if came and _is_open(spans := down.get(came[1] or came[2])) and spans:
            spans[-1] = (spans[-1][0], at)
    return down


def _starts(controller_log: str, zone: tzinfo | None) -> dict[str, list[float]]:
    """When slurmctld started each job, as often as it did."""
    starts: dict[str, list[float]] = {}
    for line in controller_log.splitlines():
        started = re.search(r"\b(?:Started|Allocate) JobId=([\d_]+)", line)
        if started and (at := _log_time(line, zone)) is not None:
            starts.setdefault(started[1], []).append(at)
    return starts


def _with_starts(runs: dict[float, Run], starts: Sequence[float]) -> dict[float, Run]:
    """The runs, those without length from the last start before their end, if that was not another run's."""
    made: dict[float, Run] = {}
    last = 0.0
    for _, run in sorted(runs.items()):
        end = run.end
        before = [start for start in starts if last <= start <= end + 1] if end == run.start else []
        made[run.start] = replace(run, start=min(before[-1], run.start)) if before else run
        last = end if end is not None else last
    return made


def _log_time(line: str, zone: tzinfo | None) -> float | None:
    moment = re.match(r"\[?(\d{4}-\d\d-\d\dT[\d:]+(?:\.\d{1,6})?)\d*(Z)?", line)
    return _seconds(moment[1] + ("+00:00" if moment[2] else ""), zone) if moment else None


def _is_open(spans: list[tuple[float, float | None]] | None) -> bool:
    return bool(spans) and spans is not None and spans[-1][1] is None


def _job(number: str, story: _Story, zone: tzinfo | None) -> JobHistory:
    state = _state(story.last)
    runs = tuple(story.runs[start] for start in sorted(story.runs))
    has_ended = state not in _ALIVE
    ended = _seconds(value(story.last, "EndTime"), zone) if has_ended else None
    return JobHistory(
        id=number,
        name=value(story.last, "Name") or value(story.last, "JobName") or "",
        user=(value(story.last, "UserId") or "").partition("(")[0],
        state=state,
        submitted=min((*story.submitted, *(run.start for run in runs)), default=0.0),
        ended=ended,
        runs=runs,
        exit_code=value(story.last, "ExitCode") if has_ended else None,
        reason=value(story.last, "Reason"),
    )


def _run(line: str, zone: tzinfo | None, *, has_ended: bool) -> Run | None:
    state = _state(line)
    if has_ended and state == "PENDING":
        state = "CANCELLED"  # by `scontrol requeue`: the job waits again
    start, nodes = _seconds(value(line, "StartTime"), zone), value(line, "NodeList")
    if start is None or nodes is None or state == "PENDING":  # whose start is the scheduler's guess
        return None
    names = tuple(expand(nodes))
    cpus = int(value(line, "ProcCnt") or (value(line, "NumCPUs") or "1").partition("-")[0])
    end = None if state in _ALIVE and not has_ended else _seconds(value(line, "EndTime"), zone)
    return Run(names, tuple(_shares(cpus, len(names))), state, start, end)


def _shares(cpus: int, nodes: int) -> Iterable[int]:
    return (cpus // nodes + (number < cpus % nodes) for number in range(nodes))


def _state(line: str) -> str:
    return (value(line, "JobState") or "").split(" ")[0]


def _seconds(text: str | None, zone: tzinfo | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(_with_six_digits(text))
    return (moment if moment.tzinfo or zone is None else moment.replace(tzinfo=zone)).timestamp()


def _with_six_digits(text: str) -> str:
    """Python 3.10 reads fractions of a second of three or six digits only."""
    return re.sub(r"\.(\d+)", lambda match: "." + match[1].ljust(6, "0"), text)
