"""A cluster of processes of this machine, behind the interface of `simcluster.cluster.Cluster`."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import secrets
import select
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from simcluster.access import AccessDirectory, KeyPair
from simcluster.cluster import Job
from simcluster.emulated import messages
from simcluster.emulated.blueprint import Blueprint
from simcluster.emulated.isolation import NETWORK_VARIABLES, plan_tree
from simcluster.emulated.registry import CONTROL, LOG, Record, find_record, list_records, read_record, reap, record_path
from simcluster.errors import BackendUnavailableError, ClusterStartError, SimclusterError, SpecError
from simcluster.faults import Faults
from simcluster.faults.ledger import Ledger
from simcluster.history import History
from simcluster.ownership import Owner, start_time
from simcluster.pythons import find_pythons
from simcluster.running import RunningCluster
from simcluster.shell import ClusterOverSSH, Shell
from simcluster.spec import checked_name
from simcluster.timeline import write_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simcluster.cluster import SSHEndpoint
    from simcluster.pythons import Interpreter
    from simcluster.spec import ClusterSpec

__all__ = [
    "EmulatedCluster",
    "EmulatedNode",
    "attach",
    "end",
    "history_of",
    "list_clusters",
    "log_of",
    "start",
    "start_cluster",
]

_START_DEADLINE = 60.0
_END_DEADLINE = 30.0
_LAST_BREATH = 2.0
_LOG_POLL = 0.1


class EmulatedNode:
    """A compute node that is a process and its descendants."""

    def __init__(self, name: str, control: Path) -> None:
        self.name = name
        self._control = control

    @property
    def is_up(self) -> bool:
        """Whether it was not killed."""
        return self.name not in _ask(self._control, {"do": "state"})["dead"]

    def kill(self) -> None:
        """Kill every process on it."""
        _ask(self._control, {"do": "kill", "node": self.name})

    def restart(self) -> None:
        """Start it, again or anew."""
        _ask(self._control, {"do": "restart", "node": self.name})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _DaemonFaults:
    """See `simcluster.faults.FaultBackend`; the daemon does it all."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def refusals(self) -> dict[str, str]:
        refusals: dict[str, str] = _ask(self._control, {"do": "refusals"})["refusals"]
        return refusals

    def start(self, name: str, arguments: Mapping[str, Any]) -> Any:
        return _ask(self._control, {"do": "break", "fault": name, "arguments": dict(arguments)})["token"]

    def stop(self, _name: str, token: Any) -> None:
        _ask(self._control, {"do": "mend", "token": token})


class EmulatedCluster(ClusterOverSSH):
    """A running cluster of processes, emulated or native; see `simcluster.cluster.Cluster`.

    `isolation` names the kinds of namespaces that its machines have ("mount": the caller's files are hidden; "uts":
    host names of their own; "pid": processes of their own); it is empty where the kernel allows none.
    """

    def __init__(self, record: Record, facts: Mapping[str, Any], cleanup: ExitStack) -> None:
        self.name = record.name
        self.spec = record.spec
        self.ssh = record.endpoint()
        self.isolation: tuple[str, ...] = tuple(facts["isolation"])
        self.pythons = MappingProxyType(dict(facts["pythons"]))
        self.home, self.scratch = str(facts["home"]), str(facts["scratch"])
        self._control = record.control
        self.nodes = MappingProxyType({node: EmulatedNode(node, record.control) for node in record.spec.node_names})
        self.faults = _faults(record.directory, record.spec)
        shell = Shell(self.ssh)
        cleanup.callback(shell.close)
        super().__init__(shell, cleanup)

    @property
    def other_user(self) -> SSHEndpoint:
        """There is none: everything runs as the user who started it."""
        raise SimclusterError('a cluster of processes has one user; use backend="docker" for a second one')

    def jobs(self) -> list[Job]:
        """Every job so far, the oldest first."""
        return [Job(**values) for values in _ask(self._control, {"do": "jobs"})["jobs"]]

    def history(self) -> History:
        """Everything so far, as the scheduler's core knows it, and the faults."""
        return _history(self._control)

    def timeline(self, path: str | Path) -> Path:
        """Write the history as one HTML page."""
        return write_timeline(path, [self.history()])

    def __repr__(self) -> str:
        return f"<{self.spec.backend} cluster {self.name}>"


