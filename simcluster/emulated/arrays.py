"""Job arrays: elements that wait together, and the counts that limits and dependencies ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.jobs import Job

__all__ = ["Array", "in_ranges"]


@dataclass(eq=False, slots=True)
class Array:
    """The elements of one submission. `together` are those that wait under the array's number, in order.

    `started`, `ended` and `failed` count elements so far; `running` counts those that run now.
    """

    id: int
    limit: int
    total: int
    first: int
    last: int
    step: int
    elements: dict[int, Job] = field(default_factory=dict)
    together: dict[int, Job] = field(default_factory=dict)
    running: int = 0
    started: int = 0
    ended: int = 0
    failed: int = 0

    @property
    def is_over(self) -> bool:
        """All elements have ended."""
        return self.ended >= self.total

    @property
    def is_full(self) -> bool:
        """As many run as may at once."""
        return bool(self.limit) and self.running >= self.limit


def in_ranges(numbers: Sequence[int]) -> str:
    """`0-3,7` from ascending numbers. An arithmetic row with gaps stays a list, as in Slurm 22.05."""
    if not numbers:
        return ""
    breaks = [index for index, (one, other) in enumerate(pairwise(numbers), start=1) if other != one + 1]
    pieces = []
    for start, end in zip([0, *breaks], [*breaks, len(numbers)], strict=True):
        low, high = numbers[start], numbers[end - 1]
        pieces.append(str(low) if low == high else f"{low}-{high}")
    return ",".join(pieces)
