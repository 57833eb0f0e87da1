"""The daemon's end of the machines: starts them, has them start processes, and hears what ended."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.machine.processes import descendants, is_stopped, kill_descendants
from simcluster.errors import ClusterStartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LEVELS", "Host", "HostRefusedError", "start_host"]

_PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from machine.init import main
main(int(sys.argv[2]))
"""

_FULL = ("mount", "uts", "pid")
_USER = ("user",)

LEVELS: tuple[tuple[str, ...], ...]
"""The kinds of namespaces to try, the best first; the last always works."""

if sys.platform != "linux":
    LEVELS = ((),)
elif os.geteuid() == 0:
    LEVELS = (_FULL, (*_FULL, *_USER), ("mount", "uts"), ("mount", "uts", *_USER), ())
else:
    LEVELS = ((*_FULL, *_USER), ("mount", "uts", *_USER), ())


class HostRefusedError(ClusterStartError):
    """The kernel does not let a machine have these namespaces."""


class Host:
    """A machine that runs. Its `start` and `signal` don't wait; what comes of them is told to `listener`.

    The listener gets the machine's messages: `started`, `failed`, `ended` and `over_memory`, each with a `key`.
    """

    def __init__(self, name: str, pid: int, connection: socket.socket, kinds: Sequence[str]) -> None:
        self.name = name
        self.kinds = tuple(kinds)
        self.pid = pid
        self.gone = asyncio.Event()
        self._listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._socket = connection
        self._received = bytearray()
        self._is_stopped = False
        self._is_killed = False
        self._unsaid: list[tuple[dict[str, Any], list[int]]] | None = None
        asyncio.get_running_loop().add_reader(connection, self._receive)

    def start(
        self, what: Mapping[str, Any], listener: Callable[[dict[str, Any]], None], descriptors: Sequence[int] = ()
    ) -> None:
        """Start a process, described as `machine.processes.Start`. The descriptors may be closed afterwards.

        Of a machine that is being killed, what is started now is lost like all the rest.
        """
        if self._is_killed:
            listener({"event": "lost", "key": what["key"]})
            return
        self._listeners[what["key"]] = listener
        self._say({"op": "start", "descriptors": len(descriptors), **what}, descriptors)

    def signal(self, key: str, number: int, *, everything: bool) -> None:
        """Send a signal to what was started under that key, or also to all that descends from it."""
        self._say({"op": "signal", "key": key, "number": number, "everything": everything})

    def append(self, path: str, text: str) -> None:
        """Write at the end of a file, if it can be opened."""
        self._say({"op": "append", "path": path, "text": text})

    def cover(
        self, key: str, paths: Mapping[str, str], layers: Sequence[str], descriptors: Sequence[int]
    ) -> asyncio.Future[dict[str, Any]]:
        """Have directories covered by these layers, the lowest first: `ended` or `failed` comes of it.

        "served" is what the server at the other end of the descriptor makes of a directory, which it knows by its name
        in `paths`; "read_only" is read-only.
        """
        heard: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._listeners[key] = heard.set_result
        message = {"op": "cover", "key": key, "machine": self.name, "paths": dict(paths), "layers": list(layers)}
        self._say({**message, "descriptors": len(descriptors)}, descriptors)
        return heard

    def cut(self) -> None:
        """Cut it off: nothing is said to it, and nothing heard of it, until `join`. Its processes go on."""
        if self._unsaid is None and not self.gone.is_set():
            self._unsaid = []
            asyncio.get_running_loop().remove_reader(self._socket)

    def join(self) -> None:
        """Say and hear what has waited since `cut`."""
        unsaid, self._unsaid = self._unsaid, None
        if unsaid is None or self.gone.is_set():
            return
        for message, descriptors in unsaid:
            self._say(message, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def stop(self) -> None:
        """Stop every process on it, until `go_on`."""
        self._is_stopped = True
        # From the top, so that nobody is left who could make new ones.
        kill_descendants([self.pid], signal.SIGSTOP)
        while stirring := [pid for pid in descendants([self.pid]) if not is_stopped(pid)]:
            for pid in stirring:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(0.001)

    def go_on(self) -> None:
        """Let every process on it go on."""
        if self._is_stopped and not self.gone.is_set():
            kill_descendants([self.pid], signal.SIGCONT)
        self._is_stopped = False

    async def kill(self) -> None:
        """End the machine: every process on it is gone when this returns, and its listeners hear `lost` of each."""
        self._is_killed = True
        listeners, self._listeners = self._listeners, {}
        for key, listener in listeners.items():
            listener({"event": "lost", "key": key})
        self.join()
        self.go_on()
        if "pid" in self.kinds:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            self._say({"op": "die"})
        await self.gone.wait()
        await asyncio.get_running_loop().run_in_executor(None, _wait_for, self.pid)

    def _say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        if self._unsaid is not None:
            self._unsaid.append((message, [os.dup(descriptor) for descriptor in descriptors]))
        elif not self.gone.is_set():
            with contextlib.suppress(ConnectionError):
                _send(self._socket, message, descriptors)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._close()
            return
        self._received += data
        while len(self._received) >= 4:
            (length,) = struct.unpack_from("!I", self._received)
            if len(self._received) < 4 + length:
                return
            message = json.loads(self._received[4 : 4 + length])
            del self._received[: 4 + length]
            self._tell(message)

    def _tell(self, message: dict[str, Any]) -> None:
        key = message["key"]
        if listener := self._listeners.get(key):
            if message["event"] in {"ended", "failed"}:
                del self._listeners[key]
            listener(message)

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self.gone.set()
        listeners, self._listeners = self._listeners, {}
        for key, listener in listeners.items():
            listener({"event": "ended", "key": key, "code": 0, "signal": int(signal.SIGKILL)})


async def start_host(name: str, plan: Mapping[str, Any], kinds: Sequence[str]) -> Host:
    """Start a machine with namespaces of these kinds; raises HostRefusedError if that is not allowed."""
    process, ours = _start_process()
    _send(ours, {"kinds": list(kinds), "plan": dict(plan)})
    pid = process.pid
    message = await _next(ours)
    if message["event"] == "forked":
        await asyncio.get_running_loop().run_in_executor(None, process.wait)
        pid = message["pid"]
        message = await _next(ours)
    if message["event"] != "ready":
        ours.close()
        await asyncio.get_running_loop().run_in_executor(None, _wait_for, pid)
        raise HostRefusedError(f"{name}: {message.get('reason', 'ended at once')}")
    process.returncode = 0  # from now on `Host` waits for it
    ours.setblocking(True)
    return Host(name, pid, ours, kinds)


def _start_process() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    directory = str(Path(__file__).parent)
    with theirs:
        process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-ISE", "-c", _PROGRAM, directory, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={},
        )
    return process, ours


async def _next(connection: socket.socket) -> dict[str, Any]:
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    data = b""
    length = 4
    while len(data) < length:
        piece = await loop.sock_recv(connection, length - len(data))
        if not piece:
            return {"event": "gone"}
        data += piece
        if len(data) == 4 and length == 4:
            length += struct.unpack("!I", data)[0]
    message: dict[str, Any] = json.loads(data[4:])
    return message


def _send(connection: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    body = json.dumps(message).encode()
    data = memoryview(struct.pack("!I", len(body)) + body)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = connection.sendmsg([data], rights)
    connection.sendall(data[sent:])


def _wait_for(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
