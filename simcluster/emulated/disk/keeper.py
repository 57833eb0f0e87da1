"""The daemon's end of the program that serves a bad disk: starts it, and tells it what is wrong with the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from simcluster.errors import SimclusterError

__all__ = ["Disk", "refusal"]

_DEVICE = Path("/dev/fuse")


class Disk:
    """The server, started when something is first told. It serves on as long as the cluster is.

    For what came into the directories while the disk was bad stays with it, though the machines are back on the real
    ones.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket: socket.socket | None = None
        self._talking = asyncio.Lock()

    @property
    def connection(self) -> int:
        """A descriptor by which machines send it what to serve."""
        return self._started().fileno()

    async def tell(self, message: dict[str, Any]) -> None:
        """Returns when it is so; raises SimclusterError if it can't be told."""
        async with self._talking:
            loop = asyncio.get_running_loop()
            connection = self._started()
            answer = b""
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connection, json.dumps(message).encode())
                answer = await loop.sock_recv(connection, 16)
        if not answer:
            raise SimclusterError("the program that serves the disk has ended; the cluster's log says why")

    def _started(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket.setblocking(False)
            module = "simcluster.emulated.disk.server"
            with theirs:
                subprocess.Popen(
                    [sys.executable, "-m", module, str(theirs.fileno()), str(self._directory)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
                )
        return self._socket


def refusal(*, has_own_tree: bool) -> str | None:
    """Why there can't be such a disk, None if there can."""
    if not has_own_tree:
        return "the kernel gives its machines no file trees of their own"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} is not there for this user; load the kernel's module: modprobe fuse"
    return None
