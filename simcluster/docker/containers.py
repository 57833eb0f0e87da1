"""The containers of one cluster, by way of testcontainers."""

from __future__ import annotations

import base64
import io
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from simcluster.errors import ClusterStartError
from simcluster.ownership import ROLE, RUN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.models.containers import Container

    from simcluster.docker.schedulers.site import Site

__all__ = ["LOGIN", "Machine", "start_machines", "switch_on", "tell_hosts"]

LOGIN = "login"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
_SHARED = {"home": "/home", "scratch": "/scratch"}


@dataclass(frozen=True)
class Machine:
    """One host of a cluster to be: what it runs, and the files that it finds in /run/simcluster."""

    name: str
    command: list[str]
    setup: Mapping[str, str]
    capabilities: tuple[str, ...] = ()
    published_port: int | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def start_machines(
    client: docker.DockerClient,
    image: str,
    machines: list[Machine],
    labels: Mapping[str, str],
    *,
    internet: bool = True,
) -> dict[str, Container]:
    """Make a network and the shared volumes, and start every machine on them, all at once.

    Without ``internet`` what the machines send elsewhere keeps their own addresses, to which nobody answers. Docker's internal
    networks would do that, too, but publish no ports.
    """
    run = labels[RUN]
    volumes = {f"simcluster-{run}-{name}": path for name, path in _SHARED.items()}
    options = {} if internet else {_MASQUERADE: "false"}
    network = Network(docker_network_kw={"labels": dict(labels), "driver": "bridge", "options": options})
    with ThreadPoolExecutor(len(machines) + 1) as pool:
        try:
            made = pool.map(lambda name: client.volumes.create(name, labels=dict(labels)), volumes)
            network.create()
            list(made)
        except docker.errors.APIError as error:
            raise _explained(error) from error
        finally:
            network._docker.client.close()  # noqa: SLF001
        with _without_ryuk():
            started = list(pool.map(lambda machine: _start(image, machine, network, volumes, labels), machines))
    return {machine.name: client.containers.get(id_) for machine, id_ in zip(machines, started, strict=True)}


def switch_on(node: Container, containers: Mapping[str, Container], site: Site) -> None:
    """Start a node, again or anew: it may come up at another address, which the others have to hear of."""
    node.restart(timeout=0)
    if site.needs_hosts:
        tell_hosts(containers)


def tell_hosts(containers: Mapping[str, Container]) -> None:
    """Have every machine that is up write down where the others are."""
    for container in containers.values():
        container.reload()
        if container.status == "running":
            container.exec_run(["bash", "/opt/simcluster/hosts.sh"])


def _start(
    image: str, machine: Machine, network: Network, volumes: Mapping[str, str], labels: Mapping[str, str]
) -> str:
    """Start one machine; its container's id."""
    container = DockerContainer(image)
    container.image = image  # whatever prefix for public images the user's testcontainers have
    container.with_name(f"simcluster-{labels[RUN]}-{machine.name}").with_command(machine.command)
    container.with_envs(SIMCLUSTER_SETUP=_packed(machine.setup), **machine.variables).with_network(
        network
    ).with_network_aliases(machine.name)
    for volume, path in volumes.items():
        container.with_volume_mapping(volume, path, "rw,nocopy")
    options: dict[str, Any] = {"labels": {**labels, ROLE: machine.name}, "hostname": machine.name, "init": True}
    if machine.sysctls:
        options["sysctls"] = dict(machine.sysctls)
    if machine.capabilities:
        options["cap_add"] = list(machine.capabilities)
    container.with_kwargs(**options)
    if machine.published_port is not None:
        ports: dict[str, Any] = {f"{machine.published_port}/tcp": ("127.0.0.1", None)}
        container.ports = ports
    try:
        return str(container.start().get_wrapped_container().id)
    finally:
        # Each of testcontainers' objects has a connection of its own, and does not close it.
        container.get_docker_client().client.close()


def _packed(files: Mapping[str, str]) -> str:
    """Files as text for the environment: the engine may be elsewhere, so there is nothing to mount."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o600
            tar.addfile(info, io.BytesIO(text.encode()))
    return base64.b64encode(archive.getvalue()).decode("ascii")


_ryuk_lock = threading.Lock()
_ryuk_users = 0
_ryuk_before = False


@contextmanager
def _without_ryuk() -> Iterator[None]:
    """Keep testcontainers from starting its own reaper, a container that would need a public image.

    Only while ours start: the setting is the whole process's, and others may rely on it.
    """
    global _ryuk_users, _ryuk_before  # noqa: PLW0603
    with _ryuk_lock:
        if _ryuk_users == 0:
            _ryuk_before = testcontainers_config.ryuk_disabled
        _ryuk_users += 1
        testcontainers_config.ryuk_disabled = True
    try:
        yield
    finally:
        with _ryuk_lock:
            _ryuk_users -= 1
            if _ryuk_users == 0:
                testcontainers_config.ryuk_disabled = _ryuk_before


def _explained(error: docker.errors.APIError) -> Exception:
    if "address pool" in str(error):
        return ClusterStartError(
            "the Docker engine has no address range left for another network:"
            " remove what is not needed (simcluster down --all, docker network prune)"
        )
    return error
