"""squeue's other table: the steps that run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.formats import parse_format, render
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import stamp, time_used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["steps_table"]

_DEFAULT = "%.15i %.8j %.9P %.8u %.9M %N"


@dataclass(frozen=True)
class _Row:
    job: Job
    number: str
    name: str
    nodes: tuple[str, ...]
    started: float
    tasks: int

    @property
    def identity(self) -> str:
        return f"{self.job.full_id}.{self.number}"


def steps_table(core: Core, jobs: Iterable[Job], wanted: str, form: str, *, with_header: bool) -> tuple[str, list[str]]:
    """The table of these jobs' steps, or of those whose ids are `wanted`; and letters that mean nothing."""
    ids = set(filter(None, wanted.split(",")))
    rows = [row for job in jobs for row in _rows(job) if not ids or row.identity in ids]
    now = core.clock.time()
    letters: dict[str, tuple[str, Callable[[_Row], str]]] = {
        "A": ("NTASKS", lambda row: str(row.tasks)),
        "i": ("STEPID", lambda row: row.identity),
        "j": ("NAME", lambda row: row.name),
        "M": ("TIME", lambda row: time_used(now - row.started)),
        "N": ("NODELIST", lambda row: compress(row.nodes)),
        "P": ("PARTITION", lambda row: row.job.partition),
        "S": ("START_TIME", lambda row: stamp(row.started)),
        "U": ("USER", lambda row: str(user_id(core, row.job.user))),
        "u": ("USER", lambda row: row.job.user),
    }
    columns, unknown = parse_format(form or _DEFAULT, letters)
    return render(columns, rows, with_header=with_header), unknown


def _rows(job: Job) -> list[_Row]:
    if job.state is not State.RUNNING or job.started is None:
        return []
    found = [
        _Row(job, str(step.number), step.name, step.nodes, step.started, step.tasks)
        for step in job.steps
        if step.state is State.RUNNING
    ]
    if not job.request.is_interactive:
        found.append(_Row(job, "batch", "batch", job.nodes[:1], job.started, 1))
    return found
