"""The caller's end of a job step: it lends its input and output to the tasks, copies and labels what has to be.

Loaded by `ask`, on the machine where somebody called srun, when the daemon says what the tasks need.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct
import threading
from typing import Any

__all__ = ["lend"]

_NAMES = ("stdin", "stdout", "stderr")


def lend(connection: socket.socket, wish: dict[str, Any]) -> list[threading.Thread]:
    """Send each task's descriptors; who copies output, to be waited for at the end.

    `wish`: the number of `tasks`; `streams`, three of {"path": None for the caller's own, "appends", "task": the only
    one that gets it} or null for one that is opened elsewhere; `labels`: whether each line begins with its task.
    """
    ends: list[int | None] = []
    try:
        for number, stream in enumerate(wish["streams"]):
            ends.append(_end(number, stream, wish["streams"], ends))
    except OSError as error:
        _send(connection, {"refused": _NAMES[len(ends)], "number": error.errno})
        return []
    tasks = wish["tasks"]
    inputs: list[int] = []
    copiers: list[threading.Thread] = []
    writing = threading.Lock()
    for task in range(tasks):
        given: list[int] = []
        own: list[int] = []
        for number, end in enumerate(ends):
            if end is None:
                continue
            only = wish["streams"][number].get("task")
            if only is not None and only != task:
                own.append(os.open(os.devnull, os.O_RDWR))
                given.append(own[-1])
            elif number == 0 and tasks > 1 and only is None:
                own.append(_pipe_to(inputs))
                given.append(own[-1])
            elif number > 0 and wish["labels"]:
                reading, writable = os.pipe()
                own.append(writable)
                given.append(writable)
                label = f"{task:{len(str(tasks - 1))}}: ".encode()
                copiers.append(threading.Thread(target=_copy_lines, args=(reading, end, label, writing)))
            else:
                given.append(end)
        _send(connection, {"descriptors": len(given)}, given)
        for descriptor in own:
            os.close(descriptor)
    for copier in copiers:
        copier.start()
    if inputs:
        threading.Thread(target=_spread, args=(ends[0], inputs), daemon=True).start()
    return copiers


def _end(number: int, stream: dict[str, Any] | None, streams: list[Any], ends: list[int | None]) -> int | None:
    if stream is None:
        return None
    path = stream["path"]
    if path is None:
        return number
    if number == 2 and streams[1] and streams[1]["path"] == path:
        return ends[1]
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if stream["appends"] else os.O_TRUNC)
    return os.open(path, flags, 0o666) if number else os.open(path, os.O_RDONLY)


def _pipe_to(inputs: list[int]) -> int:
    reading, writing = os.pipe()
    inputs.append(writing)
    return reading


def _spread(source: int, inputs: list[int]) -> None:
    """Everybody gets all of the input."""
    while data := _read(source):
        for descriptor in [one for one in inputs if not _write_if_read(one, data)]:
            inputs.remove(descriptor)
            os.close(descriptor)
    for descriptor in inputs:
        os.close(descriptor)


def _copy_lines(source: int, target: int, label: bytes, writing: threading.Lock) -> None:
    rest = b""
    with contextlib.suppress(BrokenPipeError):
        while data := _read(source):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                with writing:
                    _write(target, b"".join(label + line + b"\n" for line in lines))
        if rest:
            with writing:
                _write(target, label + rest + b"\n")
    os.close(source)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # closed from the start, or a terminal that is gone
        return b""


def _write_if_read(descriptor: int, data: bytes) -> bool:
    try:
        _write(descriptor, data)
    except OSError:  # that task reads no more
        return False
    return True


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _send(connection: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
    body = json.dumps(message).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([struct.pack("!I", len(body)) + body], rights)
