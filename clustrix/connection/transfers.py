"""How far a large message is, in lines for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clustrix.remote.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAST_TOLD", "Transfer"]

MIB = 1 << 20
LEAST_TOLD = 16 * MIB
"""Bytes. Of smaller messages nothing is said."""


class Transfer:
    """Called with the bytes that are done and all there are, it has ``say`` told so, at most ten times for one message."""

    def __init__(self, doing: str, say: Callable[[str], object], job: str = "") -> None:
        self._doing = doing
        self._job = job
        self._say = say
        self._next = 0

    def __call__(self, done: int, total: int) -> None:
        if total < LEAST_TOLD or done < self._next:
            return
        step = max(LEAST_TOLD, total // 10)
        if self._next:
            self._say(Passing(f"{self._doing} {done // MIB} of {total // MIB} MB", done, total, self._job))
        self._next = min((done // step + 1) * step, total) if done < total else total + 1
