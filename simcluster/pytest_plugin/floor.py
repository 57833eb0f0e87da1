"""Who is on which cluster: many tests at a time, or one that has it for itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Floor"]


class Floor:
    """Tests and clusters by name. A test may be on several clusters, and several times on one.

    Nobody waits for ever: who would close a circle of tests that wait for each other gets an error instead.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._present: dict[str, list[str]] = {}
        self._alone: dict[str, str] = {}
        self._claims: dict[str, set[str]] = {}
        self._waits: dict[str, set[str]] = {}

    def enter(self, cluster: str, test: str, *, alone: bool) -> None:
        """Wait until the test may be on the cluster, alone if it wants to be."""
        with self._changed:
            if alone:
                self._claim(cluster, test)
            else:
                self._wait(cluster, test, alone=False)
            self._present.setdefault(cluster, []).append(test)

    def stay_alone(self, cluster: str, test: str) -> None:
        """Wait until every other test has left the cluster, and keep others out until this one leaves."""
        with self._changed:
            self._claim(cluster, test)

    def leave(self, cluster: str, test: str) -> None:
        """The test is done with the cluster."""
        with self._changed:
            self._present[cluster].remove(test)
            if test not in self._present[cluster] and self._alone.get(cluster) == test:
                del self._alone[cluster]
            self._changed.notify_all()

    def _claim(self, cluster: str, test: str) -> None:
        claims = self._claims.setdefault(cluster, set())
        claims.add(test)
        self._changed.notify_all()
        try:
            self._wait(cluster, test, alone=True)
            self._alone[cluster] = test
        finally:
            claims.discard(test)
            self._changed.notify_all()

    def _wait(self, cluster: str, test: str, *, alone: bool) -> None:
        try:
            while blockers := self._blockers(cluster, test, alone=alone):
                if test in self._awaited(blockers):
                    raise SimclusterError(
                        f"{test} and {', '.join(sorted(blockers))} wait for each other to leave a cluster that they"
                        " want to break: mark such tests with @pytest.mark.simcluster(exclusive=True)"
                    )
                self._waits[test] = blockers
                self._changed.wait()
        finally:
            self._waits.pop(test, None)

    def _blockers(self, cluster: str, test: str, *, alone: bool) -> set[str]:
        """The tests that must leave first."""
        present = set(self._present.get(cluster, ()))
        if alone:
            return present - {test}
        blockers = {self._alone[cluster]} if cluster in self._alone else set()
        # Whoever wants it alone would wait for ever if others kept coming; but one that is on a cluster must not wait
        # for that, lest it be waited for itself.
        if not any(test in tests for tests in self._present.values()):
            blockers |= self._claims.get(cluster, set())
        return blockers - {test}

    def _awaited(self, tests: Iterable[str]) -> set[str]:
        """Those whom these tests wait for, and so on."""
        found: set[str] = set()
        waiting = set(tests)
        while waiting:
            test = waiting.pop()
            found.add(test)
            waiting |= self._waits.get(test, set()) - found
        return found
