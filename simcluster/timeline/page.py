"""The HTML page around the chart."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.history import History
    from simcluster.timeline import TestSpan

__all__ = ["page"]


def page(histories: Sequence[History], rows: Sequence[TestSpan], title: str) -> str:
    """The whole page."""
    lines = [
        f"<tr><td>{escape(job.id)}<td>{escape(run.state)}"
        for history in histories
        for job in history.jobs
        for run in job.runs
    ]
    lines += [f"<tr><td>{escape(row.name)}<td>{escape(row.outcome)}" for row in rows]
    return f"<!doctype html><title>{escape(title)}</title><table>{''.join(lines)}</table>\n"
