"""Rows of qstat's and qhost's tables: jobs that run, one task a row, and jobs that wait, with all such tasks in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import ENDED, State
from simcluster.emulated.sge.words import is_in_error, short_time, state_letters, task_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcluster.emulated.jobs import Job

__all__ = ["Row", "is_shown", "priority", "rows"]


@dataclass(frozen=True)
class Row:
    """`moment` is the start of what runs, the submission of what waits. `queue` is empty for what waits."""

    job: Job
    state: str
    moment: float
    queue: str
    slots: int
    tasks: str

    @property
    def is_pending(self) -> bool:
        return self.job.state is State.PENDING

    def line(self, *, with_queue: bool = True) -> str:
        """As in qstat's table; below a queue of `qstat -f` without it."""
        queue = f"{self.queue:<30.30} " if with_queue else ""
        return (
            f"{self.job.id:>7} {priority(self.job):7.5f} {self.job.name:<10.10} {self.job.user:<12.12} {self.state:<5} "
            f"{short_time(self.moment)} {queue}{self.slots:>5} {self.tasks or ' ' * 7}\n"
        )


def priority(job: Job) -> float:
    """Half for all that may run, as long as nobody asks for less; nothing for what may not."""
    waits_for_more = job.is_held or job.reason in {"Dependency", "BeginTime", "JobArrayTaskLimit"}
    if job.state is State.PENDING and waits_for_more and not is_in_error(job):
        return 0.0
    return 0.5 - min(max(job.request.nice, 0), 1024) / 4096


def is_shown(job: Job, wanted: str) -> bool:
    """Whether qstat's `-s` asks for such a job."""
    if job.state in ENDED and not job.is_completing:
        return "z" in wanted
    if job.state is State.PENDING:
        is_held = "h" in state_letters(job) or job.reason == "BeginTime"
        return "p" in wanted or ("h" in wanted and is_held)
    return ("s" if job.state is State.SUSPENDED else "r") in wanted or (
        "s" not in wanted and "r" in wanted and job.state is State.SUSPENDED
    )


def rows(jobs: Iterable[Job], *, grouped: bool = True) -> list[Row]:
    """What runs first, then what waits, each by priority and number."""
    running: list[Row] = []
    waiting: dict[tuple[int, str, int | None], list[Job]] = {}
    for job in jobs:
        state = state_letters(job)
        if job.state is State.PENDING or (job.state in ENDED and not job.is_completing):
            key = (job.id, state, None if grouped else job.task_id)
            waiting.setdefault(key, []).append(job)
        else:
            running.append(_running(job, state))
    pending = [_waiting(together, state) for (_, state, _), together in waiting.items()]
    return [*sorted(running, key=_order), *sorted(pending, key=_order)]


def _order(row: Row) -> tuple[float, int]:
    return -priority(row.job), row.job.id


def _running(job: Job, state: str) -> Row:
    task = "" if job.task_id is None else str(job.task_id)
    return Row(job, state, job.started or 0, f"{job.partition}@{job.nodes[0]}", job.cpus, task)


def _waiting(together: list[Job], state: str) -> Row:
    job = together[0]
    tasks = task_ranges([one.task_id for one in together if one.task_id is not None])
    return Row(job, state, job.submitted, "", job.cpus, tasks)
