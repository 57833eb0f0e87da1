"""Histories as a picture: who ran where and when, on one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.timeline.page import make_page
from simcluster.timeline.spans import TestSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.history import History

__all__ = ["TestSpan", "render", "write_timeline"]


def render(histories: Sequence[History], rows: Sequence[TestSpan] = (), title: str | None = None) -> str:
    """The page of one or several clusters on one time axis, with a band of tests above them."""
    return make_page(histories, rows, title or ", ".join(history.cluster for history in histories) or "no cluster")


def write_timeline(
    path: str | Path, histories: Sequence[History], rows: Sequence[TestSpan] = (), title: str | None = None
) -> Path:
    """Write the page; its path is returned."""
    file = Path(path)
    file.write_text(render(histories, rows, title), encoding="utf-8")
    return file
