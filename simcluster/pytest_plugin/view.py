"""What a test has of a cluster: a work directory and jobs of its own, and the cluster alone when it breaks it."""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from simcluster.pytest_plugin.traces import own_jobs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from simcluster.cluster import Cluster, Job, Node
    from simcluster.pytest_plugin.visits import Visitor

__all__ = ["SimCluster"]


class SimCluster:
    """A cluster as one test sees it; see `simcluster.cluster.Cluster` for what is not here.

    `workdir` is a path on the cluster. Its first fault, or loss of a node, waits until no other test is on the
    cluster, and keeps others out until the test is over.
    """

    def __init__(self, cluster: Cluster, visitor: Visitor) -> None:
        self._cluster = cluster
        self._visitor = visitor
        self.workdir = visitor.visit.workdir
        self.nodes: Mapping[str, Node] = MappingProxyType(
            {name: _VisitedNode(node, visitor) for name, node in cluster.nodes.items()}
        )

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        timeout: float | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the work directory; see `simcluster.cluster.Cluster.run`."""
        line = command if isinstance(command, str) else shlex.join(command)
        placed = f"cd {shlex.quote(self.workdir)} || exit\n{line}"
        return self._cluster.run(placed, input=input, timeout=timeout, check=check)

    def jobs(self) -> list[Job]:
        """The jobs of this test: those from its work directory, and those from elsewhere that came since it began."""
        return own_jobs(self._cluster.jobs(), self._visitor.visit, ())

    def close(self) -> None:
        """Do nothing: the cluster is everybody's, and goes with the test run."""

    def __getattr__(self, name: str) -> Any:
        if name == "faults":
            self._visitor.stay_alone()
        return getattr(self._cluster, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._cluster.name} in {self.workdir}>"


class _VisitedNode:
    """A compute node that is broken only by who has the cluster alone."""

    def __init__(self, node: Node, visitor: Visitor) -> None:
        self._node = node
        self._visitor = visitor
        self.name = node.name

    @property
    def is_up(self) -> bool:
        """Whether it has power."""
        return self._node.is_up

    def kill(self) -> None:
        """Take its power away."""
        self._visitor.stay_alone()
        self._node.kill()

    def restart(self) -> None:
        """Switch it on again, or off and on."""
        self._visitor.stay_alone()
        self._node.restart()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
