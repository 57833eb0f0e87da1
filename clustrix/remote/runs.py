"""How often a job may begin, and with what; each run of it claims its number as it begins: what was queued twice, or requeued unasked, does nothing.

The job itself imports this, so it needs next to nothing.
"""

import os
from typing import Any, Dict, Optional

from .paths import JobPaths

__all__ = [
    "_RESOURCES",
    "attempt_of",
    "claim_run",
    "count_runs",
    "is_overtaken",
    "most_runs",
    "policy_of",
    "resources_of",
    "script_of",
]

_RESOURCES = {"memory": "memory_mb", "time": "time_seconds"}


def most_runs(spec: Dict[str, Any]) -> int:
    """How often a job may begin."""
    return int(spec["resources"].get("retries") or 0) + 1


def policy_of(spec: Dict[str, Any]) -> Dict[str, float]:
    """By what factor ``memory`` and ``time`` grow with each attempt; empty if neither does."""
    return spec["resources"].get("retry_policy") or {}


def resources_of(spec: Dict[str, Any], attempt: int) -> Dict[str, Any]:
    """What an attempt asks the scheduler for: as much more each time as the retry policy says."""
    resources = dict(spec["resources"])
    for word, factor in policy_of(spec).items():
        resources[_RESOURCES[word]] = int(resources[_RESOURCES[word]] * factor**attempt)
    return resources


def script_of(job: JobPaths, attempt: int) -> str:
    """The script of an attempt. All are written before the first is queued, so what can't be written is refused then."""
    return job.script if attempt == 0 else job.file("script-%d.sh" % attempt)


def attempt_of(script_path: str) -> int:
    """Whose script it is."""
    name = os.path.basename(script_path)
    return int(name[len("script-") : -len(".sh")]) if name.startswith("script-") else 0


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
