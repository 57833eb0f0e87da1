"""What can be broken of a native cluster's Slurm and its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcluster import wrappers
from simcluster.errors import SpecError
from simcluster.slurm import words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simcluster.emulated.machines import Machines
    from simcluster.native.controller import SlurmController

    Undo = Callable[[], Awaitable[None]]

__all__ = ["SlurmFaults"]

_REAL = "the real Slurm does what it does"


class SlurmFaults:
    """See `simcluster.emulated.breakage.Breakable`."""

    def __init__(self, controller: SlurmController, machines: Machines) -> None:
        self._controller = controller
        self._machines = machines

    def refusals(self) -> dict[str, str]:
        return {
            "node.partition": "its daemons speak over this computer's loopback",
            "node.clock_skew": _REAL,
            "scheduler.forget": _REAL,
            "job.preempt": "Slurm preempts for the sake of a better partition or QOS, of which there is none here",
            "job.oom": "slurmd looks at the memory that a job really takes",
        }

    async def start(self, name: str, number: int, arguments: Mapping[str, Any]) -> Undo | None:
        undo: Undo | None = await getattr(self, "_" + name.replace(".", "_"))(number, **arguments)
        return undo

    async def _node_kill(self, _number: int, node: str) -> Undo:
        await self._controller.kill_node(node)

        async def undo() -> None:
            if self._machines.is_dead(node):
                await self._controller.restart_node(node)

        return undo

    async def _node_restart(self, _number: int, node: str) -> None:
        await self._controller.restart_node(node)

    async def _node_pause(self, _number: int, node: str) -> Undo:
        host = self._controller.machine(node)
        host.stop()

        async def undo() -> None:
            host.go_on()

        return undo

    async def _scheduler_down(self, _number: int, timeout: float | None) -> Undo:
        if timeout is not None:
            raise SpecError("scheduler.down: how long the real commands wait can't be set here; leave timeout out")
        await self._controller.stop_slurmctld()
        return self._controller.start_slurmctld

    async def _scheduler_slow(self, number: int, seconds: float) -> Undo:
        return self._trouble(number, wrappers.slow(seconds))

    async def _scheduler_reject_submits(self, number: int, message: str) -> Undo:
        return self._trouble(number, words.reject(message))

    async def _scheduler_flaky(self, number: int, share: float, seed: int) -> Undo:
        return self._trouble(
            number, wrappers.flaky(share, seed, f"{self._machines.shared}/troubles/{number}.state", words.UNREACHABLE)
        )

    async def _job_timeout(self, _number: int, job: str) -> None:
        state = next((one["state"] for one in await self._controller.jobs() if one["id"] == job), None)
        if state != "RUNNING":
            raise SpecError(f"job {job} does not run" + (f": it is {state}" if state else ""))
        await self._controller.output("scontrol", "update", f"JobId={job}", "EndTime=now")

    def _trouble(self, number: int, text: str) -> Undo:
        """Put a trouble before the commands, of which the machines see these first."""
        shared = self._machines.directory / "shared"
        (shared / "troubles").mkdir(exist_ok=True)
        file = shared / "troubles" / f"{number}.trouble"
        file.write_text(text, encoding="utf-8")
        wrapper = wrappers.wrapper(f"{self._machines.shared}/troubles", self._controller.programs)
        for command in words.COMMANDS:
            (shared / "bin" / command).write_text(wrapper, encoding="utf-8")
            (shared / "bin" / command).chmod(0o755)

        async def undo() -> None:
            file.unlink(missing_ok=True)
            if not any(file.parent.glob("*.trouble")):
                for command in words.COMMANDS:
                    (shared / "bin" / command).unlink(missing_ok=True)

        return undo
