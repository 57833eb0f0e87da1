"""Which faults were made on a cluster, and which are on: a file in its directory, shared by all who break it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from simcluster.history import FaultSpan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Entry", "Ledger"]

_FILE = "faults.json"


@dataclass(frozen=True)
class Entry:
    """A fault that was made. `token` is what its backend needs to undo it; `end` is None while it is on. Unix seconds."""

    id: int
    name: str
    arguments: Mapping[str, Any]
    token: Any
    start: float
    end: float | None

    @property
    def detail(self) -> str:
        """The arguments in words."""
        return ", ".join(str(value) for value in self.arguments.values() if value is not None)

    @property
    def span(self) -> FaultSpan:
        return FaultSpan(self.name, self.detail, self.start, self.end)


class Ledger:
    """The faults of the cluster with this directory. Threads and processes may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def entries(self) -> list[Entry]:
        """All so far, the oldest first; none when the cluster is gone."""
        try:
            text = (self._directory / _FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [Entry(**values) for values in json.loads(text)]

    def spans(self) -> tuple[FaultSpan, ...]:
        """All so far, as a history has them."""
        return tuple(entry.span for entry in self.entries())

    def open(self, name: str, arguments: Mapping[str, Any], token: Any, start: float) -> Entry:
        """Write down a fault that has begun at `start`; without a token it is over already, for there is nothing to undo."""
        with self._changing() as entries:
            entry = Entry(len(entries) + 1, name, arguments, token, start, start if token is None else None)
            entries.append(entry)
        return entry

    def close(self, id_: int) -> None:
        """Write down that a fault is over."""
        with self._changing() as entries:
            entries[:] = [replace(e, end=time.time()) if e.id == id_ and e.end is None else e for e in entries]

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        file = self._directory / _FILE
        with FileLock(file.with_suffix(".lock")):
            entries = self.entries()
            yield entries
            # Aside and renamed, for `entries` reads without the lock.
            aside = file.with_suffix(".new")
            aside.write_text(json.dumps([asdict(entry) for entry in entries]), encoding="utf-8")
            aside.replace(file)
