"""A Slurm cluster in containers."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired
from types import MappingProxyType
from typing import TYPE_CHECKING

from simcluster.access import USERS, AccessDirectory, KeyPair
from simcluster.docker.containers import LOGIN, Machine, start_machines
from simcluster.docker.engine import connect, prompt_acknowledgements, proxies
from simcluster.docker.faults import DockerFaults
from simcluster.docker.images import ensure_image, pythons_in
from simcluster.docker.inventory import list_clusters, machines_of
from simcluster.docker.logs import read_logs
from simcluster.docker.reaper import reap, remove_run
from simcluster.docker.recipe import ImageRecipe
from simcluster.docker.watchdog import Watchdog
from simcluster.errors import ClusterStartError, SpecError
from simcluster.faults import Faults
from simcluster.faults.ledger import Ledger
from simcluster.history import History
from simcluster.ownership import DIRECTORY, NAME, RUN, SPEC, Owner
from simcluster.shell import ClusterOverSSH, Shell, wait_for_ssh
from simcluster.slurm.conf import Site, render_conf_files
from simcluster.slurm.history import parse_history, parse_nodes
from simcluster.slurm.jobs import parse_jobs
from simcluster.spec import checked_name
from simcluster.timeline import write_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker
    from docker.models.containers import Container

    from simcluster.cluster import Job, SSHEndpoint
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = [
    "DockerCluster",
    "DockerNode",
    "attach",
    "end",
    "history_of",
    "image_recipe",
    "log_of",
    "published_port",
    "start",
]

_BASES = {"22.05": "debian:bookworm-slim", "24.11": "debian:trixie-slim"}
_SHOW_JOBS = ["scontrol", "--all", "--oneliner", "show", "job"]
_CONTAINER_ZONE = timezone.utc
_SSH_PORT = 22
_START_DEADLINE = 60.0

# Slurm's commands sleep for a second when the controller does not listen yet, so its port is asked first.
_READY = """\
until (: > /dev/tcp/login/6817) 2>/dev/null; do
    sleep 0.02
done
until [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | sort -u | wc -l)" = {nodes} ]; do
    sleep 0.02
done
"""
_ACCOUNTING_READY = """\
until sacct --allocations --noheader >/dev/null 2>&1; do
    sleep 0.02
