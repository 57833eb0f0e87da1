"""Threads for work in the background that do not keep the interpreter from ending.

Those of concurrent.futures.ThreadPoolExecutor are joined at exit, whatever they wait for: after Ctrl-C during the build
of an environment, the terminal would hang for as long as that takes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Workers"]

_log = logging.getLogger("clustrix")


class Workers:
    """At most ``most`` daemon threads, started as they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._tasks: queue.Queue[tuple[Callable[..., object], tuple[Any, ...]]] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Run ``function(*args)`` as soon as a thread is free."""
        with self._guard:
            self._tasks.put((function, args))
            if self._tasks.unfinished_tasks > len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def drain(self, timeout: float | None = None) -> None:
        """Return when all that was submitted is done, or after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._tasks.all_tasks_done:
            while self._tasks.unfinished_tasks:
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return
                self._tasks.all_tasks_done.wait(remaining)

    def _work(self) -> None:
        while True:
            function, args = self._tasks.get()
            try:
                function(*args)
            except Exception:  # noqa: BLE001 - a thread that dies of one task would be missing for all others
                _log.exception("a task in the background failed")
            finally:
                self._tasks.task_done()
