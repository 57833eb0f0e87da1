"""One fault, and what a backend does for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from simcluster.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from simcluster.faults.ledger import Entry, Ledger

__all__ = ["Fault", "FaultBackend", "mend"]


class FaultBackend(Protocol):
    """What a backend's cluster does to be broken. Arguments and tokens are plain values, as JSON has them."""

    def refusals(self) -> Mapping[str, str]:
        """The faults of `WHERE` that this cluster can't have, with the reasons."""
        ...

    def start(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Make a fault; what `stop` needs to undo it, or None where nothing is to be undone."""
        ...

    def stop(self, name: str, token: Any) -> None:
        """Undo a fault. Doing so twice is harmless."""
        ...


class Fault:
    """One fault: on within a `with` block, or between `start` and `stop`. It can be used again."""

    def __init__(self, name: str, arguments: Mapping[str, Any], backend: FaultBackend, ledger: Ledger) -> None:
        self.name = name
        self.arguments = dict(arguments)
        self._backend = backend
        self._ledger = ledger
        self._entry: Entry | None = None

    def start(self) -> Self:
        """Break it; returns when it is broken."""
        if self._entry and _is_on(self._entry, self._ledger):
            raise SpecError(f"{self.name} is on already; stop it first, or make another one")
        start = time.time()
        token = self._backend.start(self.name, self.arguments)
        self._entry = self._ledger.open(self.name, self.arguments, token, start)
        return self

    def stop(self) -> None:
        """Mend it. Harmless if it is not on, or the cluster has gone meanwhile."""
        if self._entry:
            mend(self._entry, self._backend, self._ledger)
            self._entry = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})>"


def mend(entry: Entry, backend: FaultBackend, ledger: Ledger) -> None:
    """Undo a fault and write that down, unless that was done before or the cluster is gone."""
    if _is_on(entry, ledger):
        backend.stop(entry.name, entry.token)
        ledger.close(entry.id)


def _is_on(entry: Entry, ledger: Ledger) -> bool:
    return any(other.id == entry.id and other.end is None for other in ledger.entries())
