"""A random schedule of faults that the same seed makes again, and what carries it out."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from simcluster.errors import SimclusterError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Chaos", "Planned", "plan"]


@dataclass(frozen=True)
class Planned:
    """A fault to be: `at` is seconds from the begin, `seconds` how long it lasts."""

    at: float
    name: str
    arguments: Mapping[str, Any]
    seconds: float


_ARGUMENTS: Mapping[str, Callable[[random.Random], dict[str, Any]]] = {
    "ssh.refuse": lambda _: {},
    "ssh.drop": lambda chance: {"after_bytes": chance.randrange(100_000)},
    "ssh.drop_all": lambda _: {},
    "ssh.latency": lambda chance: {"seconds": round(chance.uniform(0.05, 0.5), 3)},
    "ssh.bandwidth": lambda chance: {"bytes_per_second": chance.randrange(10_000, 1_000_000)},
    "ssh.hang": lambda _: {},
    "node.kill": lambda _: {},
    "node.restart": lambda _: {},
    "node.pause": lambda _: {},
    "node.partition": lambda _: {},
    "scheduler.down": lambda _: {"timeout": None},
    "scheduler.slow": lambda chance: {"seconds": round(chance.uniform(0.1, 2.0), 3)},
    "scheduler.reject_submits": lambda _: {"message": "Invalid account"},
    "scheduler.flaky": lambda chance: {
        "share": round(chance.uniform(0.1, 0.9), 3),
        "seed": chance.randrange(1000),
    },
}
"""The faults that come about by chance, with arguments by chance. What a program can't live with, and what needs a
job's id, is not among them."""


def plan(
    seed: int, rate: float, *, seconds: float, longest: float, kinds: Iterable[str], nodes: Sequence[str]
) -> tuple[Planned, ...]:
    """The schedule. No two faults of one name, and none of one node, are on at the same time."""
    if rate <= 0 or seconds <= 0 or longest <= 0:
        raise SpecError("chaos: rate, seconds and longest have to be more than 0")
    names = sorted(set(kinds) & set(_ARGUMENTS))
    if not nodes:
        names = [name for name in names if not name.startswith("node.")]
    if not names:
        raise SpecError(f"chaos: none of these kinds comes about by chance; choose among {', '.join(_ARGUMENTS)}")
    chance = random.Random(seed)  # noqa: S311
    busy: dict[str, float] = {}
    found: list[Planned] = []
    at = chance.expovariate(rate)
    while at < seconds:
        name = chance.choice(names)
        node = {"node": chance.choice(sorted(nodes))} if name.startswith("node.") else {}
        one = Planned(
            round(at, 3), name, {**node, **_ARGUMENTS[name](chance)}, max(0.001, round(chance.uniform(0, longest), 3))
        )
        target = node.get("node", name)
        if busy.get(target, 0) <= one.at:
            busy[target] = one.at + one.seconds
            found.append(one)
        at += chance.expovariate(rate)
    return tuple(found)


class _Switch(Protocol):
    def start(self) -> Any: ...
    def stop(self) -> None: ...


_Fault = TypeVar("_Fault", bound=_Switch)


class Chaos(Generic[_Fault]):
    """A schedule that is carried out within a `with` block, or from `start` to `stop`, by a thread."""

    def __init__(self, schedule: tuple[Planned, ...], make: Callable[[str, Mapping[str, Any]], _Fault]) -> None:
        self.schedule = schedule
        self._make = make
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simcluster-chaos", daemon=True)
        self._problem: BaseException | None = None

    def start(self) -> Self:
        """Begin; the schedule's times count from now."""
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until the schedule is through and everything is mended. Raises what went wrong meanwhile."""
        self._thread.join()
        if self._problem:
            problem, self._problem = self._problem, None
            raise SimclusterError(f"chaos was cut short: {problem}") from problem

    def stop(self) -> None:
        """Break nothing more, and mend what is broken."""
        self._stopping.set()
        self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        begin = time.monotonic()
        steps = [(one.at, True, number) for number, one in enumerate(self.schedule)]
        steps += [(one.at + one.seconds, False, number) for number, one in enumerate(self.schedule)]
        faults = [self._make(one.name, one.arguments) for one in self.schedule]
        on: list[_Fault] = []
        try:
            for at, is_start, number in sorted(steps):
                if self._stopping.wait(max(0.0, begin + at - time.monotonic())):
                    break
                if is_start:
                    on.append(faults[number].start())
                else:
                    on.remove(faults[number])
                    faults[number].stop()
        except (SimclusterError, OSError) as error:
            self._problem = error
        finally:
            for fault in reversed(on):
                fault.stop()
