"""How much is below a directory. Of a large tree the cluster's other cores measure a part, in processes that help.

Only Python's own call for a file's size is slow here, and it holds the interpreter: threads would not help. The processes
are new ones, as a fork of the agent, which has threads, is not safe. Which of them is late or dies changes no answer.
"""

import contextlib
import marshal
import os
import select
import stat
import sys
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .cores import cores
from .listing import Skipped
from .measuring import measure

__all__ = ["disk_usage"]

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from clustrix_remote.measuring import serve; serve()"

# Entries: a smaller tree is done before a process has begun; how often helpers are looked at; what one is handed at once.
ALONE, ROUND, HANDED = 4096, 256, 2048
# A login node is others', too.
AT_MOST = 4
DIRECTORIES_HANDED = 128


def disk_usage(top: bytes, on_error: str, helpers: Optional[int] = None) -> Tuple[int, int, List[str]]:
    """(bytes, files, skipped): apparent sizes of regular files. Links have none, and a file with several names counts once."""
    info = os.stat(top)
    if not stat.S_ISDIR(info.st_mode):
        return info.st_size, 1, []
    usage, waiting = _Usage(top, on_error), [top]
    usage.add(measure(waiting, ALONE))
    if waiting:
        with _crew(_usual_helpers() if helpers is None else helpers) as crew:
            _measure_together(waiting, usage, crew)
    return usage.total, usage.count, sorted(usage.skipped.paths)


@contextlib.contextmanager
def _crew(size: int) -> "Iterator[List[_Helper]]":
    crew: List[_Helper] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where no more processes are to be had, fewer do it
            while len(crew) < size:
                crew.append(_Helper())
                stack.callback(crew[-1].end)
        yield crew


def _usual_helpers() -> int:
    # On the client this package has another name: sys.executable need not be a Python there, and is not ours to start.
    is_on_a_cluster = __name__.startswith("clustrix_remote.") and os.name == "posix" and bool(sys.executable)
    return min(cores(), AT_MOST) - 1 if is_on_a_cluster else 0


def _measure_together(waiting: List[bytes], usage: "_Usage", crew: "List[_Helper]") -> None:
    busy = {helper.number: helper for helper in crew}  # with beginning, at first
    idle: List[_Helper] = []
    while waiting or any(helper.given for helper in busy.values()):
        while idle and len(waiting) > 1:
            helper = idle.pop()
            # The oldest, which are the highest and have most below them.
            share = min(DIRECTORIES_HANDED, len(waiting) // 2)
            helper.give(waiting[:share])
            del waiting[:share]
            busy[helper.number] = helper
        if waiting:
            usage.add(measure(waiting, ROUND))
        for helper in _with_answers(busy, 0 if waiting else None):
            del busy[helper.number]
            answer = helper.answer()
            if answer is None:
                waiting += helper.given
                continue
            usage.add(answer[0])
            waiting += answer[1]
            helper.given = []
            idle.append(helper)


def _with_answers(busy: "Dict[int, _Helper]", timeout: Optional[int]) -> "List[_Helper]":
    if not busy:
        return []
    poll = select.poll()
    for number in busy:
        poll.register(number, select.POLLIN)
    return [busy[number] for number, _ in poll.poll(timeout)]


class _Usage:
    """What has been found so far."""

    def __init__(self, top: bytes, on_error: str) -> None:
        self._top = top
        self._alone, self._files = 0, 0
        self._linked: Dict[Tuple[int, int], int] = {}
        self.skipped = Skipped(on_error)

    def add(self, sums: Any) -> None:
        size, count, linked, errors = sums
        self._alone += size
        self._files += count
        self._linked.update(linked)
        for path, number, words in errors:
            self.skipped.note(path, OSError(number, words, path), path == self._top)

    @property
    def total(self) -> int:
        return self._alone + sum(self._linked.values())

    @property
    def count(self) -> int:
        return self._files + len(self._linked)


class _Helper:
    """A process that measures what it is handed. It ends by itself when this one does."""

    def __init__(self) -> None:
        import subprocess  # noqa: PLC0415 - most trees are small, and a job begins the sooner

        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._questions: Any = self._process.stdin
        self._answers: Any = self._process.stdout
        self.given: List[bytes] = []

    @property
    def number(self) -> int:
        """The file descriptor of its answers."""
        return int(self._answers.fileno())

    def give(self, directories: List[bytes]) -> None:
        self.given = directories
        with contextlib.suppress(BrokenPipeError):  # it is dead, which its answer tells
            marshal.dump((directories, HANDED), self._questions)
            self._questions.flush()

    def answer(self) -> Optional[Tuple[Any, List[bytes]]]:
        """What it found, and the directories that it did not come to; None if it is dead."""
        try:
            sums, left = marshal.load(self._answers)  # noqa: S302 - from the process that this one started
        except (EOFError, ValueError, TypeError):  # at its end, or in the middle of an answer
            return None
        return sums, left

    def end(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._answers.close()
        self._process.wait()
