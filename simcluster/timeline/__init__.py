"""Histories as a picture: who ran where and when, on one HTML page that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from simcluster.timeline.page import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.history import History

__all__ = ["TestSpan", "render", "write_timeline"]


@dataclass(frozen=True)
class TestSpan:
    """A test on the time axis of the clusters that it used. Times are Unix seconds, `end` None while it runs.

    `outcome` is "passed", "failed", "error", "skipped" or "xfailed". Tests of one `lane` (such as a worker) stand together.
    """

    __test__: ClassVar[bool] = False

    name: str
    outcome: str
    start: float
    end: float | None
    lane: str = ""
    detail: str = ""


def render(histories: Sequence[History], rows: Sequence[TestSpan] = (), title: str | None = None) -> str:
    """The page of one or several clusters on one time axis, with a band of tests above them."""
    return page(histories, rows, title or ", ".join(history.cluster for history in histories) or "no cluster")


def write_timeline(
    path: str | Path, histories: Sequence[History], rows: Sequence[TestSpan] = (), title: str | None = None
) -> Path:
    """Write the page; its path is returned."""
    file = Path(path)
    file.write_text(render(histories, rows, title), encoding="utf-8")
    return file
