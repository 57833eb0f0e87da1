"""Adds up sizes in directories: a part of disk_usage.py, also run as a process of its own that is handed some of them.

Such a process does nothing else and begins at once, so this imports nothing that takes time, `typing` neither.
"""

import marshal
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    # Bytes and number of the files that have one name; the size of each that has several, by device and inode; and what
    # could not be read, as path, errno and words.
    Sums = Tuple[int, int, Dict[Tuple[int, int], int], List[Tuple[bytes, Optional[int], Optional[str]]]]

__all__ = ["measure", "serve"]


def measure(waiting: "List[bytes]", limit: int) -> "Sums":
    """Take directories off the end of ``waiting``, and put those in them there, until about ``limit`` entries are seen."""
    total = count = seen = 0
    linked: "Dict[Tuple[int, int], int]" = {}
    errors: "List[Tuple[bytes, Optional[int], Optional[str]]]" = []
    while waiting and seen < limit:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    seen += 1
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                            continue
                        info = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        errors.append((entry.path, error.errno, error.strerror))
                        continue
                    if not stat.S_ISREG(info.st_mode):
                        continue
                    if info.st_nlink > 1:
                        linked[info.st_dev, info.st_ino] = info.st_size
                        continue
                    total += info.st_size
                    count += 1
        except OSError as error:
            errors.append((directory, error.errno, error.strerror))
    return total, count, linked, errors


def serve() -> None:
    """Answer each (directories, limit) from stdin with what ``measure`` finds and leaves, until stdin ends."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    waiting, limit = [], 0  # type: Tuple[List[bytes], int]
    while True:
        # The first, to no question, says that it is there.
        marshal.dump((measure(waiting, limit), waiting), answers)
        answers.flush()
        try:
            waiting, limit = marshal.load(questions)  # noqa: S302 - from the process that started this one
        except EOFError:
            return
