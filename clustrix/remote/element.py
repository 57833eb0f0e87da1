"""An element of a map's array: in the job, it takes tasks as it gets through them, runs them, and logs what comes of each.

What a task costs decides how many are taken at once: at first one, then as many as make about a second of work, but never so
many that others would have nothing left to do. Before a task begins, the log on the disk says so. So however the element ends, it is known which task
it was at, and nothing that it began is run again.
"""

import contextlib
import os
import sys
import time
from typing import Any, Dict, Optional

from . import pool, runner, wire
from .paths import JobPaths, write_aside
from .runs import policy_of, resources_of
from .stages import Serialization, StageError, serialization_stage
from .tasks import AGAIN, BEGAN, CLAIMED, LEFT, Arguments, Log

__all__ = ["main"]

RANGE_SECONDS = 1.0  # of work in a range
LEAST_SECONDS = 0.1  # of work that is never shared among more: claiming and syncing would take longer
GROWTH = 8  # a range is at most so many times as long as the one before: the first tasks may be quicker than the others
BEGIN_SECONDS = 0.1  # of work that may begin on one entry of the log


def main(job_root: str, element: str, attempt: str = "0") -> int:
    """Run tasks of the map whose job directory is ``job_root`` until none are left; ``element`` is this one's name.

    Its array asked for what a task is given at the ``attempt``-th time.
    """
    job = JobPaths(job_root)
    runner.show_lines_at_once()
    spec = runner.read_spec(job)
    try:
        log = Log(job.tasks(element))
    except FileExistsError:
        sys.stderr.write("element %s ran before, and nothing runs twice\n" % element)
        return runner.NOT_BEGUN
    with contextlib.closing(log), contextlib.closing(Arguments(job.arguments)) as arguments:
        with contextlib.suppress(OSError):  # that of another element, or none: who looks on would like to know
            runner.mark(job, spec, "began")
        work = _Work(job, dict(spec, array_attempt=int(attempt)), element, log, arguments)
        with contextlib.suppress(_ForgottenError):
            try:
                with serialization_stage(spec) as serialization:
                    work.run(serialization)
            except StageError as error:
                work.fail_rest(str(error))
    return 0


class _ForgottenError(Exception):
    """The job's files are gone: nobody wants the results any more."""


class _Work:
    def __init__(self, job: JobPaths, spec: Dict[str, Any], element: str, log: Log, arguments: Arguments) -> None:
        self._job, self._spec, self._element, self._log, self._arguments = job, spec, element, log, arguments
        self._time_limit = resources_of(spec, spec["array_attempt"])["time_seconds"]
        # What had too little is left to those that have more.
        self._most = spec["array_attempt"] if policy_of(spec) else None
        self._attempt, self._cpu = 0, 0.0
        self._started = time.time()
        self._mark: Optional[str] = None
        self._function: Any = None
        self._has_news = False
        self._begun = 0  # tasks of the range before this one may have begun
        self._task, self._end = 0, 0
        self._range_length, self._cost, self._longest = 0, 0.0, 0.0
        with open(job.key, "rb") as stream:
            self._key = stream.read()

    def run(self, serialization: Serialization) -> None:
        """Take and run tasks until there are none, or the time limit is near."""
        while self._claim():
            began, first = time.time(), self._task
            while self._task < self._end:
                if self._is_out_of_time():
                    self._leave()
                    return
                self._begin()
                since = time.time()
                self._run_task(serialization)
                self._longest = max(self._longest, time.time() - since)
                self._task += 1
            self._cost = (time.time() - began) / (self._task - first)
        self._leave()

    def fail_rest(self, reason: str) -> None:
        """Have this task, and all that are left, end for a reason that is none of theirs."""
        while self._task < self._end or self._claim():
            self._begin()
            ended = runner.Ended("failed", [reason.encode("utf-8", "replace")])
            self._store(ended, runner.Stages(), time.time(), [])
            self._task += 1
        self._leave()

    def _claim(self) -> bool:
        try:
            claimed = pool.claim(self._job.pool, self._wanted, self._may_take)
        except FileNotFoundError as error:
            raise _ForgottenError from error
        if claimed is None:
            return False
        if claimed.attempt != self._attempt:
            self._log.note(AGAIN, claimed.attempt)
        self._task, self._end, self._attempt = claimed
        self._begun = self._task
        self._range_length = self._end - self._task
        self._log.note(CLAIMED, self._task, self._end)
        return True

    def _may_take(self, each: pool.Range) -> bool:
        return self._most is None or each.attempt <= self._most

    def _wanted(self, left: int) -> int:
        if self._spec["chunksize"]:
            return int(self._spec["chunksize"])
        if not self._range_length:
            return 1
        cost = max(self._cost, 1e-6)
        shared = max(left // (2 * self._spec["elements"]), int(LEAST_SECONDS / cost))
        wanted: int = min(shared, int(RANGE_SECONDS / cost), GROWTH * self._range_length)
        return wanted

    def _is_out_of_time(self) -> bool:
        """A task that would not end in time is left to another element; what the first one needs nobody knows."""
        left = self._started + self._time_limit - time.time()
        return self._longest > 0 and left < 1.5 * self._longest + 0.05 * self._time_limit

    def _begin(self) -> None:
        if self._task >= self._begun:
            ahead = int(BEGIN_SECONDS / self._cost) if self._cost else 1
            self._begun = min(self._end, self._task + max(1, ahead))
            self._log.note(BEGAN, self._task, self._begun)
            self._tell()

    def _run_task(self, serialization: Serialization) -> None:
        started, stages = time.time(), runner.Stages()
        ended = runner.run(self._spec, stages, serialization, self._load, self._read_arguments)
        self._store(ended, stages, started, runner.who_did_what(serialization))

    def _load(self, serialization: Serialization) -> Any:
        if self._function is None:
            self._function = runner.load(self._job, self._spec, serialization)
        os.environ["CLUSTRIX_JOB_ID"] = "%s.%d" % (self._spec["job_id"], self._task)
        return self._function

    def _read_arguments(self, serialization: Serialization) -> Any:
        def read(data: Any) -> Any:
            (written,) = serialization.value([data], sys.version_info[:2])
            return wire.loads(written)

        return self._arguments.of(self._task, read), {}

    def _store(self, ended: runner.Ended, stages: runner.Stages, started: float, where: Any) -> None:
        for output in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                output.flush()
        spec = dict(self._spec, task=self._task, attempt=self._attempt)
        head = runner.head_of(spec, ended.outcome, stages, started, where)
        # Its own; memory can't be told apart.
        head["used"]["cpu"], self._cpu = head["used"]["cpu"] - self._cpu, head["used"]["cpu"]
        self._log.result(self._task, lambda stream: wire.seal(stream, self._key, head, ended.body))
        self._has_news = True

    def _leave(self) -> None:
        self._log.note(LEFT)
        self._tell(is_end=True)

    def _tell(self, *, is_end: bool = False) -> None:
        """Have the log on the disk, and its size in the name of this element's mark, if there is news."""
        size = self._log.sync()
        if not (self._has_news or is_end):
            return
        name = "%s.%s.%d%s" % (self._spec["job_id"], self._element, size, ".end" if is_end else "")
        told = os.path.join(self._spec["done_dir"], name)
        try:
            if self._mark is None:
                self._mark = self._job.file("marks", self._element)
                write_aside(self._mark, b"")
            os.rename(self._mark, told)
        except FileNotFoundError as error:
            raise _ForgottenError from error
        self._mark, self._has_news = told, False
