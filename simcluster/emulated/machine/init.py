"""The parent of all processes of one machine. It is told what to start over a socket, and tells there what ended.

A message is a length (4 bytes, network order) and JSON; `descriptors` says how many file descriptors come with it.
When the socket closes, or at "die", every process of the machine is killed, whatever it made of itself.
"""

# Importing pathlib would double the time that this program takes to start.
# ruff: noqa: PTH123

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

from simcluster.emulated.machine import namespaces, processes
from simcluster.processes import Sessions, children, descendants, is_linux, memory_mb

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_POLL = 0.2
"""Seconds between looks at how much memory a job has."""

_MOST_DESCRIPTORS = 16


class Init:
    """The state of one machine: which processes were started, and what has come over the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._leaders: dict[int, processes.Start] = {}
        self._sessions = Sessions()
        self._exceeded: set[str] = set()
        self._layers: list[str] = []
        self._wakeup, writing = os.pipe()
        for descriptor in (self._wakeup, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def run(self) -> None:
        """Serve until the socket closes."""
        while True:
            has_limits = any(what.limits for what in self._leaders.values())
            readable, _, _ = select.select([self._socket.fileno(), self._wakeup], [], [], _POLL if has_limits else None)
            if self._wakeup in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
            self._reap()
            if has_limits:
                self._look_at_memory()
            if self._socket.fileno() in readable and not self._receive():
                return

    def _receive(self) -> bool:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(1 << 16, socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4))
        except ConnectionError:
            return False
        for _level, _kind, payload in ancillary:
            numbers = array.array("i")
            numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
            self._descriptors += numbers
        for descriptor in self._descriptors:
            os.set_inheritable(descriptor, False)
        self._received += data
        while len(self._received) >= 4:
            (length,) = struct.unpack_from("!I", self._received)
            if len(self._received) < 4 + length:
                break
            message = json.loads(self._received[4 : 4 + length])
            del self._received[: 4 + length]
            if not self._obey(message):
                return False
        return bool(data)

    def _obey(self, message: dict[str, Any]) -> bool:
        operation = message.pop("op")
        if operation == "start":
            count = message.pop("descriptors", 0)
            mine, self._descriptors = self._descriptors[:count], self._descriptors[count:]
            self._start(processes.Start(**message), mine)
        elif operation == "signal":
            self._signal(**message)
        elif operation == "append":
            _append(**message)
        elif operation == "cover":
            count = message.pop("descriptors", 0)
            mine, self._descriptors = self._descriptors[:count], self._descriptors[count:]
            self._cover(**message, descriptors=mine)
        return bool(operation != "die")

    def _start(self, what: processes.Start, descriptors: list[int]) -> None:
        try:
            pid = processes.start(what, descriptors)
        except processes.StartError as error:
            self._say(event="failed", key=what.key, step=error.step, number=error.number)
        else:
            self._leaders[pid] = what
            if not is_linux():
                self._sessions.add(pid, what.key)
            self._say(event="started", key=what.key, pid=pid)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _cover(self, key: str, machine: str, paths: dict[str, str], layers: list[str], descriptors: list[int]) -> None:
        """Have these layers lie over the directories, the lowest first."""
        kept = len([one for one, other in zip(self._layers, layers, strict=False) if one == other])
        try:
            for _ in self._layers[kept:]:
                for path in paths.values():
                    namespaces.uncover(path)
                self._layers.pop()
            for layer in layers[kept:]:
                for name, path in paths.items():
                    if layer == "read_only":
                        namespaces.cover_read_only(path)
                    else:
                        _have_served(path, descriptors[0], {"serve": name, "machine": machine})
                self._layers.append(layer)
        except OSError as error:
            self._say(event="failed", key=key, step="mount", number=error.errno)
        else:
            self._say(event="ended", key=key, code=0, signal=0)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _signal(self, key: str, number: int, everything: bool) -> None:
        """To a process, or with everything to it, to those whose keys begin with its, and to all descendants."""
        if number not in signal.valid_signals():  # the kernel would refuse it
            return
        if everything:
            pids = [pid for pid, what in self._leaders.items() if _is_of(what.key, key)]
            processes.kill_descendants([*pids, *self.orphans(key)], number)
            return
        for pid, what in self._leaders.items():
            if what.key == key:
                os.kill(pid, number)

    def orphans(self, key: str | None = None) -> list[int]:
        """Processes of such keys whose parents have ended, of all keys without one."""
        mine: Mapping[int, str | None]
        if is_linux():  # they have become children of this process
            mine = {pid: processes.key_of(pid) for pid in children(os.getpid())}
        else:
            mine = self._sessions.members(self._leaders)
        return [pid for pid, own in mine.items() if pid not in self._leaders and (key is None or _is_of(own, key))]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if what := self._leaders.pop(pid, None):
                self._exceeded &= {key for other in self._leaders.values() for key in other.limits}
                if what.is_job:
                    self._clear(what.key)
                code = os.waitstatus_to_exitcode(status)
                self._say(event="ended", key=what.key, code=max(code, 0), signal=max(-code, 0))

    def _clear(self, key: str) -> None:
        """End what a job left running, as proctrack/cgroup does."""
        while processes.kill_descendants(self.orphans(key)):
            time.sleep(0.001)

    def _look_at_memory(self) -> None:
        limits = {key: limit for what in self._leaders.values() for key, limit in what.limits.items()}
        for key in limits.keys() - self._exceeded:
            leaders = [pid for pid, what in self._leaders.items() if _is_of(what.key, key)]
            if memory_mb(descendants([*leaders, *self.orphans(key)])) > limits[key]:
                self._exceeded.add(key)
                for pid in leaders:
                    self._say(event="over_memory", key=self._leaders[pid].key, whole=key)

    def _say(self, **message: Any) -> None:
        data = json.dumps(message).encode()
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(struct.pack("!I", len(data)) + data)


def main(descriptor: int) -> None:
    """Become the machine that the first message describes, and serve."""
    connection = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # One read, for whoever describes the machine waits for an answer before saying more.
    size = struct.unpack("!I", _exactly(connection, 4))[0]
    described = json.loads(_exactly(connection, size))
    kinds = described["kinds"]
    try:
        if kinds:
            namespaces.enter(kinds, namespaces.Plan(**_tuples(described["plan"])))
        pid = _as_process_one(connection) if "pid" in kinds else os.getpid()
        if pid == 0:  # the one that goes on is its child
            return
        if is_linux() and "pid" not in kinds:
            namespaces.become_subreaper()
    except OSError as error:
        _say_once(connection, {"event": "refused", "reason": str(error)})
        return
    init = Init(connection)
    _say_once(connection, {"event": "ready"})
    try:
        init.run()
    finally:
        processes.end_everything(init.orphans)


def _is_of(key: str | None, whole: str) -> bool:
    return key is not None and (key == whole or key.startswith(f"{whole}."))


def _have_served(path: str, descriptor: int, message: dict[str, Any]) -> None:
    """Tell the server itself, not the daemon, which may be waiting for a file in there at this moment."""
    device = namespaces.cover_served(path)
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            rights = array.array("i", [device])
            connection.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    finally:
        os.close(device)


def _append(path: str, text: str) -> None:
    # Where the file can't be opened, nobody would read of it either.
    with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _as_process_one(connection: socket.socket) -> int:
    """Go on in a child, which is process 1 of this machine, and tell its number outside; 0 in the parent."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(reading)
        _say_once(connection, {"event": "forked", "pid": child})
        os.write(writing, b".")  # in this order the two of them speak
        return 0
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    namespaces.mount_proc()
    return os.getpid()


def _say_once(connection: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    connection.sendall(struct.pack("!I", len(data)) + data)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (piece := connection.recv(count - len(data))):
            sys.exit()
        data += piece
    return data


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
