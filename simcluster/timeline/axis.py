"""The time axis: which span of time is shown, where its ticks are, and how times are written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simcluster.history import History
    from simcluster.timeline.spans import TestSpan

__all__ = ["Axis", "choose_axis", "clock_time", "duration"]

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_DAY = 86400
_LEAST = 1.0
_MARGIN = 0.02


@dataclass(frozen=True)
class Axis:
    """The span of time that is shown, in Unix seconds."""

    start: float
    end: float

    def at(self, seconds: float) -> float:
        """Where a moment is, from 0 at the left to 1 at the right."""
        return min(1.0, max(0.0, (seconds - self.start) / (self.end - self.start)))

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """At most so many round moments since the start, as places and labels."""
        span = self.end - self.start
        step = next((step for step in _STEPS if span / step <= about), 0) or _DAY * (int(span / _DAY / about) + 1)
        return [(number * step / span, _tick(number * step, step)) for number in range(int(span / step + 1e-9) + 1)]


def choose_axis(histories: Sequence[History], tests: Sequence[TestSpan]) -> Axis:
    """From the start of the clusters, or if nothing happened for long from the first event, to a little after the last."""
    moments = [moment for history in histories for moment in _moments(history)]
    moments += [moment for test in tests for moment in (test.start, test.end) if moment is not None]
    taken = [history.taken for history in histories]
    is_open = any(_is_open(history) for history in histories) or any(test.end is None for test in tests)
    starts = [history.started for history in histories]
    first, last = (
        min(moments or starts, default=0.0),
        max([*moments, *(taken if is_open or not moments else ())], default=0.0),
    )
    if starts and 0 <= first - min(starts) <= max(_LEAST, (last - first) / 4):
        first = min(starts)
    now = max(taken, default=last)
    last = max(last, min(now, last + _MARGIN * (last - first)))
    return Axis(first, max(last, first + _LEAST))


def clock_time(seconds: float) -> str:
    """The time of day on this machine."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """A span of time in words: `0.35 s`, `12.3 s`, `2 min 5 s`, `1 h 2 min`, `3 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds:.2f} s"
    whole = round(seconds)
    for name, unit, below, smaller in (("min", 60, 1, "s"), ("h", 3600, 60, "min"), ("d", _DAY, 3600, "h")):
        if name == "d" or whole < (3600 if name == "min" else _DAY):
            rest = whole % unit // below
            return f"{whole // unit} {name} {rest} {smaller}" if rest else f"{whole // unit} {name}"
    raise AssertionError


def _moments(history: History) -> Iterator[float]:
    for job in history.jobs:
        yield job.submitted
        yield from (moment for run in job.runs for moment in (run.start, run.end) if moment is not None)
        if job.ended is not None:
            yield job.ended
    for start, end in (
        *(span for node in history.nodes for span in node.down),
        *((f.start, f.end) for f in history.faults),
    ):
        yield start
        if end is not None:
            yield end


def _is_open(history: History) -> bool:
    return (
        any(job.ended is None for job in history.jobs)
        or any(fault.end is None for fault in history.faults)
        or any(end is None for node in history.nodes for _, end in node.down)
    )


def _tick(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    if step >= _DAY and seconds:
        return f"{seconds / _DAY:.0f} d"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if whole < 60:
        return f"{whole} s"
    if step < 60:
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"
    return f"{hours}:{minutes:02} h" if hours else f"{minutes} min"
