"""What is wrong with a scheduler's server, as whoever types one of its commands meets it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random

    from simcluster.emulated.interface import Call, Reply, Settings

__all__ = ["Outage", "Troubles", "Words"]


@dataclass(frozen=True)
class Outage:
    """How a command fails when it does not reach the server: after `tries` attempts of `timeout` seconds each."""

    reply: Reply
    tries: int = 1
    timeout: float = 0.0


class Words(Protocol):
    """A dialect's module `outages`."""

    def unreachable(self, call: Call, settings: Settings) -> Outage | None:
        """How that command fails without the server; None for one that does not need it."""
        ...

    def rejection(self, call: Call, message: str) -> Reply | None:
        """How that command says that a job was refused; None for one that submits none."""
        ...


class Troubles:
    """All of them; the dictionaries are by the fault's number. `cut_off` are the nodes that reach nobody."""

    def __init__(self, words: Words, settings: Settings) -> None:
        self._words = words
        self._settings = settings
        self.down: dict[int, float | None] = {}
        self.slow: dict[int, float] = {}
        self.flaky: dict[int, tuple[float, random.Random]] = {}
        self.rejections: dict[int, str] = {}
        self.cut_off: set[str] = set()

    async def meet(self, call: Call) -> Reply | None:
        """What a command gets instead of an answer, if anything; this takes as long as the trouble has it wait."""
        if self.slow:
            await asyncio.sleep(sum(self.slow.values()))
        unlucky = [chance.random() < share for share, chance in self.flaky.values()]
        if self.down or call.host in self.cut_off or any(unlucky):
            outage = self._words.unreachable(call, self._settings)
            if outage is not None:
                await asyncio.sleep(0 if any(unlucky) else outage.tries * self._timeout(outage))
                return outage.reply
        for message in self.rejections.values():
            if reply := self._words.rejection(call, message):
                return reply
        return None

    def _timeout(self, outage: Outage) -> float:
        """As short as somebody has asked for, else as the real command's."""
        return min((seconds for seconds in self.down.values() if seconds is not None), default=outage.timeout)
