"""What the daemon does for each fault of `simcluster.faults`, and how it undoes it."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from simcluster.access import KeyPair
from simcluster.emulated.disk import keeper as disk
from simcluster.emulated.ssh_server import show_host_key
from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import asyncssh

    from simcluster.emulated.line import Line
    from simcluster.emulated.machines import Machines

    Undo = Callable[[], Awaitable[None]]

__all__ = ["Breakable", "Breakage"]


class Breakable(Protocol):
    """What a scheduler with its nodes has to offer: each fault but those of the line and the login host."""

    def refusals(self) -> Mapping[str, str]:
        """The faults that can't be had, with the reasons."""
        ...

    async def start(self, name: str, number: int, arguments: Mapping[str, Any]) -> Undo | None:
        """Make a fault. No other has its number. What is returned undoes it; None if nothing is to be undone."""
        ...


class Breakage:
    """All that is broken of one cluster, by number."""

    def __init__(self, machines: Machines, line: Line, acceptor: asyncssh.SSHAcceptor, breakable: Breakable) -> None:
        self._machines = machines
        self._line = line
        self._acceptor = acceptor
        self._breakable = breakable
        self._numbers = itertools.count(1)
        self._covered_by: dict[str, set[int]] = {"served": set(), "read_only": set()}
        self._undoing: dict[int, Undo] = {}

    def refusals(self) -> dict[str, str]:
        """The faults that can't be had, with the reasons."""
        found: dict[str, str] = {}
        if reason := disk.refusal(has_own_tree=self._machines.has_own_tree):
            found |= dict.fromkeys(("disk.full", "disk.quota", "disk.stale"), reason)
        if not self._machines.has_own_tree:
            found["disk.read_only"] = "the kernel gives its machines no file trees of their own"
        return {**found, **self._breakable.refusals()}

    async def start(self, name: str, arguments: Mapping[str, Any]) -> int | None:
        """Make a fault; its number, None if there is nothing to undo."""
        number = next(self._numbers)
        target, _, what = name.partition(".")
        if target in {"ssh", "disk"}:
            undo = await getattr(self, f"_{what}")(number, **arguments)
        else:
            undo = await self._breakable.start(name, number, arguments)
        if undo is None:
            return None
        self._undoing[number] = undo
        return number

    async def stop(self, number: int) -> None:
        """Undo a fault, unless that was done before."""
        if undo := self._undoing.pop(number, None):
            await undo()

    async def _refuse(self, number: int) -> Undo:
        self._line.refuse(number)
        return partial(self._line.accept, number)

    async def _drop(self, number: int, after_bytes: int) -> Undo:
        self._line.cut(number, after_bytes)
        return self._without(self._line.cuts, number)

    async def _drop_all(self, _number: int) -> None:
        self._line.cut_all()

    async def _latency(self, number: int, seconds: float) -> Undo:
        self._line.latencies[number] = seconds
        return self._without(self._line.latencies, number)

    async def _bandwidth(self, number: int, bytes_per_second: int) -> Undo:
        self._line.bandwidths[number] = bytes_per_second
        return self._without(self._line.bandwidths, number)

    async def _hang(self, number: int) -> Undo:
        self._line.hangs[number] = None
        return self._without(self._line.hangs, number)

    async def _banner_noise(self, number: int, text: str) -> Undo:
        self._machines.noises[number] = text
        return self._without(self._machines.noises, number)

    async def _wrong_host_key(self, _number: int) -> Undo:
        show_host_key(self._acceptor, KeyPair.generate().private)

        async def undo() -> None:
            show_host_key(self._acceptor, self._machines.blueprint.host_key)

        return undo

    async def _full(self, number: int) -> Undo:
        return await self._serve(number, {"full": number})

    async def _quota(self, number: int, bytes: int) -> Undo:  # noqa: A002
        return await self._serve(number, {"quota": number, "bytes": bytes})

    async def _stale(self, number: int, seconds: float) -> Undo:
        return await self._serve(number, {"stale": number, "seconds": seconds})

    async def _serve(self, number: int, message: dict[str, Any]) -> Undo:
        await self._machines.disk.tell(message)
        try:
            uncover = await self._cover("served", number)
        except SimclusterError:
            await self._machines.disk.tell({"undo": number})
            raise

        async def undo() -> None:
            try:
                await self._machines.disk.tell({"undo": number})
            finally:
                await uncover()

        return undo

    async def _read_only(self, number: int) -> Undo:
        return await self._cover("read_only", number)

    async def _cover(self, layer: str, number: int) -> Undo:
        """Lay it over the shared directories; the last who takes it off uncovers them."""
        by = self._covered_by[layer]
        if not by:
            await self._machines.cover(layer, is_covered=True)
        by.add(number)

        async def undo() -> None:
            by.discard(number)
            if not by:
                await self._machines.cover(layer, is_covered=False)

        return undo

    def _without(self, faults: dict[int, Any], number: int) -> Undo:
        async def undo() -> None:
            faults.pop(number, None)
            self._line.look_again()

        return undo
