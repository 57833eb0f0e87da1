"""The line between clients and the SSH server: while nothing is wrong with it, bytes pass as if it wasn't there.

asyncssh takes it for a tunnel in which to listen.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Line"]

_MOST_WAITING = 1 << 20
"""Bytes from a client that may wait on the line before it has to wait itself."""

_SLICES_PER_SECOND = 50
"""A slow line lets through pieces of this many a second, so that it doesn't come in lumps."""


class Line:
    """All connections, and what is wrong with them. The dictionaries are by the fault's number.

    `latencies` are seconds for each round trip, `bandwidths` bytes a second in each direction, `cuts` the bytes after
    which a connection ends. After a change of any of them, or of `hangs`, `look_again` is to be called.
    """

    def __init__(self) -> None:
        self.latencies: dict[int, float] = {}
        self.bandwidths: dict[int, int] = {}
        self.cuts: dict[int, int] = {}
        self.hangs: dict[int, None] = {}
        self.refusals: set[int] = set()
        self.free_at = [0.0, 0.0]
        self._wires: set[_Wire] = set()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    async def create_server(self, factory: Callable[[str, int], Any], host: str, port: int) -> Line:
        """Listen; the factory makes asyncssh's end of a connection."""
        self._factory = factory
        self._address = (host, port)
        await self._listen()
        return self

    @property
    def is_clear(self) -> bool:
        return not (self.hangs or self.latencies or self.bandwidths or self.cuts)

    @property
    def delay(self) -> float:
        """Seconds of one way."""
        return sum(self.latencies.values()) / 2

    @property
    def bandwidth(self) -> int | None:
        return min(self.bandwidths.values(), default=None)

    def look_again(self) -> None:
        """Let go, or hold back, what is on its way, as things now are."""
        for wire in list(self._wires):
            wire.look_again()

    def cut(self, number: int, after_bytes: int) -> None:
        """End each connection when so many bytes more have passed."""
        self.cuts[number] = after_bytes
        for wire in self._wires:
            wire.begins[number] = wire.passed

    def cut_all(self) -> None:
        """End every connection now."""
        for wire in list(self._wires):
            wire.abort()

    def refuse(self, number: int) -> None:
        """Stop listening, and keep the port, to which nobody else can get then."""
        if not self.refusals:
            assert self._server is not None  # noqa: S101
            self._server.close()
            self._reserved = self._bound()
        self.refusals.add(number)

    async def accept(self, number: int) -> None:
        """Listen again, unless another fault forbids it."""
        self.refusals.discard(number)
        if not self.refusals and self._reserved is not None:
            await self._listen()

    def get_port(self) -> int:
        """The port, also while nobody listens."""
        return self._address[1]

    def close(self) -> None:
        """Take no connections any more."""
        for end in (self._server, self._reserved):
            if end is not None:
                end.close()

    async def wait_closed(self) -> None:
        """Nothing has to be waited for."""

    async def _listen(self) -> None:
        bound = self._reserved or self._bound()
        self._address = bound.getsockname()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Wire(self, self._factory, self._wires), sock=bound)
        self._reserved = None

    def _bound(self) -> socket.socket:
        bound = socket.socket()
        # Connections of before may still be open on this port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(self._address)
        return bound


class _Wire(asyncio.Protocol):
    """One connection: from the client's socket to asyncssh's protocol and back."""

    def __init__(self, line: Line, factory: Callable[[str, int], Any], wires: set[_Wire]) -> None:
        self._line = line
        self._factory = factory
        self._wires = wires
        self.passed = 0
        self.begins: dict[int, int] = {}
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._wires.add(self)
        self._server = self._factory(*transport.get_extra_info("peername")[:2])
        self._inward = _Direction(self._line, 0, self._deliver_inward)
        self._outward = _Direction(self._line, 1, self._deliver_outward)
        self._server.connection_made(_Outward(transport, self._outward))

    def data_received(self, data: bytes) -> None:
        self._inward.send(data)
        if self._inward.waiting_bytes > _MOST_WAITING:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._inward.send(None)
        return True  # what waits for the client still goes out

    def connection_lost(self, error: Exception | None) -> None:
        self._wires.discard(self)
        for direction in (self._inward, self._outward):
            direction.forget()
        if not self._is_over:
            self._is_over = True
            self._server.connection_lost(error)

    def look_again(self) -> None:
        for direction in (self._inward, self._outward):
            direction.run()

    def abort(self) -> None:
        """End the connection as if the network had."""
        self._transport.abort()

    def _deliver_inward(self, data: bytes | None) -> None:
        if data is None:
            if not self._is_over:
                self._is_over = True
                self._server.eof_received()
            self._outward.send(None)
        elif data := self._counted(data):
            self._server.data_received(data)
        if self._inward.waiting_bytes <= _MOST_WAITING and not self._transport.is_closing():
            self._transport.resume_reading()

    def _deliver_outward(self, data: bytes | None) -> None:
        if data is None:
            self._transport.close()
        elif data := self._counted(data):
            self._transport.write(data)

    def _counted(self, data: bytes) -> bytes:
        """As much of the data as passes before the connection is cut."""
        left = [after + self.begins.get(number, 0) - self.passed for number, after in self._line.cuts.items()]
        self.passed += len(data)
        if left and min(left) < len(data):
            data = data[: max(0, min(left))]
            asyncio.get_running_loop().call_soon(self.abort)
        return data


class _Direction:
    """Bytes on their way; None stands for their end."""

    def __init__(self, line: Line, index: int, deliver: Callable[[bytes | None], None]) -> None:
        self._line = line
        self._index = index
        self._deliver = deliver
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_bytes = 0

    def send(self, data: bytes | None) -> None:
        if not self._waiting and self._line.is_clear:
            self._deliver(data)
            return
        now = asyncio.get_running_loop().time()
        for piece in [data] if data is None else self._pieces(data):
            self._waiting.append((now, piece))
            self.waiting_bytes += len(piece or b"")
        self.run()

    def run(self) -> None:
        """Deliver what is due, and come back when the next is."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        loop, line = asyncio.get_running_loop(), self._line
        while self._waiting and not line.hangs:
            sent, data = self._waiting[0]
            due = max(sent + line.delay, line.free_at[self._index] if line.bandwidth else 0.0)
            if due > loop.time():
                self._timer = loop.call_at(due, self.run)
                return
            self._waiting.popleft()
            self.waiting_bytes -= len(data or b"")
            if line.bandwidth:
                line.free_at[self._index] = max(due, line.free_at[self._index]) + len(data or b"") / line.bandwidth
            self._deliver(data)

    def forget(self) -> None:
        self._waiting.clear()
        if self._timer:
            self._timer.cancel()

    def _pieces(self, data: bytes) -> list[bytes]:
        if not self._line.bandwidth:
            return [data]
        length = max(1, self._line.bandwidth // _SLICES_PER_SECOND)
        return [data[at : at + length] for at in range(0, len(data), length)]


class _Outward(asyncio.Transport):
    """The transport as asyncssh sees it: what it writes goes by way of the line."""

    def __init__(self, transport: asyncio.Transport, direction: _Direction) -> None:
        super().__init__()
        self._transport = transport
        self._direction = direction

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._direction.send(bytes(data))

    def abort(self) -> None:
        # asyncssh says so when it is through with a connection; its last words are still on their way.
        self._direction.send(None)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
