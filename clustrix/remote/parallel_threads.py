"""A run in threads of this process: for what waits more than it computes, or can't leave the process."""

import queue
import threading
import time
from typing import Any, Callable, Dict, Iterable, Iterator, Optional

from .outcomes import Outcome, timed_out

__all__ = ["run_in_threads"]

# Items are read so many ahead of the oldest that is not done, for each thread.
AHEAD = 32


def run_in_threads(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int, timeout: Optional[float]
) -> Iterator[Outcome]:
    """As ``Pool.run``. No thread can be killed: one that is at an item ends after it, and does not keep the interpreter from ending."""
    deadline = None if timeout is None else time.monotonic() + timeout
    tasks: "queue.Queue[Any]" = queue.Queue()
    ends: "queue.Queue[Outcome]" = queue.Queue()
    is_over = threading.Event()
    done: Dict[int, Outcome] = {}
    items, started, given, error, is_read = iter(items), 0, 0, None, False
    try:
        for position in range(1 << 62):
            while not is_read and given - position < AHEAD * workers:
                try:
                    tasks.put((given, next(items)))
                except StopIteration:
                    is_read = True
                    continue
                except Exception as raised:  # noqa: BLE001 - it comes when the loop would have come to it
                    is_read, error = True, raised
                    continue
                given += 1
                if started < min(workers, given):
                    started += 1
                    name = "clustrix-pool-%d" % started
                    threading.Thread(
                        target=_work, args=(function, tasks, ends, is_over), name=name, daemon=True
                    ).start()
            if position == given:
                break
            while position not in done:
                outcome = _next(ends, deadline)
                if outcome is not None:
                    done[outcome.index] = outcome
                elif deadline is not None and time.monotonic() >= deadline:
                    raise timed_out(timeout, position, given if is_read else None)
            yield done.pop(position)
        if error is not None:
            raise error
    finally:
        is_over.set()
        for _ in range(started):
            tasks.put(None)


def _next(ends: "queue.Queue[Outcome]", deadline: Optional[float]) -> Optional[Outcome]:
    # Windows notices Ctrl-C only between two waits.
    longest = 1.0 if deadline is None else max(0.0, min(1.0, deadline - time.monotonic()))
    try:
        return ends.get(timeout=longest)
    except queue.Empty:
        return None


def _work(function: Any, tasks: Any, ends: Any, is_over: threading.Event) -> None:
    while True:
        task = tasks.get()
        if task is None or is_over.is_set():
            return
        try:
            outcome = Outcome(task[0], function(task[1]))
        except BaseException as error:  # noqa: BLE001 - SystemExit is the function's own, too
            outcome = Outcome(task[0], None, error)
        ends.put(outcome)
        # Nothing of it may be kept until the next one comes.
        del task, outcome