done
"""


class DockerNode:
    """A compute node that is a container."""

    def __init__(self, name: str, container: Container) -> None:
        self.name = name
        self._container = container

    @property
    def is_up(self) -> bool:
        """Whether the container runs."""
        self._container.reload()
        return bool(self._container.status == "running")

    def kill(self) -> None:
        """Kill the container: no process on it gets to say anything."""
        self._container.kill()

    def restart(self) -> None:
        """Start the container, again or anew."""
        self._container.restart(timeout=0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class DockerCluster(ClusterOverSSH):
    """A running cluster of containers; see `simcluster.cluster.Cluster`."""

    def __init__(
        self,
        *,
        name: str,
        spec: ClusterSpec,
        pythons: tuple[str, ...],
        containers: Mapping[str, Container],
        endpoints: Mapping[str, SSHEndpoint],
        shell: Shell,
        cleanup: ExitStack,
    ) -> None:
        self.name = name
        self.spec = spec
        self.pythons = MappingProxyType({version: f"/opt/python/{version}/bin/python{version}" for version in pythons})
        self.ssh, self.other_user = (endpoints[user] for user in USERS)
        self.home, self.scratch = f"/home/{USERS[0]}", f"/scratch/{USERS[0]}"
        self.nodes = MappingProxyType({node: DockerNode(node, containers[node]) for node in spec.node_names})
        self._login = containers[LOGIN]
        self.faults = Faults(
            DockerFaults(containers), _directory(self._login), spec.node_names, spec.seed, spec.backend
        )
        super().__init__(shell, cleanup)

    def jobs(self) -> list[Job]:
        """Every job so far, of every user, the oldest first."""
        log = self._as_root(["cat", _site(self.spec).completion_log])
        return parse_jobs(log, self._as_root(_SHOW_JOBS))

    def history(self) -> History:
        """Everything so far, as far as Slurm remembers it: see `simcluster.slurm.history`."""
        return _history(self.name, self.spec, self._login)

    def timeline(self, path: str | Path) -> Path:
        """Write the history as one HTML page."""
        return write_timeline(path, [self.history()])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _as_root(self, command: list[str]) -> str:
        return _output(self._login, command)


def start(spec: ClusterSpec, *, keep: bool = False, name: str | None = None) -> DockerCluster:
    """Start a cluster; returns when every node is idle and the accounting, if any, answers.

    Without `keep` it belongs to this process, and goes when that goes, however that happens.
    """
    run = secrets.token_hex(4)
    name = checked_name(name or f"{spec.scheduler}-{run}")
    with ExitStack() as undo:
        client = undo.enter_context(closing(connect()))
        reap(client)
        if any(name == cluster.name for cluster in list_clusters(client)):
            raise SpecError(f"there is a cluster {name!r} already; take another name, or first: simcluster down {name}")
        image = ensure_image(client, image_recipe(spec), spec.pythons)
        pythons = _choose_pythons(spec, pythons_in(image))
        access = AccessDirectory.create(name, keep)
        undo.callback(shutil.rmtree, access.path, ignore_errors=True)
        labels = {RUN: run, NAME: name, SPEC: json.dumps(spec.to_dict()), DIRECTORY: str(access.path)}
        watchdog = None
        if not keep:
            owner = Owner.this_process()
            labels |= owner.labels()
            watchdog = Watchdog(run, access.path, owner)
        undo.callback(_remove, client, run, watchdog)

        user_keys, host_key = access.add_users(), KeyPair.generate()
        machines = _machines(spec, pythons, user_keys, host_key, prompt_acknowledgements(client))
        containers = start_machines(client, str(image.id), machines, labels, internet=spec.internet)
        port = published_port(containers[LOGIN])
        access.write(name, port, host_key.public, spec)
        endpoints = {user: access.endpoint(user, port) for user in USERS}
        shell = Shell(endpoints[USERS[0]])
        undo.callback(shell.close)
        _wait_until_ready(spec, shell, containers)
        cleanup = undo.pop_all()
    if keep:
        cleanup = ExitStack()
        cleanup.callback(client.close)
        cleanup.callback(shell.close)
    return DockerCluster(
        name=name,
        spec=spec,
        pythons=pythons,
        containers=containers,
        endpoints=endpoints,
        shell=shell,
        cleanup=cleanup,
    )


def attach(cluster: RunningCluster) -> DockerCluster:
    """A cluster that was found again, to be used; closing it lets go of it and no more."""
    with ExitStack() as undo:
        client = undo.enter_context(closing(connect()))
        containers = machines_of(client, cluster.run)
        image = containers[LOGIN].image
        assert image is not None  # noqa: S101
        port = published_port(containers[LOGIN])
        endpoints = {user: AccessDirectory(cluster.directory).endpoint(user, port) for user in USERS}
        shell = Shell(endpoints[USERS[0]])
        undo.callback(shell.close)
        return DockerCluster(
            name=cluster.name,
            spec=cluster.spec,
            pythons=cluster.spec.pythons or pythons_in(image),
            containers=containers,
            endpoints=endpoints,
            shell=shell,
            cleanup=undo.pop_all(),
        )


def end(cluster: RunningCluster) -> None:
    """Remove a cluster, whoever started it."""
    with closing(connect()) as client:
        remove_run(client, cluster.run)


def history_of(cluster: RunningCluster) -> History:
    """The history of a cluster that was found again."""
    with closing(connect()) as client:
        return _history(cluster.name, cluster.spec, machines_of(client, cluster.run)[LOGIN])


def log_of(cluster: RunningCluster, *, follow: bool) -> Iterator[str]:
    """The lines of all containers' logs, slurmctld's and slurmd's among them, by time; with `follow` as they come."""
    with closing(connect()) as client:
        yield from read_logs(machines_of(client, cluster.run), follow=follow)


def image_recipe(spec: ClusterSpec) -> ImageRecipe:
    """The image that such a cluster runs on."""
    return ImageRecipe(base=_BASES[_site(spec).version], accounting=bool(spec.accounting))


