"""Starts clusters, and attaches to those that others started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcluster.backends import find_cluster, load_backend
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from simcluster.cluster import Cluster
    from simcluster.running import RunningCluster
    from simcluster.spec import Partition

__all__ = ["attach", "start"]


def start(
    scheduler: str | ClusterSpec = "slurm",
    *,
    backend: str = "emulated",
    nodes: int = 2,
    cpus_per_node: int = 4,
    memory_per_node: str = "4GB",
    gpus_per_node: int = 0,
    pythons: Iterable[str] | None = None,
    partitions: Iterable[str | Mapping[str, Any] | Partition] = (),
    accounting: bool | None = None,
    version: str | None = None,
    hide: Iterable[str | Path] = (),
    internet: bool = True,
    seed: int | None = None,
    keep: bool = False,
    name: str | None = None,
) -> Cluster:
    """Start a cluster and return when it takes jobs; use it in a `with` block, or close it.

    The first argument is the scheduler's name, or a whole `ClusterSpec`, which the arguments up to `seed` then are
    part of. Whatever happens to this process, nothing of the cluster outlives it, unless `keep` is true: then it is
    nobody's, and lives until `simcluster down NAME`.

    The first start of containers on a machine builds their image, which takes a minute or two.
    """
    spec = (
        scheduler
        if isinstance(scheduler, ClusterSpec)
        else ClusterSpec.from_dict(
            {
                "scheduler": scheduler,
                "backend": backend,
                "nodes": nodes,
                "cpus_per_node": cpus_per_node,
                "memory_per_node": memory_per_node,
                "gpus_per_node": gpus_per_node,
                "pythons": pythons,
                "partitions": partitions,
                "accounting": accounting,
                "version": version,
                "hide": hide,
                "internet": internet,
                "seed": seed,
            }
        )
    )
    return load_backend(spec.backend).start(spec, keep=keep, name=name)


def attach(cluster: str | RunningCluster) -> Cluster:
    """A cluster that is up, whoever started it, by its name (`simcluster ls`); closing it lets go of it and no more."""
    running = find_cluster(cluster) if isinstance(cluster, str) else cluster
    return load_backend(running.spec.backend).attach(running)
