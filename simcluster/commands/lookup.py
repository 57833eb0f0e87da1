"""The clusters that are up, whatever they are made of."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from simcluster.docker.engine import connect
from simcluster.docker.inventory import list_clusters
from simcluster.docker.reaper import reap
from simcluster.emulated import backend as emulated
from simcluster.errors import BackendUnavailableError, SimclusterError

if TYPE_CHECKING:
    from simcluster.running import RunningCluster

__all__ = ["find_cluster", "running_clusters"]


def find_cluster(name: str) -> RunningCluster:
    clusters = running_clusters()
    for cluster in clusters:
        if name == cluster.name:
            return cluster
    names = ", ".join(cluster.name for cluster in clusters)
    raise SimclusterError(f"no cluster {name!r}; {'up are ' + names if names else 'none is up: simcluster up slurm'}")


def running_clusters() -> list[RunningCluster]:
    """All clusters that are up; those in containers as far as there is an engine."""
    clusters = emulated.list_clusters()
    with suppress(BackendUnavailableError), closing(connect()) as client:
        reap(client)
        clusters += list_clusters(client)
    return sorted(clusters, key=lambda cluster: cluster.created)
