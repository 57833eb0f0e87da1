"""Requests and answers over a Unix socket: a length (4 bytes, network order) and JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ask", "read_bytes", "serve", "write_message"]


async def serve(
    path: str, answer: Callable[[dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter], Awaitable[dict[str, Any]]]
) -> asyncio.Server:
    """Answer each connection's one request, at a path relative to the working directory."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await read_bytes(reader))
            write_message(writer, await answer(request, reader, writer))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked does not want to know any more
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return await asyncio.start_unix_server(converse, path)


async def read_bytes(reader: asyncio.StreamReader) -> bytes:
    """The next message's bytes."""
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(length)


def write_message(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Send a message."""
    body = json.dumps(message).encode()
    writer.write(struct.pack("!I", len(body)) + body)


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
        if "too long" not in str(error) or not Path("/proc/self/fd").exists():
            raise
        # A socket's name may have about 100 characters, a directory's descriptor stands for the rest.
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
