"""Tells now and then when jobs that wait are likely to start, if somebody looks on."""

import contextlib
import time
from typing import Callable, Dict, NamedTuple

from .schedulers import SchedulerError, Turn, scheduler

__all__ = ["Queued", "Turns"]

# Seconds between questions: a queue is long, and its order of no use but for patience.
EVERY_FIRST, EVERY_LAST = 30.0, 300.0


class Queued(NamedTuple):
    """When a job that waits is likely to start."""

    job_id: str
    turn: Turn


class Turns:
    """The questions of one watch. ``tell`` gets what has changed."""

    def __init__(self, tell: Callable[[Queued], None]) -> None:
        self._tell = tell
        self._next: Dict[str, float] = {}
        self._pause: Dict[str, float] = {}
        self._told: Dict[str, Turn] = {}

    def look(self, scheduler_name: str, waiting: Dict[str, str]) -> None:
        """Ask about the jobs ``waiting``, by the scheduler's number: at once when one is new, else ever more rarely."""
        is_new = not self._told.keys() >= set(waiting.values())
        now = time.time()
        if not waiting or not (is_new or now >= self._next.get(scheduler_name, 0.0)):
            return
        self._pause[scheduler_name] = EVERY_FIRST if is_new else min(EVERY_LAST, self._pause[scheduler_name] * 1.5)
        self._next[scheduler_name] = now + self._pause[scheduler_name]
        # It is not worth a complaint: the jobs wait as they did.
        with contextlib.suppress(SchedulerError):
            turns = scheduler(scheduler_name).turns(list(waiting))
            for scheduler_id, job_id in waiting.items():
                turn = turns.get(scheduler_id, Turn(0, 0))
                if turn.position and turn != self._told.get(job_id):
                    self._tell(Queued(job_id, turn))
                self._told[job_id] = turn
