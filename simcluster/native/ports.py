"""Ports for daemons that can't take what the kernel gives them, but want to be told."""

from __future__ import annotations

import socket

__all__ = ["ReservedPort"]


class ReservedPort:
    """A port that the kernel gives to nobody else, as long as this is open.

    Linux lets several sockets with SO_REUSEADDR have one port, if none but the last of them listens: socket(7). Slurm
    sets it. So the port also stays with a daemon that is started again.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("", 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Let it go."""
        self._socket.close()
