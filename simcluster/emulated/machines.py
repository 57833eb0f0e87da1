"""The machines of one cluster: where things are on them, which run, and how a program is started there."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from simcluster.emulated.disk.keeper import Disk
from simcluster.emulated.furniture import bound_files, furnish, furnish_home, shell_environment
from simcluster.emulated.hosts import LEVELS, HostRefusedError, start_host
from simcluster.emulated.isolation import SEEN_AS
from simcluster.emulated.machine.processes import MARKER
from simcluster.errors import ClusterStartError, SimclusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from simcluster.emulated.blueprint import Blueprint
    from simcluster.emulated.hosts import Host

__all__ = ["LOGIN", "Machines"]

LOGIN = "login"

_log = logging.getLogger(__name__)

_LAYERS = ("served", "read_only")
"""In this order they lie over the shared directories."""


class Machines:
    """Login host and compute nodes. Nodes are started when they are first needed; one that was killed stays dead.

    `when_lost` is told the name of a machine that was ended by somebody else.
    What is wrong with them, by the fault's number: `noises` are texts that a login session's output begins with, and
    `skews` are variables by which what is started on a node has a wrong clock.
    """

    def __init__(self, blueprint: Blueprint, directory: Path, commands: Iterable[str]) -> None:
        self.blueprint = blueprint
        self.directory = directory
        self.names = (LOGIN, *blueprint.spec.node_names)
        self.kinds: tuple[str, ...] = LEVELS[0]
        self.variables = dict(blueprint.variables)
        self._commands = tuple(commands)
        self._starting: dict[str, asyncio.Task[Host]] = {}
        self._running: dict[str, Host] = {}
        self._dead: set[str] = set()
        self.when_lost: Callable[[str], None] = lambda _name: None
        self._layers: list[str] = []
        self.disk = Disk(directory)
        self.noises: dict[int, str] = {}
        self.skews: dict[int, tuple[str, dict[str, str]]] = {}
        self._keys = itertools.count(1)
        for name in ("home", "scratch", "root", "shared", *(f"tmp/{name}" for name in self.names)):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self._files = bound_files(directory / "shared", f"/home/{blueprint.user}", self.names)

    @property
    def has_own_tree(self) -> bool:
        """Whether the machines see a file tree of their own, and not this computer's."""
        return "mount" in self.kinds

    @property
    def home(self) -> str:
        return f"/home/{self.blueprint.user}" if self.has_own_tree else str(self.directory / "home")

    @property
    def scratch(self) -> str:
        return f"/scratch/{self.blueprint.user}" if self.has_own_tree else str(self.directory / "scratch")

    @property
    def shared(self) -> str:
        """Where the machines see what is in the cluster's directory under `shared`."""
        return SEEN_AS if self.has_own_tree else str(self.directory / "shared")

    @property
    def temporary(self) -> str:
        return "/tmp"  # noqa: S108

    @property
    def login(self) -> Host:
        return self._login

    async def start_login(self) -> None:
        """Start the login host, with as much isolation as the kernel allows; the nodes get the same."""
        refusals = []
        for kinds in LEVELS:
            self.kinds = kinds
            self._furnish()
            try:
                await self.start(LOGIN)
            except HostRefusedError as error:
                refusals.append(str(error))
            else:
                return
        raise ClusterStartError("no machine could be started:\n" + "\n".join(refusals))

    def running(self, name: str) -> Host | None:
        """The machine, if it is up."""
        return self._running.get(name)

    def is_dead(self, name: str) -> bool:
        return name in self._dead

    async def start(self, name: str) -> Host:
        """The machine, started if it is not up."""
        if name not in self._starting:
            self._dead.discard(name)
            self._starting[name] = asyncio.create_task(self._start(name))
        starting = self._starting[name]
        try:
            return await asyncio.shield(starting)
        except (OSError, ClusterStartError):  # the next attempt may succeed
            if self._starting.get(name) is starting:
                del self._starting[name]
            raise

    async def kill(self, name: str) -> None:
        """End a machine and all of its processes."""
        self._dead.add(name)
        if starting := self._starting.pop(name, None):
            host = await starting
            self._running.pop(name, None)
            await host.kill()

    async def cover(self, layer: str, *, is_covered: bool) -> None:
        """Have a layer lie over home and scratch on every machine, also on those that are started later, or undo that.

        See `Host.cover`. Programs that have come into them before go on as they are.
        """
        before, wanted = self._layers, {*self._layers, layer} if is_covered else {*self._layers} - {layer}
        self._layers = [one for one in _LAYERS if one in wanted]
        if self.is_dead(LOGIN):
            raise SimclusterError("the login host is down")
        heard = {host.name: self._cover(host) for host in self._running.values()}
        message = await heard[LOGIN]  # others may be stopped, or cut off; what the kernel lets one do, it lets all
        if message["event"] == "failed":
            self._layers = before
            raise SimclusterError(f"the kernel refuses the mount: {os.strerror(message['number'])}")

    def _cover(self, host: Host) -> asyncio.Future[dict[str, Any]]:
        paths = {"home": self.home, "scratch": self.scratch}
        descriptors = [self.disk.connection] if "served" in self._layers else []
        return host.cover(self.new_key(), paths, self._layers, descriptors)

    async def kill_all(self) -> None:
        """End every machine."""
        await asyncio.gather(*(self.kill(name) for name in list(self._starting)), return_exceptions=True)

    def new_key(self) -> str:
        """A name for a process that is to be started."""
        return f"process{next(self._keys)}"

    def description(self, host: str, key: str, environment: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """A process to be started on that host, as `machine.processes.Start` wants it; it gets the cluster's mark."""
        marks = {MARKER: f"{self.blueprint.run}:{key}"}
        if "uts" not in self.kinds:
            marks["SIMCLUSTER_HOST"] = host
        for node, variables in self.skews.values():
            marks |= variables if node == host else {}
        return {"fallback_cwd": self.temporary, "key": key, "environment": {**environment, **marks}, **more}

    def login_environment(self) -> dict[str, str]:
        """The variables of a login, as sshd sets them, and those that reach the network and find the modules."""
        user = self.blueprint.user
        return {
            **self.variables,
            "HOME": self.home,
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "SCRATCH": self.scratch,
            **shell_environment(self.shared),
        }

    async def _start(self, name: str) -> Host:
        host = await start_host(name, self._plan(name), self.kinds)
        if self._layers:
            self._cover(host)
        self._running[name] = host
        if name == LOGIN:
            self._login = host
        host.when_lost = partial(self._lose, name)
        return host

    def _lose(self, name: str) -> None:
        """A machine was ended from outside."""
        _log.error("%s was lost: its first process, %s, was ended by somebody else", name, self._running[name].pid)
        del self._running[name], self._starting[name]
        self._dead.add(name)
        self.when_lost(name)

    def _plan(self, name: str) -> dict[str, Any]:
        own = [
            (str(self.directory / "home"), self.home),
            (str(self.directory / "scratch"), self.scratch),
            (str(self.directory / "shared"), SEEN_AS),
            (str(self.directory / "tmp" / name), self.temporary),
        ]
        tree = self.blueprint.tree
        return {
            **asdict(tree),
            "name": name,
            "mount_point": str(self.directory / "root"),
            "bound": [*own, *tree.bound, *self._files],
        }

    def _furnish(self) -> None:
        furnish(
            self.directory / "shared",
            self.shared,
            commands=self._commands,
            pythons=self.blueprint.pythons,
            has_host_names="uts" in self.kinds,
        )
        furnish_home(self.directory / "home", self.shared)
