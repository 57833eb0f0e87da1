"""The scheduler of a running cluster: the core and a dialect, with real machines, a real clock, and callers."""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
import shutil
import time
from dataclasses import asdict, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from simcluster.emulated import messages
from simcluster.emulated.callers import Caller
from simcluster.emulated.furniture import SYSTEM_PATH
from simcluster.emulated.interface import Call, Machine, Reply
from simcluster.emulated.machines import LOGIN
from simcluster.emulated.troubles import Troubles
from simcluster.errors import SpecError
from simcluster.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.hosts import Host
    from simcluster.emulated.interface import Job, Partition, Settings
    from simcluster.emulated.machines import Machines
    from simcluster.emulated.messages import Conversation
    from simcluster.spec import ClusterSpec

__all__ = ["COMMANDS", "Scheduler", "SiteDialect"]

_log = logging.getLogger(__name__)

_SLURM = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol", "sinfo", "sacctmgr", "sshare")
# What is not emulated is not found, even where this computer has a Slurm of its own, which nobody here may reach.
_NOT_FOUND = ("salloc", "sattach", "sbcast", "scrontab", "sdiag", "sprio", "sreport", "sstat", "strigger")

# Those of PBS and Grid Engine that are not emulated.
_MORE = (
    "pbsdsh", "qlogin", "qmake", "qmgr", "qmod", "qmsg", "qorder", "qping",
    "qquota", "qresub", "qrsh", "qrun", "qsh", "qstart", "qstop", "qterm", "tracejob",
)  # fmt: skip

_ANSWERED = {
    "ssh": (),
    "slurm": (*_SLURM, *_NOT_FOUND),
    "pbs": ("qsub", "qstat", "qdel", "qhold", "qrls", "qrerun", "qsig", "qselect", "qalter", "qmove", "pbsnodes"),
    "sge": ("qsub", "qstat", "qdel", "qhold", "qrls", "qacct", "qconf", "qhost"),
}


def _foreign(scheduler: str) -> tuple[str, ...]:
    """What this computer has of schedulers, and such a cluster has not."""
    names = {*_MORE, *(name for group in _ANSWERED.values() for name in group)}
    return tuple(
        sorted(each for each in names.difference(_ANSWERED[scheduler]) if shutil.which(each, path=SYSTEM_PATH))
    )


_FOREIGN = {scheduler: _foreign(scheduler) for scheduler in _ANSWERED}

COMMANDS = {scheduler: (*answered, *_FOREIGN[scheduler]) for scheduler, answered in _ANSWERED.items()}
"""What is on the cluster's PATH for each scheduler. Its dialect is the package of that name; see `SiteDialect`."""

_NODE_TIMEOUT = 5.0
"""Seconds after which the controller notices that a node is gone."""


class SiteDialect(Protocol):
    """A package of `simcluster.emulated` that makes the core look like one scheduler."""

    def site(self, spec: ClusterSpec, user: str) -> tuple[Sequence[Partition], Settings]:
        """The partitions (queues) and settings of such a cluster."""
        ...

    async def answer(self, core: Core, call: Call) -> Reply:
        """What a command prints and how it ends, as on a login host of a real cluster."""
        ...


class _StdinWantedError(Exception):
    """The command reads its input, which has not been asked for yet."""


