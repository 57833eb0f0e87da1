"""slurmctld on the login host and a slurmd on each node, with what was wanted of the scheduler put to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.furniture import SYSTEM_PATH
from simcluster.emulated.machines import LOGIN
from simcluster.errors import ClusterStartError, SpecError
from simcluster.history import History
from simcluster.native.installation import find_installation
from simcluster.native.ports import ReservedPort
from simcluster.slurm.conf import Site, render_conf_files
from simcluster.slurm.history import parse_history, parse_nodes
from simcluster.slurm.jobs import parse_jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simcluster.emulated.hosts import Host
    from simcluster.emulated.machines import Machines

__all__ = ["SlurmController"]

_START_DEADLINE = 50.0
_POLL = 0.02
_SLURMCTLD = f"slurmctld on {LOGIN}"
_LOOPBACK = "127.0.0.1"
_SHOW_JOBS = ("scontrol", "--all", "--oneliner", "show", "job")
_IDLE = ("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")


class SlurmController:
    """See `simcluster.emulated.daemon.Controller`. All of Slurm's files are in one directory that all machines see."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._spec = machines.blueprint.spec
        self._started = time.time()
        self._installation = find_installation(self._spec.hide)
        self._ports = {name: ReservedPort() for name in machines.names}
        self._directory = machines.directory / "shared" / "slurm"
        self._ended: list[str] = []
        self._relays: set[asyncio.Task[None]] = set()
        self._keys: dict[str, str] = {}

    async def start(self) -> None:
        """Start the daemons; returns when every node is idle."""
        self._write_files()
        self._machines.variables["SLURM_CONF"] = f"{self._seen}/etc/slurm.conf"
        if self._installation.munged:
            self._start_munge(self._installation.munged)
            await self._until(lambda: self._is_there("run/munge.socket"), "munged did not come up")
        nodes = [self._machines.start(name) for name in self._spec.node_names]
        self._start(LOGIN, [self._installation.slurmctld, "-D"])
        await asyncio.gather(*nodes)
        # A slurmd that meets nobody tries again after whole seconds.
        await self._until(self._is_listening, "slurmctld did not come up")
        for name in self._spec.node_names:
            self._start_node(name)
        await self._until(self._is_idle, "its nodes did not become idle")

    def close(self) -> None:
        """Let the ports go."""
        for port in self._ports.values():
            port.close()

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job so far, the oldest first."""
        return [asdict(job) for job in parse_jobs(self._log("jobcomp.log"), await self.output(*_SHOW_JOBS))]

    async def history(self, cluster: str) -> dict[str, Any]:
        """Everything so far, as far as Slurm remembers it: see `simcluster.slurm.history`."""
        shown, log = await self.output(*_SHOW_JOBS), self._log("slurmctld.log")
        history = History(
            cluster=cluster,
            started=self._started,
            taken=time.time(),
            nodes=parse_nodes(self._spec, log),
            jobs=parse_history(self._log("jobcomp.log"), shown, controller_log=log),
        )
        return asdict(history)

    async def kill_node(self, name: str) -> None:
        """Kill slurmd, and all of its jobs' processes."""
        self._check(name)
        await self._machines.kill(name)

    async def restart_node(self, name: str) -> None:
        """Start slurmd, again or anew, with nothing in its spool, as on a node without disks."""
        await self.kill_node(name)
        # What the scripts of killed jobs left, only root could write over.
        spool = self._directory / "spool" / name
        shutil.rmtree(spool)
        spool.mkdir()
        await self._machines.start(name)
        self._start_node(name)

    @property
    def programs(self) -> str:
        """The directory of Slurm's commands."""
        return str(Path(shutil.which("sbatch", path=SYSTEM_PATH) or "/usr/bin/sbatch").parent)

    def machine(self, name: str) -> Host:
        """A node that is up. Raises SpecError."""
        self._check(name)
        host = self._machines.running(name)
        if host is None:
            raise SpecError(f"{name} is off")
        return host

    async def stop_slurmctld(self) -> None:
        """Kill slurmctld; returns when it is gone."""
        self._machines.login.signal(self._keys[_SLURMCTLD], signal.SIGKILL, everything=True)
        while _SLURMCTLD not in self._ended:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)

    async def start_slurmctld(self) -> None:
        """Start slurmctld again; returns when it answers."""
        self._ended.remove(_SLURMCTLD)
        self._start(LOGIN, [self._installation.slurmctld, "-D"])
        await self._until(self._is_listening, "slurmctld did not come up again")

    @property
    def _seen(self) -> str:
        """Slurm's directory as the machines see it."""
        return f"{self._machines.shared}/slurm"

    @property
    def _has_host_names(self) -> bool:
        """Whether each machine has a host name of its own, and not this computer's."""
        return "uts" in self._machines.kinds

    @property
    def _address(self) -> str:
        """Where daemons listen: where their host's name leads (NoInAddrAny), and not everywhere."""
        return _LOOPBACK if self._has_host_names else socket.gethostbyname(socket.gethostname())

    def _write_files(self) -> None:
        for name in ("etc", "run", "state", "log", *(f"spool/{name}" for name in self._spec.node_names)):
            (self._directory / name).mkdir(parents=True)
        key = self._directory / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        for name, text in render_conf_files(self._spec, self._site()).items():
            (self._directory / "etc" / name).write_text(text, encoding="utf-8")

    def _site(self) -> Site:
        address, host = self._address, LOGIN if self._has_host_names else socket.gethostname().partition(".")[0]
        user = self._machines.blueprint.user
        settings = [
            *self._authentication(address),
            "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
            f"SlurmctldLogFile={self._seen}/log/slurmctld.log",
        ]
        return Site(
            version=self._installation.version,
            controller=f"{host}({address})",
            user=user,
            node_user=user,
            port=self._ports[LOGIN].number,
            run=f"{self._seen}/run",
            state=f"{self._seen}/state",
            spool=f"{self._seen}/spool/%n",
            logs=f"{self._seen}/log",
            settings=tuple(settings),
            addresses={
                name: f"NodeHostname={name if self._has_host_names else host} NodeAddr={address} Port={self._ports[name].number}"
                for name in self._spec.node_names
            },
        )

    def _authentication(self, address: str) -> list[str]:
        if self._installation.munged:
            socket_name = f"{self._seen}/run/munge.socket"
            return ["AuthType=auth/munge", "CredType=cred/munge", f"AuthInfo=socket={socket_name},cred_expire=5"]
        # Without it whoever reaches the ports may say to be anybody.
        if os.getuid() == 0 or address != _LOOPBACK:
            raise ClusterStartError(
                "without munge anybody could run programs here as root, or from elsewhere;"
                " install it (Debian and Ubuntu: apt-get install munge)"
            )
        return ["AuthType=auth/none", "CredType=cred/none"]

    def _start_munge(self, program: str) -> None:
        run = f"{self._seen}/run"
        options = {
            "key-file": f"{self._seen}/etc/munge.key",
            "socket": f"{run}/munge.socket",
            "pid-file": f"{run}/munged.pid",
            "log-file": f"{self._seen}/log/munged.log",
            "seed-file": f"{run}/munged.seed",
            "num-threads": "2",
        }
        # --force: the directory is private already, though one above it may not be.
        options_given = [f"--{name}={value}" for name, value in options.items()]
        self._start(LOGIN, [program, "--foreground", "--force", *options_given])

    def _start_node(self, name: str) -> None:
        self._start(name, [self._installation.slurmd, "-D", "-N", name])

    def _start(self, machine: str, command: list[str]) -> None:
        """Start a daemon; what it says goes to the cluster's log."""
        program = Path(command[0]).name

        def hear(message: dict[str, Any]) -> None:
            if message["event"] in {"ended", "failed"}:
                self._ended.append(f"{program} on {machine}")

        nothing = os.open(os.devnull, os.O_RDWR)
        reading, writing = os.pipe()
        # Slurm's programs know by this name which of them they are.
        self._keys[f"{program} on {machine}"] = self._run_on(
            machine, [program, *command[1:]], hear, [nothing, writing, writing], program=command[0]
        )
        os.close(nothing)
        os.close(writing)
        task = asyncio.create_task(_relay(reading, machine))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def output(self, *command: str) -> str:
        """What a command prints on the login host."""
        nothing = os.open(os.devnull, os.O_RDWR)
        reading, writing = os.pipe()
        self._run_on(LOGIN, list(command), lambda _message: None, [nothing, writing, nothing])
        os.close(writing)
        os.close(nothing)
        data = await asyncio.get_running_loop().run_in_executor(None, _read_all, reading)
        return data.decode(errors="replace")

    def _run_on(
        self,
        machine: str,
        arguments: list[str],
        hear: Callable[[dict[str, Any]], None],
        descriptors: list[int],
        **more: Any,
    ) -> str:
        """Start a program on a machine that is up; the key by which it is sent signals."""
        key = self._machines.new_key()
        host = self._machines.running(machine)
        if host is None:
            return key
        environment = {"PATH": SYSTEM_PATH, "SLURM_CONF": f"{self._seen}/etc/slurm.conf", "HOME": self._machines.home}
        described = self._machines.description(machine, key, environment, arguments=arguments, cwd="/", **more)
        host.start(described, hear, descriptors)
        return key

    async def _until(self, condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not await condition():
            if self._ended or time.monotonic() > deadline:
                ended = f" ({', '.join(self._ended)} ended)" if self._ended else ""
                raise ClusterStartError(f"{otherwise}{ended}")
            await asyncio.sleep(_POLL)

    async def _is_there(self, name: str) -> bool:
        return (self._directory / name).exists()

    async def _is_listening(self) -> bool:
        port = self._ports[LOGIN].number
        try:
            _, writer = await asyncio.open_connection(self._address, port)
        except OSError:
            return False
        writer.close()
        return True

    async def _is_idle(self) -> bool:
        return len(set((await self.output(*_IDLE)).split())) == self._spec.nodes

    def _log(self, name: str) -> str:
        path = self._directory / "log" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _check(self, name: str) -> None:
        if name not in self._spec.node_names:
            raise SpecError(f"there is no node {name!r}; the nodes are {', '.join(self._spec.node_names)}")


async def _relay(descriptor: int, machine: str) -> None:
    """Copy what comes, until it ends, to the log, with when it came and from which machine."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
    async for line in reader:
        moment = datetime.now().astimezone().isoformat(timespec="milliseconds")
        print(moment, machine, line.decode(errors="replace").rstrip(), file=sys.stderr, flush=True)  # noqa: T201


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
