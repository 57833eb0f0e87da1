"""The clusters of one test run, in the process that owns them: one for each spec, and the tests that are on them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from simcluster.backends import find_cluster
from simcluster.errors import SimclusterError
from simcluster.pytest_plugin.floor import Floor
from simcluster.pytest_plugin.traces import cancel, mend, new_workdir, own_jobs, root
from simcluster.pytest_plugin.visits import Visit
from simcluster.starting import start

if TYPE_CHECKING:
    from simcluster.cluster import Cluster
    from simcluster.history import History
    from simcluster.pytest_plugin.visits import Visitor
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = ["OwnedClusters"]


class OwnedClusters:
    """The clusters of this run. Threads share it; a start that failed fails for everybody, in the same words."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._floor = Floor()
        self._lock = threading.Lock()
        self._starts: dict[ClusterSpec, Future[_Site]] = {}
        self._past: list[History] = []

    def share(self, spec: ClusterSpec) -> RunningCluster:
        """The run's cluster for this spec."""
        return self._site(spec).running

    def visit(self, spec: ClusterSpec, test: str, *, alone: bool) -> Visitor:
        """Let a test be on that cluster."""
        while True:
            site = self._site(spec)
            self._floor.enter(site.running.name, test, alone=alone)
            try:
                if not site.is_broken:
                    return _OwnedVisit(self, site, test, is_alone=alone)
            except BaseException:
                self._floor.leave(site.running.name, test)
                raise
            self._floor.leave(site.running.name, test)  # broken meanwhile by a test that had it alone

    def running(self) -> list[RunningCluster]:
        """The clusters that were started and not replaced."""
        return [site.running for site in self._sites()]

    def histories(self) -> list[History]:
        """What happened on all clusters, also those that were replaced."""
        histories = list(self._past)
        for site in self._sites():
            with suppress(SimclusterError):  # it has ended, and its history with it
                histories.append(site.cluster.history())
        return histories

    def close(self) -> None:
        """Remove them all, unless they are kept. If one can't be removed, that is told when the others are."""
        sites, self._starts = self._sites(), {}
        with ExitStack() as closing:
            for site in sites:
                closing.callback(site.cluster.close)

    def stay_alone(self, site: _Site, test: str) -> None:
        """Wait until the test has the cluster alone."""
        self._floor.stay_alone(site.running.name, test)

    def leave(self, site: _Site, visit: Visit, *, is_alone: bool) -> None:
        """Tidy up after a test. A cluster that can't be mended is replaced."""
        try:
            site.tidy(visit, mends=is_alone)
        except BaseException:
            if is_alone:
                self._replace(site)
            raise
        finally:
            self._floor.leave(site.running.name, visit.test)

    def _site(self, spec: ClusterSpec) -> _Site:
        with self._lock:
            found = self._starts.get(spec)
            if found is None:
                mine = self._starts[spec] = Future()
        if found is not None:
            return found.result()
        try:
            mine.set_result(_Site(spec, start(spec, keep=self._keep)))
        except BaseException as error:
            mine.set_exception(error)
            raise
        return mine.result()

    def _sites(self) -> list[_Site]:
        with self._lock:
            started = [future for future in self._starts.values() if future.done() and not future.exception()]
        return [future.result() for future in started]

    def _replace(self, site: _Site) -> None:
        site.is_broken = True
        with self._lock:
            del self._starts[site.spec]
        with suppress(SimclusterError):
            self._past.append(site.cluster.history())
        site.cluster.close()


class _Site:
    """A cluster, and the visits to it."""

    def __init__(self, spec: ClusterSpec, cluster: Cluster) -> None:
        self.spec = spec  # the cluster's own may say more
        self.cluster = cluster
        self.running = find_cluster(cluster.name)
        self.is_broken = False
        self._lock = threading.Lock()
        self._visits: list[Visit] = []

    def begin(self, test: str) -> Visit:
        with self._lock:
            workdir = new_workdir(self.cluster, test)
            before = frozenset(root(job.id) for job in self.cluster.jobs())
            visit = Visit(test, self.running, workdir, before)
            self._visits.append(visit)
            return visit

    def tidy(self, visit: Visit, *, mends: bool) -> None:
        with self._lock:
            self._visits.remove(visit)
            if mends:
                mend(self.cluster)
            cancel(self.cluster, lambda: own_jobs(self.cluster.jobs(), visit, self._visits))


class _OwnedVisit:
    """A visit of a test in the process that owns the clusters."""

    def __init__(self, clusters: OwnedClusters, site: _Site, test: str, *, is_alone: bool) -> None:
        self._clusters = clusters
        self._site = site
        self._is_alone = is_alone
        self.visit = site.begin(test)

    def stay_alone(self) -> None:
        """Wait until no other test is on the cluster."""
        if not self._is_alone:
            self._clusters.stay_alone(self._site, self.visit.test)
            self._is_alone = True

    def end(self) -> None:
        """Tidy up, and let others have the cluster."""
        self._clusters.leave(self._site, self.visit, is_alone=self._is_alone)
