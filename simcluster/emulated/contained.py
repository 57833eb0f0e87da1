"""An emulated scheduler whose machines are containers: `python -m simcluster.emulated.contained login|node|down|up`.

It runs as the cluster's user, on the login host with the spec (JSON) on its stdin. All machines share a directory with the
sockets: the scheduler's, and one for each node, for containers of one kernel reach each other by Unix sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from simcluster.emulated import messages
from simcluster.emulated.furniture import SYSTEM_PATH, furnish_commands
from simcluster.emulated.hosts import Host, introduce
from simcluster.emulated.machine.init import main as be_a_machine
from simcluster.emulated.machine.processes import MARKER
from simcluster.emulated.scheduler import COMMANDS, Scheduler
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simcluster.emulated.machines import Machines

__all__ = ["Containers"]

PLACE = Path("/home/.simcluster")
USER = "alice"
_POLL = 0.2
_MODULES = "/opt/simcluster/modules.sh"


@dataclass(frozen=True)
class _Blueprint:
    spec: ClusterSpec
    user: str


class Containers:
    """Stands for `simcluster.emulated.machines.Machines`: nodes are there while their containers are up."""

    kinds: tuple[str, ...] = ()
    has_own_tree = False
    home, scratch, temporary = f"/home/{USER}", f"/scratch/{USER}", "/tmp"  # noqa: S108

    def __init__(self, spec: ClusterSpec) -> None:
        self.blueprint = _Blueprint(spec, USER)
        self.directory = PLACE
        self.shared = f"{PLACE}/shared"
        self.names = ("login", *spec.node_names)
        self.when_lost: Callable[[str], None] = lambda _name: None
        self.when_back: Callable[[str], None] = lambda _name: None
        self._running: dict[str, Host] = {}
        self._keys = itertools.count(1)
        self._expecting: set[asyncio.Task[None]] = set()

    def running(self, name: str) -> Host | None:
        """The node, if it is up."""
        return self._running.get(name)

    def is_dead(self, name: str) -> bool:
        return name not in self._running

    async def start(self, name: str) -> Host:
        """The node; raises OSError while its container is not up."""
        if name not in self._running:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(PLACE / name))
                await introduce(connection, {"kinds": [], "plan": {}})
            except OSError:
                connection.close()
                raise
            self._running[name] = host = Host(name, 1, connection, ())
            host.when_lost = lambda: self._lose(name)
        return self._running[name]

    async def kill(self, name: str) -> None:
        """End what runs on a node."""
        if host := self._running.pop(name, None):
            await host.kill()

    def expect(self, name: str) -> None:
        """Have a node that is not up looked for until it is."""
        task = asyncio.create_task(self._find(name))
        self._expecting.add(task)
        task.add_done_callback(self._expecting.discard)

    def new_key(self) -> str:
        return f"process{next(self._keys)}"

    def description(self, host: str, key: str, environment: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """See `Machines.description`."""
        marks = {MARKER: f"contained:{key}", "SIMCLUSTER_HOST": host}
        return {"fallback_cwd": self.temporary, "key": key, "environment": {**environment, **marks}, **more}

    def login_environment(self) -> dict[str, str]:
        """See `Machines.login_environment`."""
        own = {"HOME": self.home, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash", "SCRATCH": self.scratch}
        return {**own, "PATH": SYSTEM_PATH, "BASH_ENV": _MODULES}

    def _lose(self, name: str) -> None:
        self._running.pop(name, None)
        self.when_lost(name)
        self.expect(name)

    async def _find(self, name: str) -> None:
        while self.is_dead(name):
            with contextlib.suppress(OSError):
                await self.start(name)
            await asyncio.sleep(_POLL)
        self.when_back(name)


async def _schedule(spec: ClusterSpec) -> None:
    containers = Containers(spec)
    machines = cast("Machines", containers)
    scheduler = Scheduler(machines)

    async def obey(request: dict[str, Any], *_: object) -> dict[str, Any]:
        if request["do"] == "down":
            scheduler.troubles.down[0] = None
            scheduler.halt()
        else:
            scheduler.troubles.down.clear()
            scheduler.go_on()
        return {}

    restarting: set[asyncio.Task[None]] = set()

    def back(name: str) -> None:
        # What it ran is gone, whether the scheduler has missed it or not.
        restarting.add(asyncio.create_task(scheduler.restart_node(name)))

    control = messages.Server("control", obey)
    for name in spec.node_names:
        while containers.is_dead(name):
            with contextlib.suppress(OSError):
                await containers.start(name)
            await asyncio.sleep(_POLL / 4)
    containers.when_back = back
    await scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        control.close()


def _be_node(name: str) -> None:
    """Serve one scheduler after the other."""
    path = PLACE / name
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if (child := os.fork()) == 0:
                listener.close()
                be_a_machine(connection.detach())
                os._exit(0)
            connection.close()
            os.waitpid(child, 0)


def _main(role: str) -> None:
    os.umask(0o022)
    os.chdir(PLACE)
    if role == "login":
        spec = ClusterSpec.from_dict(json.load(sys.stdin))
        (PLACE / "control").unlink(missing_ok=True)
        furnish_commands(PLACE / "shared", f"{PLACE}/shared", COMMANDS[spec.scheduler])
        (PLACE / "shared" / "run" / "socket").unlink(missing_ok=True)
        asyncio.run(_schedule(spec))
    elif role == "node":
        _be_node(os.uname().nodename)
    else:
        messages.ask(PLACE / "control", {"do": role})


if __name__ == "__main__":
    _main(sys.argv[1])
