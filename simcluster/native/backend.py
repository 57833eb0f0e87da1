"""A cluster of this machine's own Slurm, behind the interface of `simcluster.cluster.Cluster`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.backend import EmulatedCluster, attach, end, history_of, log_of, start_cluster
from simcluster.errors import BackendUnavailableError, SpecError
from simcluster.native.installation import find_installation

if TYPE_CHECKING:
    from simcluster.native.installation import Installation
    from simcluster.spec import ClusterSpec

__all__ = ["attach", "end", "history_of", "log_of", "start"]


def start(spec: ClusterSpec, *, keep: bool = False, name: str | None = None) -> EmulatedCluster:
    """Start a cluster; returns when every node is idle.

    Without `keep` it belongs to this process, and goes when that goes, however that happens.
    """
    spec = _completed(spec, find_installation(spec.hide))
    return start_cluster(spec, "simcluster.native.daemon", keep=keep, name=name)


def _completed(spec: ClusterSpec, installation: Installation) -> ClusterSpec:
    if spec.version not in {None, installation.version}:
        raise SpecError(
            f"version={spec.version!r}: this machine has Slurm {installation.full_version};"
            ' leave the version out, or use backend="docker"'
        )
    if spec.accounting and not installation.accounting:
        raise BackendUnavailableError(
            "accounting on the native backend takes slurmdbd, MariaDB and munge (Debian and Ubuntu: apt-get install"
            " slurmdbd mariadb-server; their services need not run); leave accounting out to have it only where it can be"
        )
    return replace(spec, accounting=bool(installation.accounting) if spec.accounting is None else spec.accounting)
