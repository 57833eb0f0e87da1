"""What the page tells about each thing that is drawn, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simcluster.timeline.axis import clock_time, duration

if TYPE_CHECKING:
    from simcluster.history import FaultSpan, History, JobHistory, NodeHistory
    from simcluster.timeline.axis import Axis
    from simcluster.timeline.spans import TestSpan

__all__ = ["KEYS", "Facts", "plain"]

KEYS = {
    "job": (
        "job",
        "name",
        "state",
        "user",
        "node",
        "cores",
        "submitted",
        "started",
        "ended",
        "waited",
        "ran",
        "exit code",
        "reason",
        "cluster",
    ),
    "test": ("test", "outcome", "started", "ended", "took", "worker", "detail"),
    "fault": ("fault", "of", "from", "until", "lasted", "cluster"),
    "down": ("node", "state", "from", "until", "lasted", "cluster"),
}
"""What is told about each kind of thing."""


@dataclass(frozen=True)
class Facts:
    """Rows of words, each with its kind first; what is drawn knows the number of its row."""

    axis: Axis
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def of_run(self, history: History, job: JobHistory, number: int) -> int:
        """Add one run of a job; its row."""
        run = job.runs[number]
        end = history.taken if run.end is None else run.end
        before = job.submitted if number == 0 else job.runs[number - 1].end
        return self._add(
            "job",
            f"{job.id} (run {number + 1} of {len(job.runs)})" if len(job.runs) > 1 else job.id,
            job.name,
            run.state,
            job.user,
            ", ".join(run.nodes),
            str(sum(run.cpus)),
            self._moment(job.submitted),
            self._moment(run.start),
            self._moment(run.end),
            duration(max(0.0, run.start - before)) if before is not None else "",
            duration(max(0.0, end - run.start)),
            job.exit_code or "" if number == len(job.runs) - 1 else "",
            job.reason or "" if number == len(job.runs) - 1 else "",
            history.cluster,
        )

    def of_waiting(self, history: History, job: JobHistory) -> int:
        """Add a job that never ran; its row."""
        moments = self._moment(job.submitted), "", self._moment(job.ended)
        waited = duration(max(0.0, (history.taken if job.ended is None else job.ended) - job.submitted))
        words = (*moments, waited, "", job.exit_code or "", job.reason or "", history.cluster)
        return self._add("job", job.id, job.name, job.state, job.user, "", "", *words)

    def of_test(self, test: TestSpan) -> int:
        """Add a test; its row."""
        span = self._span(test.start, test.end)
        return self._add("test", test.name, test.outcome, *span, test.lane, test.detail)

    def of_fault(self, history: History, fault: FaultSpan) -> int:
        """Add a fault; its row."""
        return self._add("fault", fault.name, fault.detail, *self._span(fault.start, fault.end), history.cluster)

    def of_absence(self, history: History, node: NodeHistory, span: tuple[float, float | None]) -> int:
        """Add a span in which a node was down; its row."""
        return self._add("down", node.name, "down", *self._span(*span), history.cluster)

    def _add(self, *words: str) -> int:
        self.rows.append(tuple(plain(word) for word in words))
        return len(self.rows) - 1

    def _span(self, start: float, end: float | None) -> tuple[str, str, str]:
        return self._moment(start), self._moment(end), "" if end is None else duration(max(0.0, end - start))

    def _moment(self, seconds: float | None) -> str:
        """The time of day, and how long that is after the left end of the axis."""
        if seconds is None:
            return "not yet"
        return f"{clock_time(seconds)} (+{duration(max(0.0, seconds - self.axis.start))})"


def plain(text: str) -> str:
    """Text in which nothing is invisible: no control characters, none that turn the direction of writing."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "�" for letter in text)
