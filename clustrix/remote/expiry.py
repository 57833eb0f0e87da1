"""Removes jobs whose result nobody fetched in time; an unfinished one is never touched.

All times are those of files, given by the file system that keeps them: no clock of a login node or a client counts.
"""

import contextlib
import os
import traceback
from typing import Any, Dict, List, Optional

from . import jobs
from .paths import JobPaths, StatePaths, check_name, write_aside
from .schedulers import JobState, SchedulerError, scheduler

__all__ = ["KEPT", "prune", "prune_daily"]

DAY = 86400.0
KEPT = 14 * DAY
"""Seconds that a result waits to be fetched after the job's end."""


def prune_daily(state: StatePaths) -> None:
    """``prune``, unless some agent did so within a day."""
    stamp = os.path.join(state.root, "pruned")
    try:
        before = os.stat(stamp).st_mtime if os.path.exists(stamp) else 0.0
        now = _now(state)
        if now - before >= DAY:
            write_aside(stamp, b"")
            prune(state)
    except Exception:  # noqa: BLE001 - to the agent's log: the jobs of today don't depend on it, and tomorrow is soon enough
        traceback.print_exc()


def prune(state: StatePaths) -> List[str]:
    """Remove every job that ended more than ``KEPT`` seconds ago; their ids."""
    now = _now(state)
    old = []
    for name in sorted(os.listdir(os.path.join(state.root, "jobs"))):
        with contextlib.suppress(ValueError, OSError):
            if now - _last_change(state.job(check_name(name))) > KEPT:
                old.append(name)
    expired = [job_id for job_id in old if os.path.exists(state.job(job_id).result)]
    expired += _dead(state, [job_id for job_id in old if job_id not in expired])
    for job_id in expired:
        jobs.forget(state, job_id)
    return expired


def _dead(state: StatePaths, job_ids: List[str]) -> List[str]:
    """Those without a result that their scheduler does not have any more; none of a scheduler that does not answer."""
    numbers: Dict[str, Dict[str, Dict[str, List[str]]]] = {}
    dead = []
    for job_id in job_ids:
        spec = _spec(state, job_id)
        if spec is None:  # its client or agent was killed as it began to be written
            dead.append(job_id)
            continue
        with contextlib.suppress(SchedulerError):
            found = jobs.living_ids(state, job_id, spec)
            if found:
                numbers.setdefault(spec["scheduler"], {})[job_id] = found
            else:
                dead.append(job_id)
    for name, mine in numbers.items():
        with contextlib.suppress(SchedulerError):
            asked = [number for found in mine.values() for number in found]
            known: Dict[str, JobState] = scheduler(name).states(asked)
            living = {name for name, told in known.items() if not told.is_ended}
            dead += [job_id for job_id, found in mine.items() if living.isdisjoint(*found.values())]
    return dead


def _spec(state: StatePaths, job_id: str) -> Optional[Dict[str, Any]]:
    try:
        return jobs.read_spec(state, job_id)
    except ValueError:
        return None


def _last_change(job: JobPaths) -> float:
    """When its result was written, else when anything of it was last made or written."""
    with contextlib.suppress(OSError):
        return os.stat(job.result).st_mtime
    return max(
        os.stat(os.path.join(directory, name)).st_mtime
        for directory, _, names in os.walk(job.root)
        for name in [".", *names]
    )


def _now(state: StatePaths) -> float:
    """The time of the file system that the state directory is on."""
    path = os.path.join(state.root, ".now-%s" % os.urandom(8).hex())
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        return os.stat(path).st_mtime
    finally:
        os.unlink(path)
