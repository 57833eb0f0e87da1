"""Each run of a job claims its number as it begins: what was queued twice, or requeued unasked, does nothing.

The job itself imports this, so it needs next to nothing.
"""

import os
from typing import Any, Dict, Optional

from .paths import JobPaths

__all__ = ["claim_run", "count_runs", "is_overtaken", "most_runs"]


def most_runs(spec: Dict[str, Any]) -> int:
    """How often a job may begin."""
    return int(spec["resources"].get("retries") or 0) + 1


def claim_run(job: JobPaths, spec: Dict[str, Any]) -> Optional[int]:
    """The number of the run that begins now, from 0; None if the job has begun as often as it may."""
    for number in range(most_runs(spec)):
        try:
            # On any file system, of several that make a directory one does.
            os.mkdir(_mark(job, number), 0o700)
        except FileExistsError:
            continue
        return number
    return None


def is_overtaken(job: JobPaths, run: int) -> bool:
    """Whether a later run has begun: a node that only seemed lost may go on with an older one."""
    return os.path.isdir(_mark(job, run + 1))


def count_runs(job: JobPaths) -> int:
    """How often the job has begun."""
    number = 0
    while os.path.isdir(_mark(job, number)):
        number += 1
    return number


def _mark(job: JobPaths, number: int) -> str:
    return job.file("marks", "run-%d" % number)
