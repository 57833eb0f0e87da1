"""What accounting has written down: an entry for each run of a job, and for each of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import ENDED, State
from simcluster.emulated.slurm.job_fields import Record, gathered, record_id, run_time
from simcluster.emulated.slurm.surroundings import user_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Attempt, Job, Step

__all__ = ["Entry", "entries_of", "highest_code", "recorded_code"]

_REQUEUE_LAG = 3.0
"""Seconds after a requeue until the database knows of the job's next run: 1 to 4 on the recorded clusters."""


@dataclass(frozen=True)
class Entry:
    """A row of the database. `step` is empty for the job itself, and `batch` or a number for its steps.

    `identity` and `raw` are the ids without the step. `exit_code` is None where none was ever known.
    """

    job: Job
    identity: str
    raw: str
    created: float
    state: str
    nodes: tuple[str, ...]
    cpus: int
    start: float | None
    end: float | None
    elapsed: int
    exit_code: tuple[int, int] | None
    step: str = ""
    name: str = ""
    tasks: int = 0
    memory_mb: int = 0

    @property
    def short_state(self) -> str:
        """Without who cancelled it."""
        return self.state.partition(" ")[0]


def entries_of(core: Core, jobs: list[Job], *, with_steps: bool, with_earlier: bool) -> list[Entry]:
    """The rows of these jobs in order of creation. Of a job that ran more than once, only the last run, or all."""
    groups: list[list[Entry]] = []
    for record in gathered(core, jobs, one_by_one=False):
        runs = _runs(core, record, with_steps=with_steps)
        groups += runs if with_earlier else runs[-1:]
    # A job that runs again gets a new row, at the end of the table. Sorting keeps the order of what is as old.
    newest = sorted(groups, key=lambda group: group[0].created)
    return [entry for group in newest for entry in group]


def recorded_code(code: int, signal: int) -> tuple[int, int]:
    """As the database has it: codes from 128 on lose that much."""
    return code - 128 if code >= 128 else code, signal


def highest_code(steps: Sequence[Step]) -> tuple[int, int]:
    """The highest of the steps'."""
    return max((recorded_code(step.exit_code, step.signal) for step in steps), default=(0, 0))


def _runs(core: Core, record: Record, *, with_steps: bool) -> list[list[Entry]]:
    """Of each run the job's row and those of its steps."""
    job, now = record.job, core.clock.time()
    found = []
    created = job.submitted
    for attempt in job.attempts:
        entry = _of_attempt(record, attempt, created)
        batch = _batch_of_attempt(entry, attempt) if with_steps and attempt.start is not None else None
        found.append([entry, *([batch] if batch else [])])
        created = attempt.end
    if not job.attempts or job.started is not None or now >= created + _REQUEUE_LAG:
        entry = _of_job(core, record, created)
        found.append([entry, *(_steps(core, entry) if with_steps else [])])
    return found


def _of_attempt(record: Record, attempt: Attempt, created: float) -> Entry:
    job = record.job
    return Entry(
        job=job,
        identity=record_id(record),
        raw=str(job.id),
        created=created,
        state="REQUEUED" if attempt.state is State.CANCELLED else attempt.state.value,
        nodes=attempt.nodes,
        cpus=sum(attempt.cpus_by_node),
        start=attempt.start,
        end=attempt.end,
        elapsed=int(attempt.end - (attempt.start or attempt.end)),
        exit_code=recorded_code(attempt.exit_code, attempt.signal) if attempt.state in _WITH_CODE else (0, 0),
        name=job.name,
        memory_mb=job.memory_mb,
    )


_WITH_CODE = {State.COMPLETED, State.FAILED, State.OUT_OF_MEMORY}


def _batch_of_attempt(entry: Entry, attempt: Attempt) -> Entry:
    is_lost = attempt.state is State.NODE_FAIL
    code = None if is_lost else recorded_code(attempt.exit_code, attempt.signal)
    state = attempt.state.value if attempt.state in _WITH_CODE and not attempt.signal else "CANCELLED"
    return _step(entry, "batch", "batch", state, code, nodes=attempt.nodes[:1], cpus=attempt.cpus_by_node[0])


def _of_job(core: Core, record: Record, created: float) -> Entry:
    job = record.job
    state = job.state.value
    if job.state is State.CANCELLED and job.cancelled_by is not None:
        state = f"CANCELLED by {user_id(core, job.cancelled_by)}"
    never_ran = job.ended if job.cancelled_by is not None else None
    return Entry(
        job=job,
        identity=record_id(record),
        raw=str(job.id),
        created=created,
        state=state,
        nodes=job.nodes,
        cpus=job.cpus if job.started is not None else 0,
        start=never_ran if job.started is None else job.started,
        end=job.ended,
        elapsed=int(run_time(job, core.clock.time())),
        exit_code=recorded_code(job.exit_code, job.signal) if job.state in _WITH_CODE else (0, 0),
        name=job.name,
        memory_mb=job.memory_mb,
    )


def _steps(core: Core, entry: Entry) -> list[Entry]:
    """The batch script and what it ran. A job that was lost with its node left no exit code."""
    job = entry.job
    found = []
    if job.started is not None and not job.request.is_interactive:
        is_lost = job.state is State.NODE_FAIL
        state = "CANCELLED" if is_lost or (job.signal and job.signal != _OUT_OF_MEMORY) else job.state.value
        code = None if is_lost else recorded_code(job.exit_code, job.signal)
        found.append(_step(entry, "batch", "batch", state, code, nodes=job.nodes[:1], cpus=job.cpus_by_node[0]))
    for step in job.steps:
        state = step.state.value
        if step.state is State.CANCELLED and step.cancelled_by is not None:
            state = f"CANCELLED by {user_id(core, step.cancelled_by)}"
        elif step.state in ENDED - {State.TIMEOUT} and step.signal and step.signal != _OUT_OF_MEMORY:
            state = "CANCELLED"
        end = step.ended if step.ended is not None else job.ended
        found.append(
            Entry(
                job=job,
                identity=entry.identity,
                raw=entry.raw,
                created=entry.created,
                state=state,
                nodes=step.nodes,
                cpus=sum(step.cpus_by_node),
                start=step.started,
                end=end,
                elapsed=int((core.clock.time() if end is None else end) - step.started),
                exit_code=recorded_code(step.exit_code, step.signal),
                step=str(step.number),
                name=step.name,
                tasks=step.tasks,
                memory_mb=sum(step.memory_by_node),
            )
        )
    return found


_OUT_OF_MEMORY = 125


def _step(
    entry: Entry, step: str, name: str, state: str, code: tuple[int, int] | None, *, nodes: tuple[str, ...], cpus: int
) -> Entry:
    return Entry(
        job=entry.job,
        identity=entry.identity,
        raw=entry.raw,
        created=entry.created,
        state=state,
        nodes=nodes,
        cpus=cpus,
        start=entry.start,
        end=entry.end,
        elapsed=entry.elapsed,
        exit_code=code,
        step=step,
        name=name,
        tasks=int(entry.end is not None),
        memory_mb=entry.job.memory_by_node[0] if entry.job.memory_by_node else entry.memory_mb,
    )
