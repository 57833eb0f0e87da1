"""The jobs that could start: by shape, and in each shape by priority."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simcluster.emulated.jobs import Job
    from simcluster.emulated.need import Choice

__all__ = ["Entry", "Queue", "Shape"]

Entry = tuple[int, int, int, int, "Job"]


@dataclass(eq=False, slots=True)
class Shape:
    """Jobs that differ in nothing that decides whether they fit: where the first of them does not, none does."""

    choice: Choice
    array_id: int | None
    entries: list[Entry] = field(default_factory=list)
    blocked: Job | None = None
    reason: str = "None"

    def block(self, job: Job, reason: str) -> None:
        """Say why `job`, the first of its shape, does not start; those behind it wait for it."""
        self.blocked, self.reason = job, reason

    def why(self, job: Job) -> str:
        """Why a job of this shape waits."""
        first = self.blocked
        if first is None:
            return "None"
        is_first = job is first or (job.array_id is not None and job.array_id == first.array_id)
        return self.reason if is_first or self.reason.startswith("ReqNode") else "Priority"


class Queue:
    """Eligible jobs. A pass over them costs as much as there are shapes, not jobs."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[Choice, int | None], Shape] = {}
        self._tickets = count(1)

    def __len__(self) -> int:
        return len(self._shapes)

    def push(self, job: Job, choices: Sequence[Choice], array_id: int | None) -> None:
        """Add a job, under each of its choices; one that is there gets a new place.

        `array_id` is there where the array has a limit of its own.
        """
        job.shape = None
        job.ticket = next(self._tickets)
        for choice in choices:
            shape = self._shapes.get((choice, array_id))
            if shape is None:
                shape = self._shapes[choice, array_id] = Shape(choice, array_id)
            job.shape = job.shape or shape
            heapq.heappush(shape.entries, (-job.priority, job.array_id or job.id, job.task_id or 0, job.ticket, job))

    def remove(self, job: Job) -> None:
        """Forget a job; its entry is dropped when it comes up."""
        job.ticket = 0
        job.shape = None

    def in_order(self) -> Iterator[tuple[Job, Shape]]:
        """The first job of each shape, by priority; after one was removed (it started), the next of its shape.

        A job that is still in the queue when the iteration goes on has blocked its shape.
        """
        heads: list[tuple[tuple[int, ...], int, Job, Shape]] = []
        for position, (key, shape) in enumerate(list(self._shapes.items())):
            entry = _head(shape)
            if entry is None:
                del self._shapes[key]
            else:
                # A job of several choices has as many equal entries: the one that came first goes first.
                heads.append((entry[:-1], position, entry[-1], shape))
        heapq.heapify(heads)
        while heads:
            rank, position, job, shape = heads[0]
            if job.ticket == rank[3]:  # or else it has started by another of its choices
                yield job, shape
            following = None if job.ticket == rank[3] else _head(shape)
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (following[:-1], position, following[-1], shape))


def _head(shape: Shape) -> Entry | None:
    entries = shape.entries
    while entries and entries[0][-1].ticket != entries[0][3]:
        heapq.heappop(entries)
    return entries[0] if entries else None