def start(spec: ClusterSpec, *, keep: bool = False, name: str | None = None) -> EmulatedCluster:
    """Start a cluster; returns when it takes jobs.

    Without `keep` it belongs to this process, and goes when that goes, however that happens.
    """
    _check_platform()
    return start_cluster(spec, "simcluster.emulated.daemon", keep=keep, name=name)


def start_cluster(spec: ClusterSpec, daemon: str, *, keep: bool, name: str | None) -> EmulatedCluster:
    """Start a cluster that is kept by the program in the module `daemon`."""
    if find_spec("asyncssh") is None:
        raise BackendUnavailableError(
            f'the {spec.backend} backend needs asyncssh, which comes with: pip install "clustrix[simcluster]"'
        )
    run = secrets.token_hex(4)
    name = checked_name(name or f"{spec.scheduler}-{run}")
    reap()
    if find_record(name):
        raise SpecError(f"there is a cluster {name!r} already; take another name, or first: simcluster down {name}")
    pythons = _choose_pythons(spec, find_pythons())
    owner = None if keep else Owner.this_process()
    with ExitStack() as undo:
        access = AccessDirectory.create(name, keep)
        directory = access.path.resolve()
        user = _user()
        record = Record(run, name, user, spec, owner, Owner.this_process(), directory, int(time.time()))
        record.write()
        undo.callback(record.path.unlink, missing_ok=True)
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        key, host_key = access.add_user(user), KeyPair.generate()
        blueprint = Blueprint(
            run=run,
            name=name,
            user=user,
            spec=spec,
            owner=owner,
            record=record_path(run),
            tree=plan_tree(pythons.values(), spec.hide),
            pythons=pythons,
            variables={name: os.environ[name] for name in (*NETWORK_VARIABLES, "TZ") if os.environ.get(name)},
            public_key=key.public,
            host_key=host_key.private,
        )
        blueprint.write(directory)
        log = undo.enter_context((directory / LOG).open("w+b"))
        process = _start_daemon(daemon, directory, log, keep)
        undo.callback(_end_process, process)
        record = replace(record, keeper=replace(record.keeper, pid=process.pid, started=start_time(process.pid) or ""))
        record.write()
        ready = _wait_until_ready(process, log)
        record = replace(record, port=ready["port"], isolation=tuple(ready["isolation"]))
        record.write()
        access.write(name, ready["port"], host_key.public, spec, user=user)
        cleanup = undo.pop_all()
    if keep:
        _let_go(process)
        cleanup = ExitStack()
    return EmulatedCluster(record, ready, cleanup)


def attach(cluster: RunningCluster) -> EmulatedCluster:
    """A cluster that was found again, to be used; closing it lets go of it and no more."""
    facts = _ask(cluster.directory / CONTROL, {"do": "facts"})
    return EmulatedCluster(read_record(Path(facts["record"])), facts, ExitStack())


def list_clusters() -> list[RunningCluster]:
    """Every cluster of processes of this user, the oldest first, after what the dead left behind was removed."""
    reap()
    return [_describe(record) for record in list_records()]


def history_of(cluster: RunningCluster) -> History:
    """The history of a cluster that was found again."""
    return _history(cluster.directory / CONTROL)


def log_of(cluster: RunningCluster, *, follow: bool) -> Iterator[str]:
    """The lines of the daemon's log, with `follow` those that come until the cluster ends."""
    with (cluster.directory / LOG).open(encoding="utf-8", errors="replace") as file:
        rest = ""
        while True:
            is_up = cluster.directory.exists()
            *lines, rest = (rest + file.read()).split("\n")
            yield from lines
            if not (follow and is_up):
                break
            time.sleep(_LOG_POLL)
    if rest:
        yield rest


