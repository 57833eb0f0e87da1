"""Disposable clusters to test against: a login host, a batch scheduler, compute nodes, many Pythons.

with simcluster.start("slurm", nodes=2, pythons=["3.6", "3.12"]) as cluster:
    cluster.run("sinfo")

Names only: each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcluster.cluster import Cluster, Job, Node, SSHEndpoint
    from simcluster.errors import (
        BackendUnavailableError,
        ClusterStartError,
        FaultUnavailableError,
        ImageBuildError,
        SimclusterError,
        SpecError,
    )
    from simcluster.history import FaultSpan, History, JobHistory, NodeHistory, Run
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec, Partition
    from simcluster.starting import attach, start

__all__ = [
    "BackendUnavailableError",
    "Cluster",
    "ClusterSpec",
    "ClusterStartError",
    "FaultSpan",
    "FaultUnavailableError",
    "History",
    "ImageBuildError",
    "Job",
    "JobHistory",
    "Node",
    "NodeHistory",
    "Partition",
    "Run",
    "RunningCluster",
    "SSHEndpoint",
    "SimclusterError",
    "SpecError",
    "attach",
    "start",
]

_ROOMS = {
    "cluster": ("Cluster", "Job", "Node", "SSHEndpoint"),
    "errors": (
        "BackendUnavailableError",
        "ClusterStartError",
        "FaultUnavailableError",
        "ImageBuildError",
        "SimclusterError",
        "SpecError",
    ),
    "history": ("FaultSpan", "History", "JobHistory", "NodeHistory", "Run"),
    "running": ("RunningCluster",),
    "spec": ("ClusterSpec", "Partition"),
    "starting": ("attach", "start"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simcluster' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"simcluster.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
