"""Which jobs wait for which, and whether they may start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.conditions import FAILED, FULFILLED, UNFULFILLED
from simcluster.emulated.jobs import ENDED, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcluster.emulated.arrays import Array
    from simcluster.emulated.conditions import Condition
    from simcluster.emulated.jobs import Job

__all__ = ["Dependencies"]


class Dependencies:
    """Who waits for whom. The jobs that an event concerns are found without looking at the others."""

    def __init__(self, jobs: dict[int, Job], arrays: dict[int, Array]) -> None:
        self._jobs = jobs
        self._arrays = arrays
        self._waiting: dict[int, dict[Job, None]] = {}
        self._same_name: dict[tuple[str, str], dict[Job, None]] = {}

    def add(self, job: Job) -> None:
        """Remember what the job waits for."""
        for condition in job.dependency.conditions if job.dependency else ():
            if condition.kind != "singleton":
                self._waiting.setdefault(condition.job_id, {})[job] = None

    def drop(self, job: Job) -> None:
        """Forget it again."""
        for condition in job.dependency.conditions if job.dependency else ():
            waiting = self._waiting.get(condition.job_id)
            if waiting and waiting.pop(job, 0) is None and not waiting:
                del self._waiting[condition.job_id]

    def is_known(self, job: Job) -> None:
        """Jobs of one user and name are singletons' matter until they end."""
        self._same_name.setdefault((job.user, job.name), {})[job] = None

    def concerned(self, job: Job) -> list[Job]:
        """Jobs that may have waited for what just happened to `job`."""
        found = list(self._waiting.get(job.id, ()))
        if job.array_id is not None and job.array_id != job.id:
            found += self._waiting.get(job.array_id, ())
        if job.state in ENDED:
            same = self._same_name.get((job.user, job.name), {})
            same.pop(job, None)
            if same:
                found += [other for other in self._first_of(same) if _is_singleton(other)]
            else:
                self._same_name.pop((job.user, job.name), None)
        return found

    @staticmethod
    def _first_of(same: dict[Job, None]) -> Iterator[Job]:
        """Only the oldest can be free now."""
        yield next(iter(same))

    def judge(self, job: Job, now: float) -> str:
        """Write down how each condition stands, and say what follows: fulfilled, unfulfilled or failed."""
        if job.dependency is None:
            return FULFILLED
        judged = [
            condition if condition.state != UNFULFILLED else replace(condition, state=self._state(condition, job, now))
            for condition in job.dependency.conditions
        ]
        job.dependency = replace(job.dependency, conditions=tuple(judged))
        return job.dependency.verdict

    def _state(self, condition: Condition, job: Job, now: float) -> str:
        if condition.kind == "singleton":
            same = self._same_name.get((job.user, job.name), {})
            return FULFILLED if next(iter(same), job) is job else UNFULFILLED
        task = job.task_id if condition.kind == "aftercorr" else condition.task_id
        array = self._arrays.get(condition.job_id)
        if array is not None and task is None:
            return _state_of_array(condition, array)
        target = (
            array.elements.get(task) if array is not None and task is not None else self._jobs.get(condition.job_id)
        )
        # 22.05 takes an unknown job for one that met every condition.
        return FULFILLED if target is None else _state_of_job(condition, target, now)


def _is_singleton(job: Job) -> bool:
    return job.dependency is not None and any(c.kind == "singleton" for c in job.dependency.conditions)


def _state_of_job(condition: Condition, target: Job, now: float) -> str:
    if condition.kind == "after":
        since = target.started if target.started is not None else target.ended
        return FULFILLED if since is not None and now >= since + condition.delay else UNFULFILLED
    if target.state not in ENDED or target.is_completing:
        return UNFULFILLED
    if condition.kind == "afterany":
        return FULFILLED
    is_good = target.state is State.COMPLETED
    return FULFILLED if is_good == (condition.kind != "afternotok") else FAILED


def _state_of_array(condition: Condition, array: Array) -> str:
    if condition.kind == "after":
        return FULFILLED if array.started >= array.total else UNFULFILLED
    if condition.kind == "afterok" and array.failed:
        return FAILED
    if array.ended < array.total:
        return UNFULFILLED
    if condition.kind == "afternotok":
        return FULFILLED if array.failed else FAILED
    return FULFILLED