class _CallWithoutStdin:
    """As `Call`, but who reads `stdin` is stopped: most commands don't, and then nobody waits for its end."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        if name == "stdin":
            raise _StdinWantedError
        return getattr(self._call, name)


class Scheduler:
    """Without a core on a host that has no scheduler."""

    def __init__(self, machines: Machines) -> None:
        spec, user = machines.blueprint.spec, machines.blueprint.user
        self._user = user
        self._scheduler = spec.scheduler
        self._machines = machines
        self._socket: messages.Server | None = None
        self._first: asyncio.Task[Any] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._notices: dict[str, asyncio.TimerHandle] = {}
        self._core: Core | None = None
        self._troubles: Troubles | None = None
        self._dialect_name = f"simcluster.emulated.{spec.scheduler}"
        self._started = time.time()
        machines.when_lost = self._lost
        if spec.scheduler != "ssh":
            # A host without a scheduler starts sooner without this.
            dialect = cast("SiteDialect", import_module(self._dialect_name))
            self._answer = dialect.answer
            self._core = _make_core(spec, user, machines, dialect)
            self._core.alarm = self._set_alarm

    async def start(self) -> None:
        """Answer commands from here on."""
        self._socket = messages.Server("shared/run/socket", self.converse)
        if self._core:
            # The first job is going to want it.
            self._first = asyncio.create_task(self._machines.start(self._machines.names[1]))

    def close(self) -> None:
        """Answer nobody any more."""
        if self._socket:
            self._socket.close()

    async def converse(self, request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
        """Answer a command of the cluster's; `machine.ask` is at the other end."""
        host, program = request.pop("host"), request["program"]
        if program in _FOREIGN[self._scheduler]:
            return _as_dict(Reply(stderr=f"bash: {program}: command not found\n", code=127))
        call = Call(
            program=program,
            arguments=tuple(request["arguments"]),
            cwd=request["cwd"],
            environment=request["environment"],
            stdin=b"",
            user=self._user,
            host=host if host in self._machines.names else LOGIN,
            umask=request["umask"],
            caller=Caller(conversation),
        )
        assert self._core is not None  # noqa: S101
        if self._troubles and (reply := await self._troubles.meet(call)):
            return _as_dict(reply)
        try:
            try:
                reply = await self._answer(self._core, cast("Call", _CallWithoutStdin(call)))
            except _StdinWantedError:
                await conversation.send({"wants_stdin": True})
                call = replace(call, stdin=await conversation.receive_bytes())
                reply = await self._answer(self._core, call)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the fault of whoever wrote the command, not of who types it
            _log.exception("%s %s", call.program, shlex.join(call.arguments))
            return _as_dict(Reply("", f"{call.program}: simcluster could not answer this: {error!r}\n", 1))
        return _as_dict(reply)

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job so far, as `simcluster.cluster.Job` has it."""
        return [_describe(job) for job in self._core.jobs] if self._core else []

    async def history(self, cluster: str) -> dict[str, Any]:
        """Everything so far, as `simcluster.history.History` has it; nothing on a host without a scheduler."""
        from simcluster.emulated.history import core_history  # noqa: PLC0415

        now = time.time()
        history = core_history(self._core, cluster) if self._core else History(cluster, self._started, now, (), ())
        return asdict(history)

    @property
    def has_core(self) -> bool:
        return self._core is not None

    @property
    def core(self) -> Core:
        """Raises SpecError on a host that has none."""
        if self._core is None:
            raise SpecError("this host has no scheduler")
        return self._core

    @property
    def troubles(self) -> Troubles:
        """What is wrong with it; most clusters never need to know."""
        if self._troubles is None:
            words = import_module(f"{self._dialect_name}.outages")
            self._troubles = Troubles(words, self.core.settings)
        return self._troubles

    def halt(self) -> None:
        """Have the server do nothing until `go_on`."""
        self.core.is_halted = True

    def go_on(self) -> None:
        """Have the server work again."""
        self.core.is_halted = False
        self.core.tick()

    def find_job(self, id_: str) -> Job:
        """The job, or element of an array, of that id in any scheduler's way to write it."""
        match = re.match(r"(\d+)(?:[_.\[](\d+))?", id_)
        found = self.core.find(int(match[1]), int(match[2]) if match[2] else None) if match else []
        if len(found) != 1:
            raise SpecError(
                f"there is no job {id_!r}" if not found else f"{id_!r} is an array; name one of its elements"
            )
        return found[0]

    async def lose_node(self, name: str) -> Host:
        """The machine, which from now on the controller hears nothing of, and misses after a while."""
        self.check_node(name)
        if self._machines.is_dead(name):
            raise SpecError(f"{name} is off already")
        host = await self._machines.start(name)
        self._cancel_notice(name)
        self._expect_notice(name)
        return host

    def regain_node(self, name: str) -> None:
        """The controller hears of the machine again."""
        self._cancel_notice(name)
        self.core.node_up(name)

    async def revive_node(self, name: str) -> None:
        """Switch a node on, unless it is on."""
        if self._machines.is_dead(name):
            await self.restart_node(name)

    async def kill_node(self, name: str) -> None:
        """Take a node's power away; the controller notices later."""
        self.check_node(name)
        await self._machines.kill(name)
        self._cancel_notice(name)
        self._expect_notice(name)

    async def restart_node(self, name: str) -> None:
        """Switch a node on again, or off and on: what ran there is gone, as the controller hears from the node."""
        self.check_node(name)
        await self._machines.kill(name)
        self._cancel_notice(name)
        self._notice_death(name)
        await self._machines.start(name)
        if self._core:
            self._core.node_up(name)

    def check_node(self, name: str) -> None:
        """Raises SpecError if there is no such node."""
        if name not in self._machines.names or name == LOGIN:
            nodes = ", ".join(self._machines.names[1:]) or "none"
            raise SpecError(f"there is no node {name!r}; the nodes are {nodes}")

    def _lost(self, name: str) -> None:
        """A node is gone, without a wish of ours; the controller notices later, as always."""
        if name != LOGIN:
            self._cancel_notice(name)
            self._expect_notice(name)

    def _cancel_notice(self, name: str) -> None:
        if notice := self._notices.pop(name, None):
            notice.cancel()

    def _expect_notice(self, name: str) -> None:
        self._notices[name] = asyncio.get_running_loop().call_later(_NODE_TIMEOUT, self._notice_death, name)

    def _notice_death(self, name: str) -> None:
        if self._core and self._core.is_halted:
            self._expect_notice(name)
        elif self._core:
            self._core.node_down(name)

    def _set_alarm(self, when: float | None) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if when is not None and self._core is not None:
            delay = max(0.0, when - time.time())
            self._alarm = asyncio.get_running_loop().call_later(delay, self._core.tick)


def _make_core(spec: ClusterSpec, user: str, machines: Machines, dialect: SiteDialect) -> Core:
    from simcluster.emulated.core import Core  # noqa: PLC0415
    from simcluster.emulated.launcher import ProcessLauncher  # noqa: PLC0415

    partitions, settings = dialect.site(spec, user)
    launcher = ProcessLauncher(machines)
    launcher.core = Core(
        [Machine(name, spec.cpus_per_node, spec.memory_mb, spec.gpus_per_node) for name in spec.node_names],
        partitions,
        cluster_name="simcluster",
        clock=time,
        launcher=launcher,
        accounting=bool(spec.accounting),
        settings=settings,
    )
    return launcher.core


def _as_dict(reply: Reply) -> dict[str, Any]:
    return {"stdout": reply.stdout, "stderr": reply.stderr, "code": reply.code}


def _describe(job: Job) -> dict[str, Any]:
    state = "COMPLETING" if job.is_completing else job.state.value
    return {
        "id": job.full_id,
        "name": job.name,
        "state": state,
        "node": ",".join(job.nodes) or None,
        "submit": _moment(job.submitted),
        "start": _moment(job.started),
        "end": _moment(job.ended),
        "exit_code": f"{job.exit_code}:{job.signal}",
        "directory": job.request.options.get("submit-dir", job.cwd),
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
