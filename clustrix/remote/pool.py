"""The tasks of a map that no element has taken yet: a file for each range, whose name says where it is up to.

    <job>/pool/<range>.<next>.<end>

Whoever takes tasks renames the file, say ``0.17.1000`` to ``0.25.1000``: of all who do so at once the first one succeeds, and the
others find the old name gone, on network file systems too. So any number of elements on any node share the tasks without waiting
for each other, each takes as many as suit it, and a thousand tasks need one file. The name of a range whose tasks are tried again
ends in ``+1``, ``+2`` and so on.
"""

import os
import time
from typing import Callable, List, NamedTuple, Optional

from .paths import look_again

__all__ = ["Claim", "Range", "claim", "named", "offer", "ranges"]


class Range(NamedTuple):
    """Tasks from ``next`` up to, without it, ``end``; ``name`` tells ranges apart."""

    name: str
    next: int
    end: int

    @property
    def file_name(self) -> str:
        return "%s.%d.%d" % self

    @property
    def attempt(self) -> int:
        """How often its tasks were tried before."""
        return int(self.name.rpartition("+")[2]) if "+" in self.name else 0


class Claim(NamedTuple):
    """Tasks that were taken: from ``first`` up to, without it, ``end``."""

    first: int
    end: int
    attempt: int


def named(origin: str, attempt: int) -> str:
    """The name of a range that comes from ``origin``."""
    return "%s+%d" % (origin, attempt) if attempt else origin


def offer(pool: str, name: str, start: int, end: int) -> bool:
    """Have elements take the tasks from ``start`` to ``end``; False, and nothing happens, if a range of that name was ever offered."""
    try:
        _make(os.path.join(pool, name))
        _make(os.path.join(pool, Range(name, start, end).file_name))
    except FileExistsError:
        return False
    return True


def ranges(pool: str) -> List[Range]:
    """What is left, in the order of the tasks."""
    found = []
    for file_name in os.listdir(pool):
        name, *numbers = file_name.rsplit(".", 2)
        if name and len(numbers) == 2 and all(number.isdigit() for number in numbers):
            found.append(Range(name, *map(int, numbers)))
    return sorted((each for each in found if each.next < each.end), key=lambda each: each.next)


def claim(
    pool: str, wanted: Callable[[int], int], may_take: Callable[[Range], bool] = lambda _: True
) -> Optional[Claim]:
    """Take tasks of a range that ``may_take`` is true of; None if none are left.

    ``wanted`` says how many, given how many are left.
    """
    pause = 0.001
    while True:
        left = [each for each in ranges(pool) if may_take(each)]
        if not left:
            return None
        chosen = left[0]
        end = min(chosen.end, chosen.next + max(1, wanted(sum(each.end - each.next for each in left))))
        try:
            os.rename(*(os.path.join(pool, each.file_name) for each in (chosen, chosen._replace(next=end))))
        except FileNotFoundError:
            # Somebody was faster. A network file system may go on showing the old name until it is made to look again.
            look_again(pool)
            # Not by `random`, which a module of the user's may be called.
            time.sleep(pause * os.urandom(1)[0] / 255)
            pause = min(0.1, pause * 2)
        else:
            return Claim(chosen.next, end, chosen.attempt)


def _make(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
