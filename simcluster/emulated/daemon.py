"""One emulated cluster in one process: `python -m simcluster.emulated.daemon DIRECTORY`.

It prints a line of JSON when the cluster takes jobs. It ends when its stdin does, when its owner is gone, or by
SIGTERM, and takes everything with it: processes, directory, record.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from simcluster.emulated import messages
from simcluster.emulated.blueprint import Blueprint
from simcluster.emulated.line import Line
from simcluster.emulated.machine.namespaces import become_subreaper
from simcluster.emulated.machine.processes import end_everything
from simcluster.emulated.machines import LOGIN, Machines
from simcluster.emulated.scheduler import COMMANDS, Scheduler
from simcluster.emulated.scheduler_faults import SchedulerFaults
from simcluster.errors import SimclusterError
from simcluster.processes import is_linux, start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import asyncssh

    from simcluster.emulated.breakage import Breakable

__all__ = ["Controller", "serve"]

_OWNER_POLL = 1.0


class Controller(Protocol):
    """The scheduler as the daemon knows it."""

    async def start(self) -> None:
        """Start it on the machines, of which the login host is up; returns when it takes jobs."""
        ...

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job so far, as `simcluster.cluster.Job` has it."""
        ...

    async def history(self, cluster: str) -> dict[str, Any]:
        """Everything so far, as `simcluster.history.History` has it."""
        ...

    async def kill_node(self, name: str) -> None:
        """Take a node's power away."""
        ...

    async def restart_node(self, name: str) -> None:
        """Switch a node on again, or off and on."""
        ...

    def close(self) -> None:
        """End what is no process of a machine's."""
        ...


class _Login:
    """The login host as its SSH server sees it."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self.user = machines.blueprint.user
        self.names = frozenset(machines.names)

    @property
    def machine(self) -> Any:
        return self._machines.login

    @property
    def noise(self) -> str:
        return "\n".join(self._machines.noises.values())

    def new_key(self) -> str:
        return self._machines.new_key()

    def session(self, key: str, variables: Mapping[str, str], arguments: list[str], program: str) -> dict[str, Any]:
        environment = {**self._machines.login_environment(), **variables}
        return self._machines.description(
            LOGIN, key, environment, arguments=arguments, program=program, cwd=self._machines.home
        )

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        return key.export_public_key().split()[1] in self._authorized()

    def sftp_command(self) -> list[str]:
        pid, kinds = str(self._machines.login.pid), ",".join(self._machines.kinds)
        return [sys.executable, "-m", "simcluster.emulated.sftp", pid, kinds, self._machines.home]

    def _authorized(self) -> set[bytes]:
        """The cluster's own key, and those that its user has added, as with sshd."""
        lines = [self._machines.blueprint.public_key]
        with contextlib.suppress(OSError):
            added = self._machines.directory / "home" / ".ssh" / "authorized_keys"
            lines += added.read_text(encoding="utf-8", errors="replace").splitlines()
        return {words[1].encode() for line in lines if len(words := line.split()) > 1}


