"""slurmctld on the login host and a slurmd on each node, with what was wanted of the scheduler put to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.furniture import SYSTEM_PATH
from simcluster.emulated.machines import LOGIN
from simcluster.errors import ClusterStartError, SpecError
from simcluster.history import History
from simcluster.native.accounting import render_slurmdbd_conf, start_accounting
from simcluster.native.daemons import Daemons
from simcluster.native.installation import find_installation
from simcluster.native.ports import ReservedPort
from simcluster.slurm.conf import Site, render_conf_files
from simcluster.slurm.history import parse_history, parse_nodes
from simcluster.slurm.jobs import parse_jobs

if TYPE_CHECKING:
    from simcluster.emulated.hosts import Host
    from simcluster.emulated.machines import Machines

__all__ = ["SlurmController"]

_ACCOUNTING = "accounting"
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
        self._ports = {name: ReservedPort() for name in (*machines.names, _ACCOUNTING)}
        self._directory = machines.directory / "shared" / "slurm"
        self._daemons = Daemons(machines)

    async def start(self) -> None:
        """Start the daemons; returns when every node is idle."""
        configuration = {"SLURM_CONF": f"{self._seen}/etc/slurm.conf"}
        self._machines.variables |= configuration
        self._daemons.variables |= configuration
        self._write_files()
        nodes = [asyncio.create_task(self._machines.start(name)) for name in self._spec.node_names]
        if self._installation.munged:
            self._start_munge(self._installation.munged)
            await self._daemons.until_there(self._directory / "run" / "munge.socket", "munged did not come up")
        if self._spec.accounting and self._installation.accounting:
            await start_accounting(
                self._daemons,
                self._installation.accounting,
                user=self._machines.blueprint.user,
                port=self._ports[_ACCOUNTING].number,
                directory=self._directory,
                seen_as=self._seen,
            )
        await asyncio.gather(self.start_slurmctld(), *nodes)
        for name in self._spec.node_names:
            self._start_node(name)
        await self._daemons.until(self._is_idle, "its nodes did not become idle")

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

    async def output(self, *command: str) -> str:
        """What a command prints on the login host."""
        return await self._daemons.output(*command)

    async def stop_slurmctld(self) -> None:
        """End slurmctld; returns when it is gone, and has saved its state."""
        await self._daemons.end(LOGIN, self._installation.slurmctld)

    async def start_slurmctld(self) -> None:
        """Start slurmctld; returns when it answers."""
        self._daemons.start(LOGIN, [self._installation.slurmctld, "-D"])
        await self._daemons.until_listening(self._address, self._ports[LOGIN].number, "slurmctld did not come up")

    @property
    def _seen(self) -> str:
        """Slurm's directory as the machines see it."""
        return f"{self._machines.shared}/slurm"

    @property
    def _has_host_names(self) -> bool:
        """Whether each machine has a host name of its own, and not this computer's."""
        return "uts" in self._machines.kinds

    @property
    def _host(self) -> str:
        """The login host's name."""
        return LOGIN if self._has_host_names else socket.gethostname().partition(".")[0]

    @property
    def _address(self) -> str:
        """Where daemons listen: where their host's name leads (NoInAddrAny), and not everywhere."""
        return _LOOPBACK if self._has_host_names else socket.gethostbyname(socket.gethostname())

    def _write_files(self) -> None:
        for name in ("etc", "dev", "run", "state", "log", *(f"spool/{name}" for name in self._spec.node_names)):
            (self._directory / name).mkdir(parents=True)
        key = self._directory / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        site = self._site()
        for name, text in render_conf_files(self._spec, site).items():
            (self._directory / "etc" / name).write_text(text, encoding="utf-8")
        for device in site.gpu_devices(self._spec):
            (self._directory / "dev" / Path(device).name).symlink_to(os.devnull)
        # What a job with --export=NONE gets (GetEnvTimeout=0): 24.11's slurmd would log in by a clone(2) that an ordinary
        # container forbids, and end. An ordinary user's slurmd does not look.
        cache = self._directory / "state" / "env_cache" / self._machines.blueprint.user
        cache.parent.mkdir()
        login = self._machines.login_environment()
        cache.write_text("".join(f"{name}={value}\n" for name, value in login.items()), encoding="utf-8")
        if self._spec.accounting:
            file = self._directory / "etc" / "slurmdbd.conf"
            file.touch(mode=0o600)
            port, user = self._ports[_ACCOUNTING].number, self._machines.blueprint.user
            file.write_text(render_slurmdbd_conf(self._host, port, user, self._seen), encoding="utf-8")

    def _site(self) -> Site:
        address, host = self._address, self._host
        user = self._machines.blueprint.user
        settings = [
            *self._authentication(address),
            "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
            f"SlurmctldLogFile={self._seen}/log/slurmctld.log",
            "GetEnvTimeout=0",
            f"AccountingStoragePort={self._ports[_ACCOUNTING].number}",
            f"AccountingStoragePass={self._seen}/run/munge.socket",  # which munged to ask, instead of AuthInfo's
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
            devices=f"{self._seen}/dev",
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
        self._daemons.start(LOGIN, [program, "--foreground", "--force", *options_given])

    def _start_node(self, name: str) -> None:
        self._daemons.start(name, [self._installation.slurmd, "-D", "-N", name])

    async def _is_idle(self) -> bool:
        return len(set((await self.output(*_IDLE)).split())) == self._spec.nodes

    def _log(self, name: str) -> str:
        path = self._directory / "log" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _check(self, name: str) -> None:
        if name not in self._spec.node_names:
            raise SpecError(f"there is no node {name!r}; the nodes are {', '.join(self._spec.node_names)}")
