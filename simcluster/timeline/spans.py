"""What stands on the time axis beside a cluster's own history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["TestSpan"]


@dataclass(frozen=True)
class TestSpan:
    """A test that used the clusters. Times are Unix seconds, `end` None while it runs.

    `outcome` is "passed", "failed", "error", "skipped" or "xfailed". Tests of one `lane` (such as a worker) stand together.
    """

    __test__: ClassVar[bool] = False

    name: str
    outcome: str
    start: float
    end: float | None
    lane: str = ""
    detail: str = ""
