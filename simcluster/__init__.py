"""Disposable clusters to test against: a login host, a batch scheduler, compute nodes, many Pythons.

with simcluster.start("slurm", nodes=2, pythons=["3.6", "3.12"]) as cluster:
    cluster.run("sinfo")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from simcluster.cluster import Cluster, Job, Node, SSHEndpoint
from simcluster.errors import (
    BackendUnavailableError,
    ClusterStartError,
    ImageBuildError,
    SimclusterError,
    SpecError,
)
from simcluster.history import FaultSpan, History, JobHistory, NodeHistory, Run
from simcluster.spec import ClusterSpec, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = [
    "BackendUnavailableError",
    "Cluster",
    "ClusterSpec",
    "ClusterStartError",
    "FaultSpan",
    "History",
    "ImageBuildError",
    "Job",
    "JobHistory",
    "Node",
    "NodeHistory",
    "Partition",
    "Run",
    "SSHEndpoint",
    "SimclusterError",
    "SpecError",
    "start",
]


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
    keep: bool = False,
    name: str | None = None,
) -> Cluster:
    """Start a cluster and return when it takes jobs; use it in a `with` block, or close it.

    The first argument is the scheduler's name, or a whole `ClusterSpec`, which the arguments up to `version` then are
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
            }
        )
    )
    try:
        backend_module = import_module(f"simcluster.{spec.backend}.backend")
        return cast("Cluster", backend_module.start(spec, keep=keep, name=name))
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f'the {spec.backend} backend needs {error.name}, which comes with: pip install "clustrix[simcluster]"'
        ) from error
