"""Which cores a job is drawn on. Schedulers tell how many there are on each node, seldom which."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simcluster.history import History, JobHistory

__all__ = ["Block", "Stay", "pack", "queue_steps"]

_INSTANT = 0.001
"""Seconds that don't count: a job may start in the same moment in which another one ends."""


@dataclass(frozen=True)
class Stay:
    """Something that takes `count` lanes for a while. `of` is the number of whatever it is."""

    of: int
    start: float
    end: float
    count: int = 1

    @property
    def span(self) -> tuple[float, float]:
        return self.start, self.end


@dataclass(frozen=True)
class Block:
    """Neighbouring lanes, `count` from `lane` on, that a stay takes."""

    stay: Stay
    lane: int
    count: int


def pack(stays: Iterable[Stay], lanes: int) -> tuple[list[Block], int]:
    """Lanes for all stays, and how many lanes that takes: more than there are only if the stays overlap that much.

    The first to come gets the lowest free lanes, neighbours if there are enough of them, so that what came before
    never depends on what comes later.
    """
    free_from = [-math.inf] * lanes
    blocks = []
    for stay in sorted(stays, key=lambda stay: (stay.start, stay.of)):
        free = [lane for lane, moment in enumerate(free_from) if moment <= stay.start + _INSTANT]
        while len(free) < stay.count:
            free.append(len(free_from))
            free_from.append(-math.inf)
        chosen = _neighbours(free, stay.count) or free[: stay.count]
        for lane in chosen:
            free_from[lane] = stay.end
        blocks += [Block(stay, first, count) for first, count in _grouped(chosen)]
    return blocks, len(free_from)


def queue_steps(history: History) -> list[tuple[float, int]]:
    """How many jobs wait from when on; those that still wait are not taken away at the end."""
    changes: dict[float, int] = {}
    for job in history.jobs:
        for start, end in _waits(job, history.taken):
            changes[start] = changes.get(start, 0) + 1
            if end < history.taken:
                changes[end] = changes.get(end, 0) - 1
    steps, waiting = [], 0
    for moment in sorted(changes):
        if changes[moment]:
            waiting += changes[moment]
            steps.append((moment, waiting))
    return steps


def _waits(job: JobHistory, taken: float) -> list[tuple[float, float]]:
    """A job waits from its submission, and from the end of each run but the last, until it starts, or ends without."""
    begins = [job.submitted, *(run.end for run in job.runs[:-1] if run.end is not None)]
    if job.runs and job.state == "PENDING":
        begins.append(job.runs[-1].end or taken)
    ends = [run.start for run in job.runs]
    ends += [job.ended if job.ended is not None else taken] * (len(begins) - len(ends))
    return [(begin, end) for begin, end in zip(begins, ends, strict=False) if end > begin]


def _neighbours(free: Sequence[int], count: int) -> Sequence[int] | None:
    return next(
        (free[i : i + count] for i in range(len(free) - count + 1) if free[i + count - 1] - free[i] == count - 1), None
    )


def _grouped(lanes: Sequence[int]) -> list[tuple[int, int]]:
    firsts = [lanes[0], *(lane for before, lane in pairwise(lanes) if lane != before + 1)]
    bounds = [lanes.index(first) for first in firsts] + [len(lanes)]
    return [(first, bounds[i + 1] - bounds[i]) for i, first in enumerate(firsts)]
