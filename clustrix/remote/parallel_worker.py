"""What a process of a pool does, and what it shares with its parent: how far it is, and how far it is to go.

Both may change the latter: the parent takes from the end what an idle worker can do sooner. So items are claimed under a lock.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .cores import be_one_of_many
from .interrupts import leave_to_the_parent
from .lifeline import end_with
from .native_threads import limit_native_threads, say_native_threads
from .shared_values import dump, receive, send, send_dumped
from .wire import describe_exception

__all__ = ["SLOTS", "Done", "Progress", "Start", "work"]

# Seconds. What is done is handed over by then, so that whoever waits for it need not wait for the rest of the chunk.
LONGEST_CHUNK = 0.2
# Seconds of work that are claimed at once: a claim costs some microseconds.
CLAIMED = 0.004
# Chunks that a worker has at most: while its parent hears of one, and on a busy machine that takes long, it does the other.
SLOTS = 2


class Progress:
    """Up to SLOTS chunks that a worker has, each from a first item on: claimed by it, some at once, and cut short by its parent."""

    def __init__(self, context: Any) -> None:
        # Of each slot: the first item that is not claimed, where its chunk stops, and the first that is not begun.
        self._numbers = context.RawArray(ctypes.c_longlong, 3 * SLOTS)
        self._lock = context.Lock()

    def set(self, slot: int, first: int, stop: int) -> None:
        """Put other items into a slot that is done with."""
        with self._lock:
            self._numbers[3 * slot : 3 * slot + 3] = [first, stop, first]

    def claim(self, slot: int, most: int) -> Tuple[int, int]:
        """The next items, no more than a quarter of what is left: from where up to where, which is the same if there are none."""
        numbers, at = self._numbers, 3 * slot
        with self._lock:
            first: int = numbers[at]
            left = numbers[at + 1] - first
            if left <= 0:
                return first, first
            numbers[at] = first + max(1, min(most, left // 4))
            return first, numbers[at]

    def begin(self, slot: int, item: int) -> None:
        """One that was claimed; nobody else writes this number."""
        self._numbers[3 * slot + 2] = item + 1

    def left(self, slot: int) -> int:
        """How many have not been claimed, at least for now."""
        return int(max(0, self._numbers[3 * slot + 1] - self._numbers[3 * slot]))

    def begun(self, slot: int) -> int:
        """One after the last item that was begun."""
        return int(self._numbers[3 * slot + 2])

    def cut(self, slot: int, most: int) -> Tuple[int, int]:
        """Take up to ``most`` items from the end: from where up to where."""
        # A worker that was killed as it held the lock never gives it back.
        if not self._lock.acquire(timeout=1):
            return 0, 0
        try:
            stop: int = self._numbers[3 * slot + 1]
            taken = max(0, min(most, stop - self._numbers[3 * slot]))
            self._numbers[3 * slot + 1] = stop - taken
            return stop - taken, stop
        finally:
            self._lock.release()


class Start(NamedTuple):
    """What a worker begins with. ``items`` are those that it inherited; None if they come with each chunk."""

    connection: Any
    lifeline: Any
    progress: Progress
    function: Optional[Callable[[Any], Any]]
    items: Optional[Sequence[Any]]
    picklers: Sequence[Any]
    native_threads: int


class Done(NamedTuple):
    """The outcomes of ``size`` items from the first of a chunk; ``errors`` are records, by offset."""

    size: int
    seconds: float
    values: List[Any]
    errors: Dict[int, Any]


def work(start: Start) -> None:
    """Do what comes over the connection until it ends: a chunk's first item and the items, or another function."""
    _be_a_worker(start)
    function, items = start.function, start.items
    while True:
        try:
            message = receive(start.connection)
        except (EOFError, ConnectionError):
            return
        if message is None:
            return
        kind, slot, first, sent = message
        if kind == "function":
            function = _read_function(sent)
            # What the function's modules loaded takes all cores otherwise.
            limit_native_threads(start.native_threads)
        else:
            values, offset = (items, 0) if sent is None else (sent, first)
            done = _run(function, first, values, offset, start.progress, slot)
            try:
                _flush()
                _hand_over(start.connection, done, first, start.picklers)
            except ConnectionError:
                return
            del message, sent, values, done


def _be_a_worker(start: Start) -> None:
    if hasattr(os, "setpgid"):
        # Ctrl-C goes to the parent alone, which ends its workers, and all that they started.
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        leave_to_the_parent()
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(start.lifeline)
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)  # an event loop of the parent's
    be_one_of_many()
    say_native_threads(start.native_threads)
    # Looking at all that was inherited would copy it. Since Python 3.7.
    getattr(gc, "freeze", int)()


def _read_function(pickled: bytes) -> Callable[[Any], Any]:
    import pickle  # noqa: PLC0415

    try:
        function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
    except Exception as error:  # noqa: BLE001 - whatever a pickle raises
        # A variable of an except clause is gone after it.
        reason = error

        def function(_item: Any) -> Any:
            raise RuntimeError("the function can't be read in a worker process: %s" % _described(reason)) from reason

    return function


def _run(  # noqa: PLR0917 - what a chunk is, and where it is kept
    function: Any, first: int, items: Any, offset: int, progress: Progress, slot: int
) -> Done:
    values: List[Any] = []
    errors: Dict[int, Any] = {}
    clock = time.perf_counter
    began = now = clock()
    most = 1
    while now - began < LONGEST_CHUNK:
        item, stop = progress.claim(slot, most)
        if item == stop:
            break
        size = stop - item
        while item < stop:
            progress.begin(slot, item)
            try:
                values.append(function(items[item - offset]))
            except BaseException as error:  # noqa: BLE001 - SystemExit is the function's own, too
                errors[item - first] = _record(error)
                values.append(None)
            item += 1
        before, now = now, clock()
        most = 2 * size if now - before < CLAIMED / 2 else max(1, size // 2) if now - before > CLAIMED else size
    return Done(len(values), now - began, values, errors)


def _record(error: BaseException) -> Any:
    """The record of an exception, with its traceback from the function on, and the number by which a forked parent knows its class."""
    here = os.path.dirname(os.path.abspath(__file__))
    while error.__traceback__ is not None:
        if os.path.dirname(os.path.abspath(error.__traceback__.tb_frame.f_code.co_filename)) != here:
            break
        error.__traceback__ = error.__traceback__.tb_next
    return describe_exception(error), id(type(error))


def _flush() -> None:
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the function may have closed it
            output.flush()


def _hand_over(connection: Any, done: Done, first: int, picklers: Sequence[Any]) -> None:
    try:
        send(connection, tuple(done), picklers)
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 - whatever pickling raises; which of the values is it?
        for offset, value in enumerate(done.values):
            try:
                dump(value, picklers)
            except Exception as error:  # noqa: BLE001, PERF203
                text = "the result of item %d, %s, can't be sent from its worker: %s"
                refusal = TypeError(text % (first + offset, type(value).__qualname__, _described(error)))
                done.errors[offset] = _record(refusal)
                done.values[offset] = None
        send_dumped(connection, dump(tuple(done), picklers))


def _described(error: BaseException) -> str:
    return "%s: %s" % (type(error).__name__, error)