class Daemon:
    """The cluster: its machines, scheduler, SSH server, and the sockets by which it is spoken to."""

    def __init__(
        self,
        directory: Path,
        blueprint: Blueprint,
        machines: Machines,
        control: Callable[[Machines], tuple[Controller, Breakable]],
    ) -> None:
        self.directory = directory
        self.blueprint = blueprint
        self.machines = machines
        self.scheduler, self._breakable = control(machines)
        self._end = asyncio.Event()
        self._servers: list[Any] = []

    async def run(self) -> None:
        """Be a cluster until it is time to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end.set)
        # The machine boots while this process imports the SSH server.
        login = asyncio.create_task(self.machines.start_login())
        await asyncio.sleep(0)
        from simcluster.emulated.breakage import Breakage  # noqa: PLC0415
        from simcluster.emulated.ssh_server import listen  # noqa: PLC0415

        await login
        await self.scheduler.start()
        line = Line()
        server = await listen(_Login(self.machines), self.blueprint.host_key, line)
        self._breakage = Breakage(self.machines, line, server, self._breakable)
        self._servers.append(server)
        self._servers.append(messages.Server("control", self._obey))
        self._announce(server.get_port())
        watch = asyncio.create_task(self._watch_owner())
        await self._end.wait()
        watch.cancel()

    async def close(self) -> None:
        """End everything, whatever goes wrong with some of it: that is told afterwards."""
        async with contextlib.AsyncExitStack() as last_first:
            last_first.callback(self.blueprint.record.unlink, missing_ok=True)
            last_first.callback(shutil.rmtree, self.directory, ignore_errors=True)
            last_first.callback(end_everything)
            last_first.push_async_callback(self.machines.kill_all)
            last_first.callback(self.scheduler.close)
            for server in self._servers:
                last_first.callback(server.close)

    def _announce(self, port: int) -> None:
        print(json.dumps({"port": port, **self._facts()}), flush=True)  # noqa: T201
        # Nobody reads any more from here on.
        os.dup2(2, 1)

    def _facts(self) -> dict[str, Any]:
        """What those need to know who use the cluster."""
        return {
            "isolation": list(self.machines.kinds),
            "home": self.machines.home,
            "scratch": self.machines.scratch,
            "pythons": {version: str(python.path) for version, python in self.blueprint.pythons.items()},
            "record": str(self.blueprint.record),
        }

    async def _watch_owner(self) -> None:
        """End with the owner. A forked child of the owner's may hold the pipe open, so it is looked at, too."""
        owner = self.blueprint.owner
        if owner is None:
            return
        asyncio.get_running_loop().add_reader(0, self._end.set)  # nothing is ever said there
        while start_time(owner.pid) == owner.started:  # noqa: ASYNC110
            await asyncio.sleep(_OWNER_POLL)
        self._end.set()

    async def _obey(self, request: dict[str, Any], *_: object) -> dict[str, Any]:
        try:
            match request:
                case {"do": "jobs"}:
                    return {"jobs": await self.scheduler.jobs()}
                case {"do": "history"}:
                    return {"history": await self.scheduler.history(self.blueprint.name)}
                case {"do": "kill", "node": str(node)}:
                    await self.scheduler.kill_node(node)
                case {"do": "restart", "node": str(node)}:
                    await self.scheduler.restart_node(node)
                case {"do": "break", "fault": str(name), "arguments": dict(arguments)}:
                    return {"token": await self._breakage.start(name, arguments)}
                case {"do": "mend", "token": int(token)}:
                    await self._breakage.stop(token)
                case {"do": "refusals"}:
                    return {"refusals": self._breakage.refusals()}
                case {"do": "end"}:
                    self._end.set()
                case {"do": "facts"}:
                    return self._facts()
                case {"do": "state"}:
                    return {"dead": [name for name in self.machines.names if self.machines.is_dead(name)]}
        except SimclusterError as error:
            return {"error": str(error)}
        return {}


async def _run(
    directory: Path, commands: Mapping[str, Iterable[str]], control: Callable[[Machines], tuple[Controller, Breakable]]
) -> None:
    blueprint = Blueprint.read(directory)
    daemon = Daemon(directory, blueprint, Machines(blueprint, directory, commands[blueprint.spec.scheduler]), control)
    try:
        await daemon.run()
    finally:
        await daemon.close()


def serve(
    directory: str, commands: Mapping[str, Iterable[str]], control: Callable[[Machines], tuple[Controller, Breakable]]
) -> None:
    """Run the cluster whose blueprint is in the directory.

    `commands` are what simcluster itself puts on the PATH for each scheduler; `control` makes the scheduler, and what
    breaks it.
    """
    os.umask(0o022)
    os.chdir(directory)
    if is_linux():
        become_subreaper()
    try:
        asyncio.run(_run(Path(directory), commands, control))
    except SimclusterError as error:
        sys.exit(str(error))


def _emulated(machines: Machines) -> tuple[Controller, Breakable]:
    scheduler = Scheduler(machines)
    return scheduler, SchedulerFaults(scheduler, machines)


if __name__ == "__main__":
    serve(sys.argv[1], COMMANDS, _emulated)
