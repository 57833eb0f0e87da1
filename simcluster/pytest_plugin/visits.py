"""What the owner of the clusters and the processes that run tests say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = ["Source", "Visit", "Visitor"]


@dataclass(frozen=True)
class Visit:
    """A test on a cluster. `before` are the numbers of the jobs that were there when it came."""

    test: str
    cluster: RunningCluster
    workdir: str
    before: frozenset[str]


class Visitor(Protocol):
    """A visit, as the process knows it that runs the test."""

    visit: Visit

    def stay_alone(self) -> None:
        """Wait until no other test is on the cluster, and have it alone until the end of the visit."""
        ...

    def end(self) -> None:
        """Cancel the jobs that the test left, undo its faults, and let others have the cluster."""
        ...


class Source(Protocol):
    """Where a process that runs tests gets clusters."""

    def share(self, spec: ClusterSpec) -> RunningCluster:
        """The run's cluster for this spec, started if there is none yet."""
        ...

    def visit(self, spec: ClusterSpec, test: str, *, alone: bool) -> Visitor:
        """Let a test be on that cluster, alone if it is going to break it."""
        ...

    def close(self) -> None: ...
