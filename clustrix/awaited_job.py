"""A job whose end is awaited, as the executor knows it."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clustrix.future import ClusterFuture
    from clustrix.journal import Entry
    from clustrix.progress import Track
    from clustrix.serialization import Outcome

__all__ = ["AwaitedJob"]


class AwaitedJob:
    """``written`` is None while it goes on, then how many bytes it is known to have written, by file; ``printer`` shows them.

    ``changed`` is one for all jobs: conditions of their own would be half of what a hundred thousand jobs need of memory.
    """

    def __init__(self, future: ClusterFuture, entry: Entry, track: Track, changed: threading.Condition) -> None:
        self.future = future
        self.track = track
        # Most of an entry is the configuration, which nobody needs but who reads the journal.
        self.entry = dataclasses.replace(entry, config={})
        self.made: Mapping[Any, str] = {}
        self.started = time.perf_counter()
        self.is_sent = False
        self.is_cancelled = False
        self.is_ending = False
        self.is_kept = False  # its files stay when it has ended
        self.is_submitted = False
        self.is_over = False
        self.written: Mapping[str, int] | None = None
        self.printer: threading.Thread | None = None
        self._changed = changed
        self._guard = threading.Lock()
        self._followers = 0
        self._is_dropped = False

    def note_submitted(self, scheduler_id: str | None) -> None:
        if not self.future.began:
            self.track.begin(f"queued as {scheduler_id}")
        with self._changed:
            self.is_submitted = True
            self._changed.notify_all()

    def note_turn(self, position: int, waiting: int, starts_in: float | None) -> None:
        """It is the ``position``-th of those ``waiting``, and may start in ``starts_in`` seconds, if anybody knows."""
        if not self.future.began:
            start = "" if starts_in is None else f", may start in {_in_words(starts_in)}"
            self.track.words = f"queued as {self.future.scheduler_id}: {position} of {waiting} waiting{start}"

    def note_began(self) -> None:
        if not self.future.began:
            self.future.began = True
            self.track.begin("running")

    def note_over(self) -> None:
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def wait_until_submitted(self) -> None:
        """Wait until it was submitted, or has failed to be."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_submitted or self.is_over)

    def wait_until_over(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.is_over, timeout)

    def begin_following(self) -> bool:
        """Keep its files until ``end_following``; False where they are kept no more."""
        with self._guard:
            self._followers += not self._is_dropped
            return not self._is_dropped

    def end_following(self) -> bool:
        """Whether its files are to be dropped now."""
        with self._guard:
            self._followers -= 1
            return self._is_dropped and not self._followers

    def drop_files(self) -> bool:
        """Nobody may begin to follow any more; whether nobody does, so that its files can be dropped now."""
        with self._guard:
            self._is_dropped = True
            return not self._followers

    def note_facts(self, outcome: Outcome) -> None:
        """Have the future tell what the result's head says of the job."""
        future, head = self.future, outcome.head
        stages = head["stages"]
        future.note_facts(head)
        known = sum(future.timings.values()) + sum(seconds for _, seconds in stages)
        future.timings["queue and notice"] = max(0.0, time.perf_counter() - self.started - known)
        future.timings.update({f"{name} in the job": seconds for name, seconds in stages})


def _in_words(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
