"""What is to be done at a time."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Timers"]


class Timers:
    """A heap of calls. Nothing is taken out of it early: what is called looks whether it still matters."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._count = count()

    def add(self, time: float, call: Callable[[], object]) -> None:
        """Have `call` made at `time` (Unix seconds) or soon after."""
        heapq.heappush(self._heap, (time, next(self._count), call))

    def pop(self, now: float) -> Callable[[], object] | None:
        """The next call that is due, if any."""
        return heapq.heappop(self._heap)[2] if self._heap and self._heap[0][0] <= now else None

    @property
    def next_time(self) -> float | None:
        return self._heap[0][0] if self._heap else None
