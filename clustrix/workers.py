"""Threads for work in the background that do not keep the interpreter from ending.

Those of concurrent.futures.ThreadPoolExecutor are joined at exit, whatever they wait for: after Ctrl-C during the build
of an environment, the terminal would hang for as long as that takes.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    _Task = tuple[Callable[..., object], tuple[Any, ...]]

__all__ = ["Workers", "before_exit", "forget_exit"]

_log = logging.getLogger("clustrix")


class Workers:
    """``count`` daemon threads, started all at once when they are first needed: none can be at the interpreter's exit."""

    def __init__(self, count: int, name: str) -> None:
        self._names = [f"{name}-{number}" for number in range(count)]
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the threads, if they are not there yet."""
        with self._guard:
            while self._names:
                thread = threading.Thread(target=_work, args=(self._tasks,), name=self._names.pop(), daemon=True)
                self._threads.append(thread)
                thread.start()

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Run ``function(*args)`` as soon as a thread is free."""
        self._tasks.put((function, args))
        self.start()

    def drain(self, timeout: float | None = None) -> None:
        """Return when all that was submitted is done, or after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        # Whoever shuts down in the callback of a future is one of the tasks itself.
        own = int(threading.current_thread() in self._threads)
        with self._tasks.all_tasks_done:
            while self._tasks.unfinished_tasks > own:
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return
                self._tasks.all_tasks_done.wait(remaining)

    def stop(self) -> None:
        """End the threads once all that was submitted is done; no more may be submitted."""
        with self._guard:
            self._names.clear()
            for _ in self._threads:
                self._tasks.put(None)


def _work(tasks: queue.Queue[_Task | None]) -> None:
    while (task := tasks.get()) is not None:
        try:
            task[0](*task[1])
        except Exception:  # noqa: BLE001, PERF203 - a thread that dies of one task would be missing for all others
            _log.exception("a task in the background failed")
        finally:
            # Nothing of a task may be kept until the next one comes: it may hold large values.
            del task
            tasks.task_done()
    tasks.task_done()


_exit_guard = threading.Lock()
_exit_callbacks: list[weakref.WeakMethod[Callable[[], object]]] = []
_exit_waiter: int | None = None


def before_exit(callback: Callable[[], object]) -> None:
    """Call the method ``callback`` when the main thread has ended, if its object still is there. No thread can be started then (Python 3.12 and newer).

    atexit would be too late: paramiko's own callback closes all connections.
    """
    global _exit_waiter  # noqa: PLW0603
    with _exit_guard:
        _exit_callbacks.append(weakref.WeakMethod(callback))
        if _exit_waiter != os.getpid():  # a forked child has the list and not the thread
            _exit_waiter = os.getpid()
            threading.Thread(target=_call_before_exit, name="clustrix-exit", daemon=False).start()


def forget_exit(callback: Callable[[], object]) -> None:
    """Take back ``before_exit``."""
    with _exit_guard:
        _exit_callbacks[:] = [known for known in _exit_callbacks if known() not in (callback, None)]


def _call_before_exit() -> None:
    threading.main_thread().join()
    for known in _exit_callbacks.copy():
        try:
            callback = known()
            if callback is not None:
                callback()
        except Exception:  # noqa: BLE001, PERF203 - the others still have to be called
            _log.exception("leaving failed")
