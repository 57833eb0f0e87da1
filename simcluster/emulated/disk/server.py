"""Serves a cluster's shared directories while its disk is bad: `python -m simcluster.emulated.disk.server FD DIRECTORY`.

Over the socket come the faults, which are answered, and open /dev/fuse of the machines' mounts, each for good. It ends
when the socket does.
"""

from __future__ import annotations

import array
import json
import os
import resource
import socket
import sys
import threading
from typing import Any

from simcluster.emulated.disk.room import Room
from simcluster.emulated.disk.stale import Past
from simcluster.emulated.disk.view import View
from simcluster.emulated.disk.wire import serve

__all__ = ["main"]

_MOST = 1 << 16


class _Server:
    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._room = Room()
        self._past = Past(directory)
        self._lock = threading.Lock()

    def obey(self, message: dict[str, Any], descriptors: list[int]) -> bool:
        """Whether an answer is waited for."""
        with self._lock:
            match message:
                case {"serve": str(name), "machine": str(machine)}:
                    view = View(f"{self._directory}/{name}", machine, self._room, self._past)
                    threading.Thread(target=self._serve, args=(descriptors[0], view), daemon=True).start()
                    return False
                case {"full": int(number)}:
                    self._room.full.add(number)
                case {"quota": int(number), "bytes": int(size)}:
                    self._room.limit(number, size)
                case {"stale": int(number), "seconds": float(seconds) | int(seconds)}:
                    self._past.delay(number, seconds)
                case {"undo": int(number)}:
                    self._room.lift(number)
                    self._past.lift(number)
        return True

    def _serve(self, device: int, view: View) -> None:
        try:
            serve(device, view, self._lock)
        finally:
            os.close(device)
            with self._lock:
                view.close()


def main(descriptor: str, directory: str) -> None:
    """Serve until the socket closes."""
    os.umask(0)  # the kernel has applied the caller's
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for each file that the machines know
    server = _Server(directory)
    connection = socket.socket(fileno=int(descriptor))
    while True:
        data, ancillary, _, _ = connection.recvmsg(_MOST, socket.CMSG_SPACE(4))
        if not data:
            return
        descriptors = array.array("i")
        for _level, _kind, payload in ancillary:
            descriptors.frombytes(payload)
        if server.obey(json.loads(data), list(descriptors)):
            connection.send(b"{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
