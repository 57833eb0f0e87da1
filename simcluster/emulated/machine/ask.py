"""A scheduler's command, as found on a cluster's PATH: it has the daemon answer. Its name says which one it is.

`simcluster.emulated.furniture` puts a line before this text that starts it, and fills in the directory.
"""

# Importing pathlib would double the time that this program takes to start.
# ruff: noqa: PTH109, PTH119

from __future__ import annotations

import json
import os
import socket
import struct
import sys

DIRECTORY = "@directory@"


def main() -> int:
    """Ask, print, and the exit code."""
    program = os.path.basename(sys.argv[0])
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = os.environ.get("PWD", "/")
    connection = socket.socket(socket.AF_UNIX)
    try:
        os.chdir(DIRECTORY)  # by a relative name, for a socket's may have no more than about 100 characters
        connection.connect("socket")
    except OSError as error:
        sys.exit(f"{program}: this cluster has ended ({error})")
    request = {
        "program": program,
        "arguments": sys.argv[1:],
        "cwd": cwd,
        "environment": dict(os.environ),
        "host": os.environ.get("SIMCLUSTER_HOST") or os.uname().nodename,
    }
    send(connection, json.dumps(request).encode())
    while True:
        reply = json.loads(receive(connection))
        if not reply.get("wants_stdin"):
            break
        with open(0, "rb") as stdin:
            send(connection, stdin.read())
    for descriptor, text in ((1, reply["stdout"]), (2, reply["stderr"])):
        data = text.encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(descriptor, data) :]
    return int(reply["code"])


def send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(struct.pack("!I", len(data)) + data)


def receive(connection: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", exactly(connection, 4))
    return exactly(connection, length)


def exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            sys.exit(f"{os.path.basename(sys.argv[0])}: this cluster has ended")
        data += piece
    return bytes(data)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)
