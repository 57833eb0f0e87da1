"""The tasks of a map that no element has taken yet: a file for each range, whose name says where it is up to.

    <job>/pool/<range>.<next>.<end>

Whoever takes tasks renames the file, say ``0.17.1000`` to ``0.25.1000``: of all who do so at once the first one succeeds, and the
others find the old name gone, on network file systems too. So any number of elements on any node share the tasks without waiting
for each other, each takes as many as suit it, and a thousand tasks need one file.
"""

import contextlib
import os
import time
from typing import Callable, List, NamedTuple, Optional, Tuple

from .paths import look_again

__all__ = ["Range", "claim", "offer", "ranges"]


class Range(NamedTuple):
    """Tasks from ``next`` up to, without it, ``end``; ``name`` tells ranges apart."""

    name: str
    next: int
    end: int

    @property
    def file_name(self) -> str:
        return "%s.%d.%d" % self


def offer(pool: str, name: str, start: int, end: int) -> None:
    """Have elements take the tasks from ``start`` to ``end``; nothing happens if a range of that name was ever offered."""
    with contextlib.suppress(FileExistsError):
        _make(os.path.join(pool, name))
        _make(os.path.join(pool, Range(name, start, end).file_name))


def ranges(pool: str) -> List[Range]:
    """What is left, in the order of the tasks."""
    found = []
    for file_name in os.listdir(pool):
        name, *numbers = file_name.rsplit(".", 2)
        if name and len(numbers) == 2 and all(number.isdigit() for number in numbers):
            found.append(Range(name, *map(int, numbers)))
    return sorted((each for each in found if each.next < each.end), key=lambda each: each.next)


def claim(pool: str, wanted: Callable[[int], int]) -> Optional[Tuple[int, int]]:
    """Take tasks: (first, one after the last), or None if none are left.

    ``wanted`` says how many, given how many are left.
    """
    pause = 0.001
    while True:
        left = ranges(pool)
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
            return chosen.next, end


def _make(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
