"""Starts Slurm's daemons and commands on a cluster's machines, and hears what they say."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.furniture import SYSTEM_PATH
from simcluster.emulated.machines import LOGIN
from simcluster.errors import ClusterStartError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simcluster.emulated.machines import Machines

__all__ = ["Daemons"]

_START_DEADLINE = 50.0
_POLL = 0.02
_LONGEST_LINE = 1 << 20


class Daemons:
    """The daemons of one cluster; `variables` are what all of them and the commands have in their environment."""

    def __init__(self, machines: Machines) -> None:
        self.variables = {"PATH": SYSTEM_PATH}
        self._machines = machines
        self._keys: dict[str, str] = {}
        self._ended: list[str] = []
        self._relays: set[asyncio.Task[None]] = set()

    def start(self, machine: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        """Start a daemon; what it says goes to the cluster's log."""
        program, daemon = Path(command[0]).name, _name(machine, command[0])

        def hear(message: dict[str, Any]) -> None:
            if message["event"] in {"ended", "failed"}:
                self._ended.append(daemon)

        nothing = os.open(os.devnull, os.O_RDWR)
        reading, writing = os.pipe()
        # Slurm's programs know by this name which of them they are.
        arguments = [program, *command[1:]]
        self._keys[daemon] = self._run(
            machine, arguments, hear, [nothing, writing, writing], variables or {}, program=command[0]
        )
        os.close(nothing)
        os.close(writing)
        task = asyncio.create_task(_relay(reading, machine))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def end(self, machine: str, program: str) -> None:
        """Have a daemon save its state and end; returns when it is gone."""
        daemon = _name(machine, program)
        if host := self._machines.running(machine):
            host.signal(self._keys[daemon], signal.SIGTERM, everything=False)
        while daemon not in self._ended:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)
        self._ended.remove(daemon)

    async def output(self, *command: str) -> str:
        """What a command prints on the login host."""
        nothing = os.open(os.devnull, os.O_RDWR)
        reading, writing = os.pipe()
        self._run(LOGIN, list(command), lambda _message: None, [nothing, writing, nothing], {})
        os.close(writing)
        os.close(nothing)
        data = await asyncio.get_running_loop().run_in_executor(None, _read_all, reading)
        return data.decode(errors="replace")

    async def until(self, condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """Wait for a condition; raises ClusterStartError with these words when a daemon ends, or after a long time."""
        deadline = time.monotonic() + _START_DEADLINE
        while not await condition():
            if self._ended or time.monotonic() > deadline:
                ended = f" ({', '.join(self._ended)} ended)" if self._ended else ""
                raise ClusterStartError(f"{otherwise}{ended}")
            await asyncio.sleep(_POLL)

    async def until_listening(self, address: str, port: int, otherwise: str) -> None:
        """Wait until somebody listens; who asks sooner tries again after whole seconds only, or not at all."""

        async def is_listening() -> bool:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except OSError:
                return False
            writer.close()
            return True

        await self.until(is_listening, otherwise)

    async def until_there(self, path: Path, otherwise: str) -> None:
        """Wait until a file is there."""

        async def is_there() -> bool:
            return path.exists()  # noqa: ASYNC240

        await self.until(is_there, otherwise)

    def _run(
        self,
        machine: str,
        arguments: list[str],
        hear: Callable[[dict[str, Any]], None],
        descriptors: list[int],
        variables: Mapping[str, str],
        **more: Any,
    ) -> str:
        """Start a program on a machine that is up; the key by which it is sent signals."""
        key = self._machines.new_key()
        host = self._machines.running(machine)
        if host is None:
            return key
        environment = {**self.variables, **variables, "HOME": self._machines.home}
        described = self._machines.description(machine, key, environment, arguments=arguments, cwd="/", **more)
        host.start(described, hear, descriptors)
        return key


def _name(machine: str, program: str) -> str:
    return f"{Path(program).name} on {machine}"


async def _relay(descriptor: int, machine: str) -> None:
    """Copy what comes, until it ends, to the log, with when it came and from which machine."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
    async for line in reader:
        moment = datetime.now().astimezone().isoformat(timespec="milliseconds")
        print(moment, machine, line.decode(errors="replace").rstrip(), file=sys.stderr, flush=True)  # noqa: T201


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
