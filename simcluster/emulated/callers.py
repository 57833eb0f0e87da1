"""The daemon's side of a command that takes part in what it started: its signals and its descriptors."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.interface import Stream
    from simcluster.emulated.messages import Conversation

__all__ = ["Caller"]

_SIGNALS = [int(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1)]
_SIGNALS += [int(number) for number in (signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT)]


class Caller:
    """See `interface.Caller`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._listening: asyncio.Task[None] | None = None
        self._heard: asyncio.Queue[int | None] = asyncio.Queue()
        self._lent: asyncio.Queue[list[int] | OSError] = asyncio.Queue()

    async def say(self, text: str) -> None:
        await self._send({"stderr": text})

    async def heard(self) -> int | None:
        await self._listen()
        return await self._heard.get()

    async def lend(self, tasks: int, streams: Sequence[Stream | None], *, labels: bool) -> None:
        wish = [asdict(stream) if stream else None for stream in streams]
        await self._send({"wants_streams": {"tasks": tasks, "streams": wish, "labels": labels}})

    async def borrow(self) -> list[int]:
        lent = await self._lent.get()
        if isinstance(lent, OSError):
            raise lent
        return lent

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = asyncio.create_task(self._receive())
            await self._send({"wants_signals": _SIGNALS})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._listen()
        try:
            await self._conversation.send(message)
        except OSError:  # it is gone, which is heard of by reading
            return

    async def _receive(self) -> None:
        try:
            while True:
                message = await self._conversation.receive()
                if "signal" in message:
                    self._heard.put_nowait(message["signal"])
                elif "refused" in message:
                    number = message["number"]
                    self._lent.put_nowait(OSError(number, os.strerror(number), message["refused"]))
                else:
                    self._lent.put_nowait(self._conversation.take_descriptors(message["descriptors"]))
        except (OSError, ValueError, LookupError, TypeError) as error:  # it is gone, or speaks what nobody understands
            self._heard.put_nowait(None)
            self._lent.put_nowait(
                error if isinstance(error, OSError) else ConnectionError(f"not understood: {error!r}")
            )
