"""The future of one job."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clustrix.logs import LogPart
from clustrix.progress import Track, watching

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["ClusterFuture", "JobControl", "ResourcesUsed", "StageReport"]


class StageReport(NamedTuple):
    """Which interpreter and which process on the compute node did one stage of a job.

    ``stage`` is "decode" (the function, and arguments that need no library of the user's), "run" or "encode" (of a result or
    exception, likewise); ``executable`` is the interpreter's path, ``version`` its full Python version.
    """

    stage: str
    executable: str
    version: str
    pid: int


class ResourcesUsed(NamedTuple):
    """What a job used: ``max_memory`` in bytes is the largest resident size of its process or one of its children, ``cpu_time`` the seconds
    of CPU of them all, ``wall_time`` the seconds from its Python's start to its result. A process that was still running is not in it.
    Of a map, they are of all tasks that have a result, from the first one's beginning to the last one's end; of one task, the memory is
    that of its element up to then.
    """

    max_memory: int
    cpu_time: float
    wall_time: float


class JobControl(Protocol):
    """What a future asks of the executor that made it."""

    def cancel_job(self, job_id: str) -> None:
        """Cancel the scheduler's job."""

    def detach_job(self, job_id: str) -> None:
        """Leave the job's result on the cluster, and return when it is submitted or has failed to be."""

    def job_status(self, job_id: str) -> str:
        """The job's state in the scheduler's common words (PENDING, RUNNING, ...)."""

    def job_output(self, job_id: str, stream: str) -> str:
        """What the job wrote to ``stdout`` or ``stderr`` so far."""

    def follow_job(self, job_id: str) -> Iterator[LogPart]:
        """What the job writes, as it comes, to its end."""


class ClusterFuture(concurrent.futures.Future[Any]):
    """A ``concurrent.futures.Future`` of a job, which can also be awaited.

    ``job_id`` is clustrix's name of the job, ``scheduler_id`` the scheduler's (None until it is submitted). ``notice`` is what the user was told of
    it last, such as why it will never start or that it was begun again; None if there was nothing.
    When the job has ended in a value or an exception, ``resources_used`` says what it took. When it has ended, ``output`` is the end of its standard output and error (64 KiB each), ``node`` is where it ran, ``python`` the Python version it ran under, ``timings`` maps
    each stage of the call, in order, to seconds, and ``stage_report`` says who did those in the job (see ``use_two_venv``).
    """

    def __init__(self, job_id: str, control: JobControl | None, track: Track | None = None) -> None:
        super().__init__()
        self.job_id = job_id
        self.track = track
        self.scheduler_id: str | None = None
        self.notice: str | None = None
        self.node: str | None = None
        self.python: str | None = None
        self.resources_used: ResourcesUsed | None = None
        self.timings: dict[str, float] = {}
        self.stage_report: list[StageReport] = []
        self.output: tuple[str, str] | None = None
        self.began = False
        self._control = control

    def result(self, timeout: float | None = None) -> Any:
        """The job's value, or its exception raised; see concurrent.futures.Future. Who waits here sees how far the job is."""
        try:
            with watching(self.track):
                return super().result(timeout)
        finally:
            del self  # no circle of exception and frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The job's exception, or None; see concurrent.futures.Future."""
        with watching(self.track):
            return super().exception(timeout)

    def cancel(self) -> bool:
        """Cancel the scheduler's job too, also one that runs; False when the job has ended already."""
        control = self._control
        if not super().cancel():
            return False
        if control is not None:
            control.cancel_job(self.job_id)
        return True

    def detach(self) -> None:
        """Have the job outlive this process: return when it is submitted, and leave its result to ``clustrix.attach(job_id)``.

        Raises what kept it from being submitted.
        """
        control = self._control
        if control is not None:
            control.detach_job(self.job_id)
        if self.scheduler_id is None:
            self.result()

    def running(self) -> bool:
        """Whether the job has begun and not ended. Unlike the standard library's, such a future can be cancelled."""
        return self.began and not self.done()

    def note_facts(self, head: dict[str, Any]) -> None:
        """Tell from now on what the head of its result says: where it ran, under which Python, and what it took."""
        self.node, self.python = head["node"], head["python"]
        self.stage_report = [StageReport(*stage) for stage in head["where"]]
        used = head.get("used")  # not in what an agent of an earlier version had written
        if used is not None:
            self.resources_used = ResourcesUsed(used["memory"], used["cpu"], head["ended"] - head["started"])

    def let_go(self) -> None:
        """It is done, and so needs no executor any more."""
        self._control = None

    def status(self) -> str:
        """The job's state now: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, UNKNOWN."""
        control = self._control
        if control is None or self.done():
            return "CANCELLED" if self.cancelled() else "FAILED" if self.exception() else "COMPLETED"
        return control.job_status(self.job_id)

    def stdout(self) -> str:
        """The end of what the job wrote to its standard output: 1 MiB while it runs, 64 KiB afterwards."""
        return self._output(0, "stdout")

    def stderr(self) -> str:
        """The same of its standard error."""
        return self._output(1, "stderr")

    def logs(self, *, follow: bool = False) -> Iterator[LogPart]:
        """What the job wrote, in pieces that say where: of a map, each with the element of its array and in whole lines.

        With ``follow``, they come as the job writes them, and the iterator ends with the job. Python writes whole lines; more than
        8 MiB that wait to be fetched are left out but for the last of them, and a piece says how much. Without, what ``stdout()`` and ``stderr()`` give.
        """
        control, is_told = self._control, False
        if follow and control is not None and not self.done():
            for part in control.follow_job(self.job_id):
                is_told = True
                yield part
        if is_told:
            return
        for stream, text in (("stdout", self.stdout()), ("stderr", self.stderr())):
            if text:
                yield LogPart(stream, text)

    def _ipython_display_(self) -> None:
        """In a notebook: how far the job is, kept up to date where it is shown, and the end of what it writes."""
        from clustrix.live_view import show  # noqa: PLC0415 - only there

        show([self])

    def _output(self, number: int, stream: str) -> str:
        control = self._control
        if self.output or control is None:
            return self.output[number] if self.output else ""
        return control.job_output(self.job_id, stream)

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio  # noqa: PLC0415 - 15 ms for those who do not await

        return asyncio.wrap_future(self).__await__()
