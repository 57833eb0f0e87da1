"""The history of an emulated cluster, from what its scheduler's core knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.jobs import ENDED
from simcluster.history import History, JobHistory, NodeHistory, Run

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["core_history"]


def core_history(core: Core, cluster: str) -> History:
    """Everything until now."""
    return History(
        cluster=cluster,
        started=core.booted,
        taken=core.clock.time(),
        nodes=tuple(
            NodeHistory(node.machine.name, node.machine.cpus, tuple(core.absences[node.machine.name]))
            for node in core.nodes.all
        ),
        jobs=tuple(_job(job) for job in core.jobs),
    )


def _job(job: Job) -> JobHistory:
    has_ended = job.state in ENDED
    return JobHistory(
        id=job.full_id,
        name=job.name,
        user=job.user,
        state=job.state.value,
        submitted=job.submitted,
        ended=job.ended,
        runs=_runs(job),
        exit_code=f"{job.exit_code}:{job.signal}" if has_ended else None,
        reason=None if job.reason == "None" else job.reason,
    )


def _runs(job: Job) -> tuple[Run, ...]:
    runs = [
        Run(attempt.nodes, attempt.cpus_by_node, attempt.state.value, attempt.start, attempt.end)
        for attempt in job.attempts
        if attempt.start is not None
    ]
    if job.started is not None:
        runs.append(Run(job.nodes, job.cpus_by_node, job.state.value, job.started, job.ended))
    return tuple(runs)
