"""The clusters that are up on this engine, whoever started them."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.docker.containers import LOGIN
from simcluster.docker.engine import connect
from simcluster.docker.reaper import reap
from simcluster.ownership import DIRECTORY, NAME, ROLE, RUN, SPEC, Owner
from simcluster.running import RunningCluster
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

__all__ = ["list_clusters", "machines_of", "reaped_clusters"]


def list_clusters(client: docker.DockerClient) -> list[RunningCluster]:
    """Every cluster of this engine, the oldest first."""
    runs: dict[str, list[dict[str, object]]] = {}
    for container in client.api.containers(all=True, filters={"label": RUN}):
        runs.setdefault(container["Labels"][RUN], []).append(container)
    return sorted((_describe(containers) for containers in runs.values()), key=lambda cluster: cluster.created)


def reaped_clusters() -> list[RunningCluster]:
    """Every cluster of this machine's engine, after what the dead left behind was removed."""
    with closing(connect()) as client:
        reap(client)
        return list_clusters(client)


def machines_of(client: docker.DockerClient, run: str) -> dict[str, Container]:
    """A cluster's containers by the name of their host, also those that ended."""
    containers = client.containers.list(all=True, filters={"label": f"{RUN}={run}"})
    return {container.labels[ROLE]: container for container in containers}


def _describe(containers: list[dict[str, object]]) -> RunningCluster:
    labels: dict[str, str] = containers[0]["Labels"]  # type: ignore[assignment]
    by_role = {container["Labels"][ROLE]: container for container in containers}  # type: ignore[index]
    ports = by_role.get(LOGIN, {}).get("Ports") or []
    return RunningCluster(
        name=labels[NAME],
        run=labels[RUN],
        spec=_spec_of(json.loads(labels[SPEC])),
        owner=Owner.from_labels(labels),
        directory=Path(labels[DIRECTORY]),
        created=min(int(str(container["Created"])) for container in containers),
        port=next((port["PublicPort"] for port in ports if "PublicPort" in port), None),  # type: ignore[attr-defined]
        machines={role: str(container["State"]) for role, container in sorted(by_role.items())},
    )


def _spec_of(settings: dict[str, object]) -> ClusterSpec:
    """The spec in a label, which another version of simcluster may have written: what is new there is passed over."""
    known = {field.name for field in dataclasses.fields(ClusterSpec)}
    return ClusterSpec.from_dict({name: value for name, value in settings.items() if name in known})
