"""The clusters that are up on this engine, whoever started them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.access import USERS, AccessDirectory
from simcluster.docker.containers import LOGIN
from simcluster.errors import SimclusterError
from simcluster.ownership import DIRECTORY, NAME, ROLE, RUN, SPEC, Owner
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    import docker

    from simcluster.cluster import SSHEndpoint

__all__ = ["RunningCluster", "find_cluster", "list_clusters"]


@dataclass(frozen=True)
class RunningCluster:
    """A cluster as its containers' labels describe it. `port` is None while the login host is down."""

    name: str
    run: str
    spec: ClusterSpec
    owner: Owner | None
    directory: Path
    created: int
    port: int | None
    machines: dict[str, str]

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def profile(self) -> Path:
        return self.directory / "profile.yaml"

    def endpoint(self) -> SSHEndpoint:
        """The user on the login host."""
        if self.port is None:
            raise SimclusterError(
                f"the login host of {self.name} is down; remove the cluster: simcluster down {self.name}"
            )
        return AccessDirectory(self.directory).endpoint(USERS[0], self.port)


def list_clusters(client: docker.DockerClient) -> list[RunningCluster]:
    """Every cluster of this engine, the oldest first."""
    runs: dict[str, list[dict[str, object]]] = {}
    for container in client.api.containers(all=True, filters={"label": RUN}):
        runs.setdefault(container["Labels"][RUN], []).append(container)
    return sorted((_describe(containers) for containers in runs.values()), key=lambda cluster: cluster.created)


def find_cluster(client: docker.DockerClient, name: str) -> RunningCluster:
    """The cluster of that name; the error names the ones there are."""
    clusters = list_clusters(client)
    for cluster in clusters:
        if name == cluster.name:
            return cluster
    names = ", ".join(cluster.name for cluster in clusters)
    raise SimclusterError(f"no cluster {name!r}; {'up are ' + names if names else 'none is up: simcluster up slurm'}")


def _describe(containers: list[dict[str, object]]) -> RunningCluster:
    labels: dict[str, str] = containers[0]["Labels"]  # type: ignore[assignment]
    by_role = {container["Labels"][ROLE]: container for container in containers}  # type: ignore[index]
    ports = by_role.get(LOGIN, {}).get("Ports") or []
    return RunningCluster(
        name=labels[NAME],
        run=labels[RUN],
        spec=ClusterSpec.from_dict(json.loads(labels[SPEC])),
        owner=Owner.from_labels(labels),
        directory=Path(labels[DIRECTORY]),
        created=min(int(str(container["Created"])) for container in containers),
        port=next((port["PublicPort"] for port in ports if "PublicPort" in port), None),  # type: ignore[attr-defined]
        machines={role: str(container["State"]) for role, container in sorted(by_role.items())},
    )
