"""`--simcluster-report`: the tests that used clusters above what happened there, on one time axis."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from simcluster.history import History

__all__ = ["Reporter"]

_FIXTURES = frozenset({"simcluster_factory", "sim_cluster", "slurm_cluster", "pbs_cluster", "sge_cluster", "ssh_host"})


class Reporter:
    """A pytest plugin that collects when tests ran; in workers it only says which tests used clusters."""

    def __init__(self) -> None:
        self._phases: dict[tuple[str, str], list[Any]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, None]:
        outcome = yield
        report = outcome.get_result()
        if _FIXTURES & set(getattr(item, "fixturenames", ())):
            report.simcluster_lane = os.environ.get("PYTEST_XDIST_WORKER", "tests")

    def pytest_runtest_logreport(self, report: Any) -> None:
        lane = getattr(report, "simcluster_lane", None)
        if lane is not None:
            self._phases.setdefault((lane, report.nodeid), []).append(report)

    def write(self, path: Path, histories: Iterable[History]) -> None:
        """Write the page."""
        from simcluster.timeline import TestSpan, write_timeline  # noqa: PLC0415

        spans = [
            TestSpan(
                name,
                _outcome(phases),
                min(phase.start for phase in phases),
                max(phase.stop for phase in phases),
                lane,
                next((_reason(phase) for phase in phases if not phase.passed), ""),
            )
            for (lane, name), phases in sorted(self._phases.items(), key=lambda entry: entry[0])
        ]
        write_timeline(path, sorted(histories, key=lambda history: history.started), spans, "simcluster: test run")


def _outcome(phases: Iterable[Any]) -> str:
    """As pytest's own summary has it; the words of `simcluster.timeline.TestSpan`."""
    outcome = "passed"
    for phase in phases:
        if phase.failed:
            return "failed" if phase.when == "call" else "error"
        if phase.skipped:
            outcome = "xfailed" if hasattr(phase, "wasxfail") else "skipped"
    return outcome


def _reason(phase: Any) -> str:
    """The last line of what pytest says about a test that did not pass."""
    if isinstance(phase.longrepr, tuple):
        return str(phase.longrepr[2])
    crash = getattr(phase.longrepr, "reprcrash", None)
    text = crash.message if crash else phase.longreprtext
    return str(text).strip().partition("\n")[0]
