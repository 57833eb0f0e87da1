"""A process of a pool, as its parent knows it."""

import collections
import contextlib
import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from typing import Any, Callable, Deque, Iterator, Optional, Sequence, Set, Tuple

from .chunks import Chunk
from .interrupts import withheld
from .parallel_worker import SLOTS, Done, Progress, Start, work
from .shared_values import receive, send

__all__ = ["WorkerProcess"]

# Seconds. A worker that was told to leave flushes its output, and does nothing else.
LEAVES_WITHIN = 5.0

_starting = threading.Lock()
# A forked process closes them: all the ends of pipes to workers that this process has.
_our_ends: Set[Any] = set()


class WorkerProcess:
    """A worker, which waits for chunks once it is started.

    Whoever makes one keeps it before it is started, so that an interrupt at any moment leaves no process that nobody knows.
    """

    def __init__(
        self,
        method: str,
        function: Optional[Callable[[Any], Any]],
        items: Optional[Sequence[Any]],
        picklers: Sequence[Any],
        native_threads: int,
    ) -> None:
        self._context: Any = multiprocessing.get_context(method)
        self.is_forked = method == "fork"
        # What it has to do, in order, with the slot of each.
        self._chunks: Deque[Tuple[int, Chunk]] = collections.deque()
        self._next_slot = 0
        self.since = 0.0
        self.has_begun = False
        self._function, self._items = function, items
        self._picklers = picklers
        self._native_threads = native_threads
        self._progress = Progress(self._context)
        self._ours: Tuple[Any, ...] = ()
        self._theirs: Tuple[Any, ...] = ()
        self.connection: Any = None
        self.process: Any = None

    def start(self) -> None:
        """Have it begin to wait."""
        with withheld():
            self._start()

    def _start(self) -> None:
        # One at a time: a worker that has a copy of another's pipe hides its end.
        with _starting:
            self.connection, theirs = self._context.Pipe()
            lifeline, ours = self._context.Pipe(duplex=False)
            self._ours = (self.connection, ours)
            # Python loses an interrupt in a __del__, where it often meets one: theirs are not deleted before ours.
            self._theirs = (theirs, lifeline)
            _our_ends.update(self._ours)
            try:
                start = Start(
                    theirs,
                    lifeline,
                    self._progress,
                    self._function if self.is_forked else None,
                    self._items,
                    self._picklers,
                    self._native_threads,
                )
                self.process = self._context.Process(target=_begin, args=(start,), name="clustrix-worker")
                with contextlib.ExitStack() as surroundings:
                    # A class of pickler that takes the main module's things by value need not have them imported.
                    if not self.is_forked and self._picklers[-1] is not pickle.Pickler:
                        surroundings.enter_context(_without_main_file())
                    _start_process(self.process, self.is_forked)
            finally:
                theirs.close()
                lifeline.close()
        if not self.is_forked:
            stream = io.BytesIO()
            # The last of them takes what the others refuse, and functions of the main module by value.
            self._picklers[-1](stream, min(5, pickle.HIGHEST_PROTOCOL)).dump(self._function)
            self.function(stream.getvalue())

    def function(self, pickled: bytes) -> None:
        """Have it call another function."""
        send(self.connection, ("function", 0, 0, pickled), self._picklers)

    @property
    def load(self) -> int:
        """How many chunks it has."""
        return len(self._chunks)

    def give(self, chunk: Chunk, values: Any) -> None:
        """Have it do a chunk, after the one that it may have."""
        slot, self._next_slot = self._next_slot, (self._next_slot + 1) % SLOTS
        if not self._chunks:
            self.since = time.monotonic()
        self._chunks.append((slot, chunk))
        self._progress.set(slot, *chunk)
        # A worker that is dead is found by its end.
        with contextlib.suppress(ConnectionError):
            # Items of a spawned process's main module can't be read by their names.
            picklers = self._picklers if self.is_forked else self._picklers[-1:]
            send(self.connection, ("items", slot, chunk.first, values), picklers)

    def done(self) -> Done:
        """What came of its first chunk, or of a part. Raises EOFError or OSError if it died."""
        done = Done(*receive(self.connection))
        self.since, self.has_begun = time.monotonic(), True
        return done

    def finish(self) -> Tuple[Chunk, int]:
        """It has no more to do with its first chunk: which that was, and one after the last item that was begun."""
        slot, chunk = self._chunks.popleft()
        return chunk, self._progress.begun(slot)

    def left(self) -> int:
        """How many items it has not begun."""
        return sum(self._progress.left(slot) for slot, _ in self._chunks)

    def take(self, most: int) -> Chunk:
        """Take up to ``most`` items, from the end, and no more than half of what is left, rounded up."""
        most = min(most, (self.left() + 1) // 2)
        for index in reversed(range(len(self._chunks))):
            slot, chunk = self._chunks[index]
            taken = Chunk(*self._progress.cut(slot, most))
            if taken.first < taken.stop:
                self._chunks[index] = slot, Chunk(chunk.first, taken.first)
                return taken
        return Chunk(0, 0)

    def how_it_ended(self) -> str:
        """In words, once it is dead."""
        self.process.join()
        code = self.process.exitcode
        if code is None or code >= 0:
            return "ended with exit status %s" % code
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "signal %d" % -code
        return "died of " + name + (" (killed; for want of memory, perhaps)" if name == "SIGKILL" else "")

    def leave(self) -> None:
        """Have it end by itself."""
        if self.connection is None:  # it was never started
            return
        with contextlib.suppress(OSError, ValueError):
            send(self.connection, None, self._picklers)

    def end(self, at_once: bool) -> None:
        """Wait until it has ended, which it does ``at_once``, with all that it has started, or by itself."""
        # A process that was forked when its start was interrupted ends with its lifeline.
        if self.process is not None and self.process.pid is not None:
            if not at_once:
                self.process.join(LEAVES_WITHIN)
            if self.process.exitcode is None or at_once:
                self._kill()
            self.process.join()
        for end in self._ours:
            _our_ends.discard(end)
            end.close()

    def _kill(self) -> None:
        pid = self.process.pid
        if pid is None or self.process.exitcode is not None:
            return
        if sys.platform == "win32":
            self.process.terminate()
            return
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):  # it may not have made its group yet
            os.kill(pid, signal.SIGKILL)


def _begin(start: Start) -> None:
    """In the worker, which may have pools of its own: leave alone what a fork has copied of its parent's."""
    global _starting  # noqa: PLW0603
    _starting = threading.Lock()
    for end in _our_ends:
        end.close()
    _our_ends.clear()
    work(start)


def _start_process(process: Any, is_forked: bool) -> None:
    if is_forked and sys.version_info >= (3, 12):
        # Other threads, of which not all are Python's, may hold locks that the worker will want. That is so with every fork; "spawn" is
        # the way around it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            process.start()
    else:
        process.start()


@contextlib.contextmanager
def _without_main_file() -> Iterator[None]:
    """Keep a spawned process from running the script anew, which scripts without ``if __name__ == "__main__"`` do not expect.

    multiprocessing finds the script by these two attributes.
    """
    names = vars(sys.modules["__main__"])
    hidden = {name: names[name] for name in ("__file__", "__spec__") if names.get(name) is not None}
    names.update(__spec__=None)
    names.pop("__file__", None)
    try:
        yield
    finally:
        names.update(hidden)
