"""What one process of a test run has of its clusters: the owner of them all, or a worker that asks the owner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from simcluster.cluster import Cluster
    from simcluster.history import History
    from simcluster.pytest_plugin.clusters import OwnedClusters
    from simcluster.pytest_plugin.service import Service
    from simcluster.pytest_plugin.visits import Source, Visitor
    from simcluster.pytest_plugin.wishes import Wish
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = ["Run"]


class Run:
    """Nothing of it is there before it is needed, but the service in a process that has workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._keep: bool = config.option.simcluster_keep
        self._worker: dict[str, object] | None = getattr(config, "workerinput", None)
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._source: Source | None = None
        self._owned: OwnedClusters | None = None
        self._attached: dict[str, Cluster] = {}

    def ticket(self) -> tuple[int, bytes]:
        """What a worker needs to get clusters from here."""
        from simcluster.pytest_plugin.service import Service  # noqa: PLC0415

        if self._service is None:
            self._service = Service(self._clusters)
        return self._service.ticket

    def share(self, spec: ClusterSpec) -> Cluster:
        """The run's cluster for this spec."""
        return self.attached(self._clusters().share(spec))

    def visit(self, wish: Wish, node_id: str) -> Visitor:
        """Let a test be on the cluster that it wants."""
        test = f"{self._worker['workerid']}:{node_id}" if self._worker else node_id
        return self._clusters().visit(wish.spec, test, alone=wish.alone)

    def attached(self, running: RunningCluster) -> Cluster:
        """The cluster, which those who use it can't remove."""
        from simcluster.starting import attach  # noqa: PLC0415

        if running.name not in self._attached:
            self._attached[running.name] = attach(running)
        return self._attached[running.name]

    def histories(self) -> list[History]:
        """What happened on the clusters of this process."""
        return self._owned.histories() if self._owned else []

    def kept(self) -> Iterator[str]:
        """How to log in to the clusters that stay."""
        for cluster in self._owned.running() if self._owned and self._keep else ():
            yield f"{cluster.name} stays up"
            yield f"  log in      ssh -F {cluster.ssh_config} {cluster.name}"
            yield f"  remove it   simcluster down {cluster.name}"

    def close(self) -> None:
        """Let go of everything, and remove what is owned."""
        if self._service:
            self._service.close()
        while self._attached:
            self._attached.popitem()[1].close()
        if self._source:
            self._source.close()

    def _clusters(self) -> Source:
        with self._lock:
            if self._source is None and self._worker is not None:
                from simcluster.pytest_plugin.service import RemoteClusters  # noqa: PLC0415

                self._source = RemoteClusters(self._worker["simcluster"])  # type: ignore[arg-type]
            elif self._source is None:
                from simcluster.pytest_plugin.clusters import OwnedClusters  # noqa: PLC0415

                self._source = self._owned = OwnedClusters(keep=self._keep)
            return self._source