def end(cluster: RunningCluster) -> None:
    """Remove a cluster, whoever started it."""
    record = find_record(cluster.name)
    if record is None:
        return
    with suppress(SimclusterError):  # its daemon is gone, or is just going
        _ask(record.control, {"do": "end"})
    deadline = time.monotonic() + _END_DEADLINE
    while record.path.exists():
        reap()
        if time.monotonic() > deadline:
            raise SimclusterError(f"{record.name} does not end; kill its daemon: kill -9 {record.keeper.pid}")
        time.sleep(0.01)
    # The daemon has nothing more to do, but whoever looks at once would still see it.
    deadline = time.monotonic() + _LAST_BREATH
    while start_time(record.keeper.pid) == record.keeper.started and time.monotonic() < deadline:
        time.sleep(0.005)


def _describe(record: Record) -> RunningCluster:
    try:
        dead = _ask(record.control, {"do": "state"})["dead"]
    except SimclusterError:  # it is being started, or just ends
        dead = ["login", *record.spec.node_names]
    machines = {name: "exited" if name in dead else "running" for name in ("login", *record.spec.node_names)}
    return RunningCluster(
        name=record.name,
        run=record.run,
        spec=record.spec,
        owner=record.owner,
        directory=record.directory,
        created=record.created,
        port=record.port,
        machines=machines,
    )


def _check_platform() -> None:
    if sys.platform not in {"linux", "darwin"}:
        raise BackendUnavailableError(
            'the emulated backend needs Linux or macOS; on Windows use WSL, or backend="docker"'
        )


def _choose_pythons(spec: ClusterSpec, found: dict[str, Interpreter]) -> dict[str, Interpreter]:
    missing = [version for version in spec.pythons or () if version not in found]
    if missing:
        raise SpecError(
            f"Python {', '.join(missing)} is not on this machine, which has {', '.join(found) or 'none'};"
            f" install it (pyenv install {missing[0]}, or uv python install {missing[0]}) or ask for others"
        )
    if not found:
        raise SpecError("no Python was found on this machine; install one: uv python install 3.12")
    return {version: found[version] for version in spec.pythons or found}


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return getpass.getuser() if os.environ.get("USER") else "user"


def _start_daemon(module: str, directory: Path, log: IO[bytes], keep: bool) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", module, str(directory)],
        stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        # Not in the owner's session: whatever kills its process group must not keep this from cleaning up.
        start_new_session=True,
        cwd="/",
    )


def _wait_until_ready(process: subprocess.Popen[bytes], log: IO[bytes]) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101
    line = b""
    if select.select([process.stdout], [], [], _START_DEADLINE)[0]:
        line = process.stdout.readline()
    if not line:
        # The file may be removed already; this end of it is still open.
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
        raise ClusterStartError(f"the cluster did not come up. The end of its log:\n{said[-2000:] or 'it is empty'}")
    ready: dict[str, Any] = json.loads(line)
    return ready


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe that the daemon lives by, and wait until it has cleaned up."""
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    if process.stdin is None:
        process.terminate()
    process.wait()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Forget the daemon of a cluster that is kept; it is nobody's child to wait for."""
    if process.stdout:
        process.stdout.close()
    process.returncode = 0


def _history(control: Path) -> History:
    history = History.from_dict(_ask(control, {"do": "history"})["history"])
    return replace(history, faults=Ledger(control.parent).spans())


def _faults(directory: Path, spec: ClusterSpec) -> Faults:
    return Faults(_DaemonFaults(directory / CONTROL), directory, spec.node_names, spec.seed, spec.backend)


def _ask(control: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = messages.ask(control, request)
    except OSError as error:
        raise SimclusterError("this cluster has ended; start another") from error
    if "error" in answer:
        raise SpecError(answer["error"])
    return answer
