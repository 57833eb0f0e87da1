"""The backends, and the clusters that are up on any of them."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from simcluster.errors import BackendUnavailableError, SimclusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcluster.cluster import Cluster
    from simcluster.history import History
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = ["Backend", "find_cluster", "load_backend", "running_clusters"]


class Backend(Protocol):
    """What the module `backend` of each backend's package has."""

    def start(self, spec: ClusterSpec, *, keep: bool, name: str | None) -> Cluster:
        """Start a cluster, which belongs to this process unless it is kept."""
        ...

    def attach(self, cluster: RunningCluster) -> Cluster:
        """A cluster that somebody else started, to be used; closing it lets go of it and no more."""
        ...

    def end(self, cluster: RunningCluster) -> None:
        """Remove a cluster, whoever started it."""
        ...

    def history_of(self, cluster: RunningCluster) -> History:
        """Everything that happened on it so far."""
        ...

    def log_of(self, cluster: RunningCluster, *, follow: bool) -> Iterator[str]:
        """What its scheduler and machines log, with `follow` until it ends."""
        ...


def load_backend(name: str) -> Backend:
    """The backend of that name. Raises BackendUnavailableError if a package that it needs is not installed."""
    try:
        return cast("Backend", import_module(f"simcluster.{name}.backend"))
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f'the {name} backend needs {error.name}, which comes with: pip install "clustrix[simcluster]"'
        ) from error


def find_cluster(name: str) -> RunningCluster:
    """The cluster of that name."""
    clusters = []
    for cluster in _running():
        if cluster.name == name:
            return cluster
        clusters.append(cluster)
    names = ", ".join(cluster.name for cluster in clusters)
    raise SimclusterError(f"no cluster {name!r}; {'up are ' + names if names else 'none is up: simcluster up slurm'}")


def running_clusters() -> list[RunningCluster]:
    """All clusters that are up, the oldest first; those in containers as far as there is an engine."""
    return sorted(_running(), key=lambda cluster: cluster.created)


def _running() -> Iterator[RunningCluster]:
    """The engine comes last, and is not asked by whoever has found what he looks for."""
    from simcluster.emulated.backend import list_clusters  # noqa: PLC0415

    yield from list_clusters()
    with suppress(BackendUnavailableError, ModuleNotFoundError):
        from simcluster.docker.inventory import reaped_clusters  # noqa: PLC0415

        yield from reaped_clusters()
