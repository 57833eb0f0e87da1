"""The SFTP server of a login host: `python -m simcluster.emulated.sftp PID KINDS HOME CLIENT`, on stdin and stdout.

A process of its own, for it has to see the files that the machine with that process sees. It joins it when all is
imported: from there on this computer's packages are out of reach.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, cast

import asyncssh
from asyncssh.logging import logger
from asyncssh.sftp import SFTPServerHandler

from simcluster.emulated.machine.namespaces import join

__all__ = ["main"]

_VERSION = 3
"""What OpenSSH and paramiko speak."""


class _Reader:
    """As much of asyncssh's reader as its SFTP server uses."""

    logger = logger

    def __init__(self, reader: asyncio.StreamReader, client: str) -> None:
        self._reader = reader
        self._client = client

    async def readexactly(self, count: int) -> bytes:
        return await self._reader.readexactly(count)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        # Some clients swap the arguments of a request for a symbolic link.
        return self._client if name == "client_version" else default


class _Writer:
    """As much of asyncssh's writer as its SFTP server uses; it is its own channel."""

    def __init__(self, writer: asyncio.WriteTransport) -> None:
        self._writer = writer

    @property
    def channel(self) -> _Writer:
        return self

    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


async def _serve(client: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))
    ended = asyncio.Event()
    writer, _ = await loop.connect_write_pipe(lambda: _UntilClosed(ended), os.fdopen(1, "wb"))
    server: asyncssh.SFTPServer = asyncssh.SFTPServer(cast("Any", None))
    handler = SFTPServerHandler(server, cast("Any", _Reader(reader, client)), cast("Any", _Writer(writer)), _VERSION)
    await handler.run()
    await ended.wait()


class _UntilClosed(asyncio.BaseProtocol):
    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, _error: Exception | None) -> None:
        self._ended.set()


def main(pid: str, kinds: str, home: str, client: str) -> None:
    """Serve until stdin ends."""
    if "mount" in kinds:
        join(int(pid), kinds.split(","))
    os.chdir(home)
    os.umask(0o022)
    asyncio.run(_serve(client))


if __name__ == "__main__":
    main(*sys.argv[1:])
