"""A cluster in containers, whatever its scheduler; what differs with that is in `simcluster.docker.schedulers`."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired
from types import MappingProxyType
from typing import TYPE_CHECKING

from simcluster.access import USERS, AccessDirectory, KeyPair
from simcluster.docker.containers import LOGIN, Machine, start_machines, switch_on
from simcluster.docker.engine import connect, prompt_acknowledgements, proxies
from simcluster.docker.faults import DockerFaults
from simcluster.docker.images import ensure_image, pythons_in
from simcluster.docker.inventory import list_clusters, machines_of
from simcluster.docker.logs import read_logs
from simcluster.docker.reaper import reap, remove_run
from simcluster.docker.schedulers import site_of
from simcluster.docker.watchdog import Watchdog
from simcluster.errors import ClusterStartError, SpecError
from simcluster.faults import Faults
from simcluster.faults.ledger import Ledger
from simcluster.history import History
from simcluster.ownership import DIRECTORY, NAME, RUN, SPEC, Owner
from simcluster.shell import ClusterOverSSH, Shell, wait_for_ssh
from simcluster.spec import checked_name
from simcluster.timeline import write_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker
    from docker.models.containers import Container

    from simcluster.cluster import Job, SSHEndpoint
    from simcluster.docker.schedulers.site import Site
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = [
    "DockerCluster",
    "DockerNode",
    "attach",
    "end",
    "history_of",
    "log_of",
    "published_port",
    "start",
]

_SSH_PORT = 22
_START_DEADLINE = 180.0


class DockerNode:
    """A compute node that is a container."""

    def __init__(self, name: str, containers: Mapping[str, Container], site: Site) -> None:
        self.name = name
        self._containers = containers
        self._container = containers[name]
        self._site = site

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
        switch_on(self._container, self._containers, self._site)

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
        site = site_of(spec)
        self.name = name
        self.spec = spec
        self.pythons = MappingProxyType({version: f"/opt/python/{version}/bin/python{version}" for version in pythons})
        self.ssh, self.other_user = (endpoints[user] for user in USERS)
        self.home, self.scratch = f"/home/{USERS[0]}", f"/scratch/{USERS[0]}"
        self.nodes = MappingProxyType({node: DockerNode(node, containers, site) for node in spec.node_names})
        self._login = containers[LOGIN]
        self._site = site
        self.faults = Faults(
            DockerFaults(containers, site), _directory(self._login), spec.node_names, spec.seed, spec.backend
        )
        super().__init__(shell, cleanup)

    def jobs(self) -> list[Job]:
        """Every job so far, of every user, the oldest first."""
        return self._site.jobs(self.spec, partial(_output, self._login))

    def history(self) -> History:
        """Everything so far, as far as the scheduler remembers it."""
        return _history(self.name, self.spec, self._login)

    def timeline(self, path: str | Path) -> Path:
        """Write the history as one HTML page."""
        return write_timeline(path, [self.history()])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def start(spec: ClusterSpec, *, keep: bool = False, name: str | None = None) -> DockerCluster:
    """Start a cluster; returns when every node takes jobs and the accounting, if any, answers.

    Without `keep` it belongs to this process, and goes when that goes, however that happens.
    """
    run = secrets.token_hex(4)
    site = site_of(spec)
    name = checked_name(name or f"{site.name}-{run}")
    with ExitStack() as undo:
        client = undo.enter_context(closing(connect()))
        reap(client)
        if any(name == cluster.name for cluster in list_clusters(client)):
            raise SpecError(f"there is a cluster {name!r} already; take another name, or first: simcluster down {name}")
        image = ensure_image(client, site.recipe(spec), spec.pythons)
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
        _wait_until_ready(site.ready(spec), shell, containers)
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


def published_port(login: Container) -> int:
    """The port of this machine behind which the login host's SSH server is."""
    login.reload()
    bindings = login.ports.get(f"{_SSH_PORT}/tcp")
    if not bindings:
        raise ClusterStartError(f"the login host ended at once:\n{login.logs(tail=15).decode()}")
    return int(bindings[0]["HostPort"])


def _history(name: str, spec: ClusterSpec, login: Container) -> History:
    log = login.logs(timestamps=True).decode(errors="replace")
    nodes, jobs = site_of(spec).history(spec, partial(_output, login), log)
    return History(
        cluster=name,
        started=datetime.fromisoformat(str(login.attrs["Created"])[:19] + "+00:00").timestamp(),
        taken=time.time(),
        nodes=nodes,
        jobs=jobs,
        faults=Ledger(_directory(login)).spans(),
    )


def _directory(login: Container) -> Path:
    return Path(login.labels[DIRECTORY])


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
    site = site_of(spec)
    setup = {
        **site.settings(spec),
        "pythons": " ".join(pythons) + "\n",
        "hosts": " ".join((LOGIN, *spec.node_names)) + "\n",
    }
    variables = proxies() if spec.internet else {}
    login = Machine(
        LOGIN,
        [LOGIN, *site.login_arguments(spec)],
        {
            **setup,
            "ssh_host_ed25519_key": host_key.private,
            **{f"{user}.pub": key.public + "\n" for user, key in users.items()},
        },
        published_port=_SSH_PORT,
        sysctls=sysctls if spec.accounting else {},
        variables=variables,
    )
    return [
        login,
        *(
            Machine(node, ["node"], setup, capabilities=site.node_capabilities, variables=variables)
            for node in spec.node_names
        ),
    ]


def _wait_until_ready(script: str, shell: Shell, containers: Mapping[str, Container]) -> None:
    deadline = time.monotonic() + _START_DEADLINE
    try:
        if wait_for_ssh(shell.endpoint.host, shell.endpoint.port, deadline):
            shell.run(script, timeout=deadline - time.monotonic(), check=True)
            return
        reason = "its SSH server did not answer"
    except (TimeoutExpired, CalledProcessError):
        reason = "its nodes took no jobs"
    logs = "\n".join(f"--- {name}\n{container.logs(tail=15).decode()}" for name, container in containers.items())
    raise ClusterStartError(
        f"the cluster was started, but {reason} within {_START_DEADLINE:.0f} s. Its logs end:\n{logs}"
    )
