"""Breaks a cluster on purpose, and mends it again.

with cluster.faults.node.kill("node1"):
    ...
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from simcluster.errors import FaultUnavailableError, SpecError
from simcluster.faults.chaos import Chaos, plan
from simcluster.faults.fault import Fault, FaultBackend, mend
from simcluster.faults.kinds import KINDS, WHERE, DiskFaults, JobFaults, NodeFaults, SchedulerFaults, SSHFaults
from simcluster.faults.ledger import Entry, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from simcluster.history import FaultSpan

__all__ = ["WHERE", "Chaos", "Entry", "Fault", "FaultBackend", "Faults"]


class Faults:
    """All that can be broken of one cluster: `directory` is the cluster's own, `backend` is its hands, named `where`."""

    def __init__(
        self, backend: FaultBackend, directory: Path, nodes: Sequence[str], seed: int | None, where: str = ""
    ) -> None:
        self._backend = backend
        self._where = where
        self._ledger = Ledger(directory)
        self._nodes = tuple(nodes)
        self._seed = seed
        self._refusals: Mapping[str, str] | None = None
        self.ssh = SSHFaults(self._make)
        self.node = NodeFaults(self._make)
        self.disk = DiskFaults(self._make)
        self.scheduler = SchedulerFaults(self._make)
        self.job = JobFaults(self._make)

    def available(self) -> tuple[str, ...]:
        """The names of the faults that this cluster can have."""
        return tuple(name for name in WHERE if name not in self.refusals())

    def refusals(self) -> Mapping[str, str]:
        """The names of the others, each with the reason."""
        if self._refusals is None:
            self._refusals = self._backend.refusals()
        return self._refusals

    def named(self, name: str, words: Iterable[str] = ()) -> Fault:
        """A fault as the command line has it: `named("node.clock_skew", ["node1", "seconds=-3600"])`."""
        if name not in WHERE:
            raise SpecError(f"there is no fault {name!r}; there are {', '.join(WHERE)}")
        method = getattr(KINDS[name.partition(".")[0]](self._make), name.partition(".")[2])
        made: Fault = method(**_arguments(name, inspect.signature(method), words))
        return made

    def chaos(
        self,
        seed: int | None = None,
        rate: float = 0.1,
        *,
        seconds: float = 60.0,
        longest: float = 5.0,
        kinds: Iterable[str] | None = None,
    ) -> Chaos[Fault]:
        """Random faults, on average `rate` of them a second for `seconds`, none for longer than `longest` seconds.

        The same arguments make the same schedule on every cluster that has the same nodes and available faults. What
        needs a job's id is left out; `kinds` are the faults to choose from. Without a `seed` it is the cluster's.
        """
        seed = self._seed if seed is None else seed
        if seed is None:
            raise SpecError(
                "chaos needs a seed, so that it can be made again: chaos(seed=1), or start the cluster with one"
            )
        chosen = self.available() if kinds is None else tuple(kinds)
        return Chaos(plan(seed, rate, seconds=seconds, longest=longest, kinds=chosen, nodes=self._nodes), self._planned)

    def history(self) -> tuple[FaultSpan, ...]:
        """Every fault so far."""
        return self._ledger.spans()

    def active(self) -> list[Entry]:
        """The faults that are on, whoever made them."""
        return [entry for entry in self._ledger.entries() if entry.end is None]

    def undo(self, name: str) -> int:
        """Mend every fault of that name that is on, and say how many there were."""
        found = [entry for entry in reversed(self.active()) if entry.name == name]
        for entry in found:
            mend(entry, self._backend, self._ledger)
        return len(found)

    def undo_all(self) -> None:
        """Mend every fault that is on, the latest first."""
        for entry in reversed(self.active()):
            mend(entry, self._backend, self._ledger)

    def _make(self, name: str, /, **arguments: Any) -> Fault:
        if name in self.refusals():
            where = " or ".join(f'backend="{backend}"' for backend in WHERE[name])
            # On a backend that has it, the reason says what this one cluster, or computer, lacks.
            elsewhere = "" if self._where in WHERE[name] else f" (it can be had with {where})"
            raise FaultUnavailableError(f"{name} can't be had on this cluster: {self.refusals()[name]}{elsewhere}")
        return Fault(name, arguments, self._backend, self._ledger)

    def _planned(self, name: str, arguments: Mapping[str, Any]) -> Fault:
        return self._make(name, **arguments)


def _arguments(name: str, signature: inspect.Signature, words: Iterable[str]) -> dict[str, Any]:
    """The words of a command line as arguments: by position, or as `name=value`."""
    waiting = list(signature.parameters.values())
    found: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        named = [parameter for parameter in waiting if separator and parameter.name == key]
        if not named and not waiting:
            raise SpecError(f"{name}: {word!r} is one argument too many; it takes {_usage(signature)}")
        parameter, text = (named[0], value) if named else (waiting[0], word)
        waiting.remove(parameter)
        found[parameter.name] = _converted(name, parameter, text)
    missing = [parameter.name for parameter in waiting if parameter.default is parameter.empty]
    if missing:
        raise SpecError(f"{name} also needs {', '.join(missing)}; it takes {_usage(signature)}")
    return found


def _converted(name: str, parameter: inspect.Parameter, text: str) -> Any:
    kind: str = parameter.annotation
    try:
        return text if "str" in kind else int(text) if "int" in kind else float(text)
    except ValueError as error:
        raise SpecError(f"{name}: {parameter.name}={text!r} is not a number") from error


def _usage(signature: inspect.Signature) -> str:
    words = (p.name if p.default is p.empty else f"[{p.name}={p.default}]" for p in signature.parameters.values())
    return " ".join(words) or "none"
