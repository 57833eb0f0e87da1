"""What can be broken of an emulated scheduler, its nodes and its jobs."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.jobs import State
from simcluster.errors import SpecError
from simcluster.faults.kinds import WHERE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simcluster.emulated.machines import Machines
    from simcluster.emulated.scheduler import Scheduler

    Undo = Callable[[], Awaitable[None]]

__all__ = ["SchedulerFaults"]

_FAKETIME = ("usr/lib/*/faketime/libfaketime.so.1", "usr/lib*/faketime/libfaketime.so.1")


class SchedulerFaults:
    """See `simcluster.emulated.breakage.Breakable`."""

    def __init__(self, scheduler: Scheduler, machines: Machines) -> None:
        self._scheduler = scheduler
        self._machines = machines

    def refusals(self) -> dict[str, str]:
        if not self._scheduler.has_core:
            return {
                name: 'a host without a scheduler has no nodes and no jobs; start one with scheduler="slurm"'
                for name in WHERE
                if name.partition(".")[0] in {"node", "scheduler", "job"}
            }
        if not _faketime():
            return {"node.clock_skew": "there is no libfaketime here (Debian and Ubuntu: apt-get install libfaketime)"}
        return {}

    async def start(self, name: str, number: int, arguments: Mapping[str, Any]) -> Undo | None:
        undo: Undo | None = await getattr(self, "_" + name.replace(".", "_"))(number, **arguments)
        return undo

    # Nodes.

    async def _node_kill(self, _number: int, node: str) -> Undo:
        await self._scheduler.kill_node(node)
        return partial(self._scheduler.revive_node, node)

    async def _node_restart(self, _number: int, node: str) -> None:
        await self._scheduler.restart_node(node)

    async def _node_pause(self, _number: int, node: str) -> Undo:
        host = await self._scheduler.lose_node(node)
        host.stop()

        async def undo() -> None:
            host.go_on()
            if not host.gone.is_set():
                self._scheduler.regain_node(node)

        return undo

    async def _node_partition(self, _number: int, node: str) -> Undo:
        host = await self._scheduler.lose_node(node)
        host.cut()
        self._scheduler.troubles.cut_off.add(node)

        async def undo() -> None:
            self._scheduler.troubles.cut_off.discard(node)
            host.join()
            if not host.gone.is_set():
                self._scheduler.regain_node(node)

        return undo

    async def _node_clock_skew(self, number: int, node: str, seconds: float) -> Undo:
        self._scheduler.check_node(node)
        variables = {"LD_PRELOAD": _faketime(), "FAKETIME": f"{seconds:+g}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self._machines.skews[number] = (node, variables)
        return _without(self._machines.skews, number)

    # The scheduler.

    async def _scheduler_down(self, number: int, timeout: float | None) -> Undo:
        troubles = self._scheduler.troubles
        troubles.down[number] = timeout
        self._scheduler.halt()

        async def undo() -> None:
            troubles.down.pop(number, None)
            if not troubles.down:
                self._scheduler.go_on()

        return undo

    async def _scheduler_slow(self, number: int, seconds: float) -> Undo:
        self._scheduler.troubles.slow[number] = seconds
        return _without(self._scheduler.troubles.slow, number)

    async def _scheduler_reject_submits(self, number: int, message: str) -> Undo:
        self._scheduler.troubles.rejections[number] = message
        return _without(self._scheduler.troubles.rejections, number)

    async def _scheduler_flaky(self, number: int, share: float, seed: int) -> Undo:
        self._scheduler.troubles.flaky[number] = (share, random.Random(seed))  # noqa: S311
        return _without(self._scheduler.troubles.flaky, number)

    async def _scheduler_forget(self, _number: int, job: str) -> Undo:
        found = self._scheduler.find_job(job)
        self._scheduler.core.conceal(found)

        async def undo() -> None:
            self._scheduler.core.reveal(found)

        return undo

    # Jobs.

    async def _job_preempt(self, _number: int, job: str) -> None:
        self._end(job, self._scheduler.core.preempt)

    async def _job_oom(self, _number: int, job: str) -> None:
        self._end(job, self._scheduler.core.over_memory)

    async def _job_timeout(self, _number: int, job: str) -> None:
        self._end(job, self._scheduler.core.expire)

    def _end(self, id_: str, how: Callable[[Any], None]) -> None:
        job = self._scheduler.find_job(id_)
        if job.state is not State.RUNNING:
            raise SpecError(f"job {id_} does not run: it is {job.state.value}")
        how(job)


def _without(faults: dict[int, Any], number: int) -> Undo:
    async def undo() -> None:
        faults.pop(number, None)

    return undo


def _faketime() -> str:
    """Libfaketime's file, if it is here."""
    return next((str(path) for pattern in _FAKETIME for path in Path("/").glob(pattern)), "")
