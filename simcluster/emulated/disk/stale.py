"""What each machine sees of a name that another one has changed a short while ago: what was there before."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass, field

__all__ = ["Before", "Past", "Place"]

Place = tuple[tuple[int, int], bytes]
"""A name in a directory; the directory by device and inode number, so that it may be renamed."""

_FORGETTING = 0.5
"""Seconds between looks at what is over."""

Before = int | None
"""A descriptor (O_PATH) of what was there before a change, None for nothing."""


@dataclass
class _Change:
    by: str
    before: Before
    began: float
    at: float
    seen_by: set[str] = field(default_factory=set)


class Past:
    """The changes of the last seconds. The descriptors that it is given are its own from then on."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._delays: dict[int, float] = {}
        self._changes: dict[Place, list[_Change]] = {}
        self._forgot = 0.0

    def delay(self, number: int, seconds: float) -> None:
        """Have others' changes be seen that much later, by the fault's number; of several the longest counts."""
        self._delays[number] = seconds

    def lift(self, number: int) -> None:
        """Have everything be seen at once again."""
        self._delays.pop(number, None)
        self._forgot = 0.0
        self._forget()

    @property
    def is_on(self) -> bool:
        return bool(self._delays)

    def names(self, directory: tuple[int, int]) -> set[bytes]:
        """The names in a directory that may look otherwise than they are."""
        self._forget()
        return {name for where, name in self._changes if where == directory}

    def seen(self, machine: str, place: Place) -> tuple[bool, Before]:
        """Whether a machine sees what is really there; if not, what it sees instead."""
        self._forget()
        instead: tuple[bool, Before] = (True, None)
        for change in reversed(self._changes.get(place, ())):
            if change.by == machine or machine in change.seen_by or self._is_over(change):
                break
            instead = (False, change.before)
        return instead

    def show(self, machine: str, place: Place) -> None:
        """Have a machine see what is really there."""
        for change in self._changes.get(place, ()):
            change.seen_by.add(machine)

    def changed(self, machine: str, place: Place, before: Before) -> None:
        """A name was created, removed or put in another's place."""
        now = time.monotonic()
        self._changes.setdefault(place, []).append(_Change(machine, before, now, now))

    def written(self, machine: str, place: Place, descriptor: int) -> None:
        """The content of a file is about to be changed. What it is now is kept, unless others don't see that either.

        A file that is written all the time is seen as it was no more than twice the delay ago.
        """
        self._forget()
        now = time.monotonic()
        changes = self._changes.get(place)
        if changes and changes[-1].by == machine and now - changes[-1].began <= max(self._delays.values(), default=0):
            changes[-1].at = now
        else:
            self.changed(machine, place, self._copy(descriptor))

    def _is_over(self, change: _Change) -> bool:
        return change.at + max(self._delays.values(), default=0.0) <= time.monotonic()

    def _forget(self) -> None:
        """Let go of what is over; later changes of a name are over later."""
        if time.monotonic() < self._forgot + _FORGETTING:
            return
        self._forgot = time.monotonic()
        for place in list(self._changes):
            changes = self._changes[place]
            while changes and self._is_over(changes[0]):
                before = changes.pop(0).before
                if before is not None:
                    os.close(before)
            if not changes:
                del self._changes[place]

    def _copy(self, descriptor: int) -> int:
        """A file without a name, which is gone when nobody has it open."""
        if sys.platform != "linux":
            raise NotImplementedError
        about = os.fstat(descriptor)
        try:
            reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:  # then nobody can read what it was
            return os.dup(descriptor)
        try:
            with tempfile.TemporaryFile(dir=self._directory) as copy:
                offset = 0
                while count := os.copy_file_range(reading, copy.fileno(), 1 << 30, offset):
                    offset += count
                os.fchmod(copy.fileno(), about.st_mode & 0o7777)
                os.utime(copy.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))
                return os.open(f"/proc/self/fd/{copy.fileno()}", os.O_PATH | os.O_CLOEXEC)
        finally:
            os.close(reading)
