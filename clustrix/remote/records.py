"""What this account's jobs on the cluster are, for a client that did not submit them."""

import contextlib
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import attempts, jobs
from .paths import JobPaths, StatePaths
from .schedulers import JobState, SchedulerError, scheduler

__all__ = ["entry", "records"]


def records(state: StatePaths) -> List[Dict[str, Any]]:
    """Every job whose result was not fetched, the oldest first; the scheduler is asked about all at once.

    A job with a result is COMPLETED, whatever the result is; one that the scheduler does not know UNKNOWN.
    """
    found = list(_jobs(state))
    numbers = {job.root: {} if _is_over(job) else _numbers(state, spec) for job, spec in found}
    states: Dict[str, JobState] = {}
    for name in {spec["scheduler"] for _, spec in found}:
        asked = [number for job, spec in found if spec["scheduler"] == name for number in numbers[job.root]]
        if asked:
            with contextlib.suppress(SchedulerError):
                states.update(scheduler(name).states(asked))
    return [
        dict(
            _described(spec),
            scheduler_id=attempts.known_scheduler_id(job),
            state="COMPLETED" if _is_over(job) else _word(states, numbers[job.root]),
        )
        for job, spec in sorted(found, key=lambda item: float(item[1].get("created") or 0))
    ]


def _numbers(state: StatePaths, spec: Dict[str, Any]) -> Dict[str, List[str]]:
    with contextlib.suppress(SchedulerError):
        return jobs.living_ids(state, spec["job_id"], spec)
    return {}


def _word(states: Dict[str, JobState], numbers: Dict[str, List[str]]) -> str:
    """One word for a job, or for all elements of a map: RUNNING as soon as one does."""
    words = {states[name].state for names in numbers.values() for name in names if name in states}
    return next((word for word in ("RUNNING", "PENDING", *sorted(words)) if word in words), "UNKNOWN")


def entry(state: StatePaths, name: str) -> Optional[Dict[str, Any]]:
    """The journal's entry of the job with that id or scheduler's number, made of the job's own files; None if there is none."""
    for job, spec in _jobs(state):
        number = attempts.known_scheduler_id(job)
        if name in (spec["job_id"], number):
            with open(job.key, "rb") as stream:
                key = stream.read().hex()
            return dict(
                _described(spec), scheduler_id=number, key=key, package=spec["package"], tasks=spec.get("tasks")
            )
    return None


def _described(spec: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "job_id": spec["job_id"],
        "function": spec.get("function") or spec["entry"]["name"],
        "created": spec.get("created") or 0.0,
        "retries": spec["resources"].get("retries") or 0,
    }


def _jobs(state: StatePaths) -> Iterator[Tuple[JobPaths, Dict[str, Any]]]:
    for name in sorted(os.listdir(os.path.join(state.root, "jobs"))):
        # One that vanishes meanwhile, or was only begun to be written, is none.
        with contextlib.suppress(OSError, ValueError):
            job = state.job(name)
            spec = jobs.read_spec(state, name)
            if spec is not None and spec.get("job_id") == name:
                yield job, spec


def _is_over(job: JobPaths) -> bool:
    return os.path.exists(job.result)
