"""A scheduler's command, as found on a cluster's PATH: it has the daemon answer. Its name says which one it is.

`simcluster.emulated.furniture` puts a line before this text that starts it, and fills in the directory.
"""

# Importing pathlib, json or socket would double the time that this program takes to start: these are their parts in C.
# ruff: noqa: PTH109, PTH119

from __future__ import annotations

import os
import sys
from _json import encode_basestring_ascii, make_scanner
from _socket import AF_UNIX, socket

DIRECTORY = "@directory@"
LIBRARY = "@library@"


class Plain:
    """How JSON is read: as it stands."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def main() -> int:
    """Ask, print, and the exit code."""
    program = os.path.basename(sys.argv[0])
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = os.environ.get("PWD", "/")
    connection = socket(AF_UNIX)
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
        "umask": umask(),
    }
    send(connection, written(request).encode())
    read = make_scanner(Plain)  # type: ignore[arg-type] # it takes whatever has these attributes
    copiers = []
    while True:
        reply = read(receive(connection).decode(), 0)[0]
        if "code" in reply:
            break
        if "wants_stdin" in reply:
            with open(0, "rb") as stdin:
                send(connection, stdin.read())
        elif "wants_signals" in reply:
            import signal  # noqa: PLC0415

            for number in reply["wants_signals"]:
                signal.signal(number, lambda number, _: send(connection, written({"signal": number}).encode()))
        elif "wants_streams" in reply:
            sys.path.insert(0, LIBRARY)
            sys.dont_write_bytecode = True
            from lending import lend  # type: ignore[import-not-found]  # noqa: PLC0415

            copiers = lend(connection, reply["wants_streams"])
        else:
            write(2, reply["stderr"])
    for copier in copiers:
        copier.join()
    write(1, reply["stdout"])
    write(2, reply["stderr"])
    return int(reply["code"])


def written(value: object) -> str:
    """The JSON of texts, whole numbers, and lists and dicts of them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{written(key)}:{written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return str(encode_basestring_ascii(value)) if isinstance(value, str) else str(value)


def umask() -> int:
    """The mode bits that files made here don't get; there is no way to read them but to set others."""
    value = os.umask(0o077)
    os.umask(value)
    return value


def write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]


def send(connection: socket, data: bytes) -> None:
    connection.sendall(len(data).to_bytes(4, "big") + data)


def receive(connection: socket) -> bytes:
    return exactly(connection, int.from_bytes(exactly(connection, 4), "big"))


def exactly(connection: socket, count: int) -> bytes:
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