def published_port(login: Container) -> int:
    """The port of this machine behind which the login host's SSH server is."""
    login.reload()
    bindings = login.ports.get(f"{_SSH_PORT}/tcp")
    if not bindings:
        raise ClusterStartError(f"the login host ended at once:\n{login.logs(tail=15).decode()}")
    return int(bindings[0]["HostPort"])


def _history(name: str, spec: ClusterSpec, login: Container) -> History:
    completed, shown = _output(login, ["cat", _site(spec).completion_log]), _output(login, _SHOW_JOBS)
    log = login.logs(timestamps=True).decode(errors="replace")
    return History(
        cluster=name,
        started=datetime.fromisoformat(str(login.attrs["Created"])[:19] + "+00:00").timestamp(),
        taken=time.time(),
        nodes=parse_nodes(spec, log),
        jobs=parse_history(completed, shown, _CONTAINER_ZONE, controller_log=log),
        faults=Ledger(_directory(login)).spans(),
    )


def _directory(login: Container) -> Path:
    return Path(login.labels[DIRECTORY])


def _site(spec: ClusterSpec) -> Site:
    site = Site(version=spec.version or min(_BASES))
    # 24.11's slurmd would log in by a clone(2) that a container forbids, and end: entrypoint.sh has written down a login.
    return site if site.is_old else replace(site, settings=(*site.settings, "GetEnvTimeout=0"))


def _output(container: Container, command: list[str]) -> str:
    output: bytes = container.exec_run(command, stderr=False).output  # type: ignore[assignment]
    return output.decode(errors="replace")


def _remove(client: docker.DockerClient, run: str, watchdog: Watchdog | None) -> None:
    remove_run(client, run)
    if watchdog:  # had the removal failed, it would try again when this process has ended
        watchdog.dismiss()


def _choose_pythons(spec: ClusterSpec, available: tuple[str, ...]) -> tuple[str, ...]:
    missing = [version for version in spec.pythons or () if version not in available]
    if missing:
        raise SpecError(
            f"Python {', '.join(missing)} is not in the image, which has {', '.join(available)}: it was built"
            " from this machine's pyenv; install the version there and run `simcluster images build --again`"
        )
    return spec.pythons or available


def _machines(
    spec: ClusterSpec,
    pythons: tuple[str, ...],
    users: Mapping[str, KeyPair],
    host_key: KeyPair,
    sysctls: Mapping[str, str],
) -> list[Machine]:
    setup = {
        **render_conf_files(spec, _site(spec)),
        "munge.key": secrets.token_hex(64),
        "pythons": " ".join(pythons) + "\n",
    }
    variables = proxies() if spec.internet else {}
    login = Machine(
        LOGIN,
        [LOGIN, "accounting"] if spec.accounting else [LOGIN],
        {
            **setup,
            "ssh_host_ed25519_key": host_key.private,
            **{f"{user}.pub": key.public + "\n" for user, key in users.items()},
        },
        published_port=_SSH_PORT,
        sysctls=sysctls if spec.accounting else {},
        variables=variables,
    )
    # Without SYS_PTRACE slurmstepd can't read its job's memory, and limits would silently not be enforced.
    return [
        login,
        *(
            Machine(node, ["node"], setup, capabilities=("SYS_PTRACE",), variables=variables)
            for node in spec.node_names
        ),
    ]


def _wait_until_ready(spec: ClusterSpec, shell: Shell, containers: Mapping[str, Container]) -> None:
    deadline = time.monotonic() + _START_DEADLINE
    script = _READY.format(nodes=spec.nodes) + (_ACCOUNTING_READY if spec.accounting else "")
    try:
        if wait_for_ssh(shell.endpoint.host, shell.endpoint.port, deadline):
            shell.run(script, timeout=deadline - time.monotonic(), check=True)
            return
        reason = "its SSH server did not answer"
    except (TimeoutExpired, CalledProcessError):
        reason = "its nodes did not become idle"
    logs = "\n".join(f"--- {name}\n{container.logs(tail=15).decode()}" for name, container in containers.items())
    raise ClusterStartError(
        f"the cluster was started, but {reason} within {_START_DEADLINE:.0f} s. Its logs end:\n{logs}"
    )
