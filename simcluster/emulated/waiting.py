"""What a command does that returns only when its jobs are over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = ["until_ended"]


async def until_ended(core: Core, jobs: Sequence[Job]) -> None:
    """Wait until nothing more happens to any of these jobs."""
    waiting, changed = set(jobs), asyncio.Event()

    def look(job: Job) -> None:
        if job in waiting:
            changed.set()

    core.listeners.append(look)
    try:
        while not all(job.has_ended for job in jobs):
            changed.clear()
            await changed.wait()
    finally:
        core.listeners.remove(look)
