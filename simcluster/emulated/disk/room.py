"""How much more may be written: on a disk that is full nothing, under a quota so many bytes."""

from __future__ import annotations

import errno
import os

__all__ = ["Room"]


class Room:
    """What is left for all machines together, by the fault's number."""

    def __init__(self) -> None:
        self.full: set[int] = set()
        self._left: dict[int, int] = {}
        self._limits: dict[int, int] = {}

    def limit(self, number: int, size: int) -> None:
        """Let `size` bytes more be written."""
        self._left[number] = self._limits[number] = size

    def lift(self, number: int) -> None:
        """Take off a limit of either kind."""
        self.full.discard(number)
        self._left.pop(number, None)
        self._limits.pop(number, None)

    @property
    def left(self) -> int | None:
        """Bytes, None for as many as there are."""
        return 0 if self.full else min(self._left.values(), default=None)

    def take(self, growth: int, least: int = 1) -> int:
        """As much of `growth` as there is room for; raises OSError if that is less than `least`, and then takes none."""
        left = self.left
        if left is None or growth <= 0:
            return growth
        if left < least:
            number = errno.ENOSPC if self.full else errno.EDQUOT
            raise OSError(number, os.strerror(number))
        taken = min(growth, left)
        for number in self._left:
            self._left[number] -= taken
        return taken

    def give_back(self, size: int) -> None:
        """What is removed makes room under a quota, but never for more than its limit; a full disk stays full."""
        for number, limit in self._limits.items():
            self._left[number] = min(limit, self._left[number] + size)
