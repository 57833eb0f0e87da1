"""Requests and answers over a Unix socket: a length (4 bytes, network order) and JSON."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["Conversation", "Server", "ask"]

_MOST_DESCRIPTORS = 16
_BACKLOG = 1024


class Conversation:
    """The daemon's end of a connection. File descriptors may come with a message, which says how many."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._waiting: asyncio.Future[None] | None = None
        self._is_closed = False

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises ConnectionError when there is nobody any more, as `receive_bytes` does."""
        message: dict[str, Any] = json.loads(await self.receive_bytes())
        return message

    async def receive_bytes(self) -> bytes:
        """The next message's bytes."""
        await self._fill(4)
        (length,) = struct.unpack_from("!I", self._received)
        await self._fill(4 + length)
        body = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        return body

    def take_descriptors(self, count: int) -> list[int]:
        """So many of the descriptors that have come; whoever takes them closes them."""
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        body = json.dumps(message).encode()
        await asyncio.get_running_loop().sock_sendall(self._socket, struct.pack("!I", len(body)) + body)

    def close(self) -> None:
        """End it, with the descriptors that nobody has taken."""
        for descriptor in self.take_descriptors(len(self._descriptors)):
            os.close(descriptor)
        if self._waiting is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            _finish(self._waiting)
        self._is_closed = True
        self._socket.close()

    async def _fill(self, count: int) -> None:
        while len(self._received) < count:
            try:
                space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)
                data, ancillary, _, _ = self._socket.recvmsg(1 << 16, space)
            except BlockingIOError:
                await self._readable()
                continue
            for _level, _kind, payload in ancillary:
                numbers = array.array("i")
                numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
                self._descriptors += numbers
            if not data:
                raise ConnectionResetError("the other side has ended")
            self._received += data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        loop.add_reader(self._socket, _finish, self._waiting)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if not self._is_closed:
                loop.remove_reader(self._socket)
        if self._is_closed:
            raise ConnectionAbortedError("this side has ended")


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


Answer = Callable[[dict[str, Any], Conversation], Awaitable[dict[str, Any]]]


class Server:
    """Answers each connection's one request, at a path relative to the working directory."""

    def __init__(self, path: str, answer: Answer) -> None:
        self._answer = answer
        self._conversing: set[asyncio.Task[None]] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Answer nobody any more."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            task = asyncio.create_task(self._converse(Conversation(connection)))
            self._conversing.add(task)
            task.add_done_callback(self._conversing.discard)

    async def _converse(self, conversation: Conversation) -> None:
        try:
            await conversation.send(await self._answer(await conversation.receive(), conversation))
        except ConnectionError:
            pass  # who asked does not want to know any more
        finally:
            conversation.close()


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask from outside the event loop, and wait for the answer. Raises OSError if nobody is there."""
    with socket.socket(socket.AF_UNIX) as connection:
        _connect(connection, path)
        body = json.dumps(request).encode()
        connection.sendall(struct.pack("!I", len(body)) + body)
        with connection.makefile("rb") as answers:
            head = answers.read(4)
            if len(head) < 4:
                raise ConnectionResetError("the cluster ended")
            message: dict[str, Any] = json.loads(answers.read(struct.unpack("!I", head)[0]))
    return message


def _connect(connection: socket.socket, path: Path) -> None:
    try:
        connection.connect(str(path))
    except OSError as error:
        if "too long" not in str(error):
            raise
        # A socket's name may have about 100 characters; a link stands for the rest of them.
        with TemporaryDirectory(prefix="simcluster-", dir="/tmp") as short:
            link = Path(short, "to")
            link.symlink_to(path.parent)
            connection.connect(str(link / path.name))
