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
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.machine.processes import key_of, kill_descendants
from simcluster.errors import ClusterStartError
from simcluster.processes import PORTABLE, Sessions, children, descendants, is_linux, states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LEVELS", "Host", "HostRefusedError", "introduce", "start_host"]

_PROGRAM = """\
import sys
sys.path.append(sys.argv[1])
sys.dont_write_bytecode = True
from simcluster.emulated.machine.init import main
main(int(sys.argv[2]))
"""

_STANDING = "TtDZX"
"""States of processes that stand still, or will before they run again, or have ended."""

_FULL = ("mount", "uts", "pid")
_USER = ("user",)

LEVELS: tuple[tuple[str, ...], ...]
"""The kinds of namespaces to try, the best first; the last always works."""

if not is_linux():
    LEVELS = ((),)
elif os.geteuid() == 0:
    LEVELS = (_FULL, (*_FULL, *_USER), ("mount", "uts"), ("mount", "uts", *_USER), ())
else:
    LEVELS = ((*_FULL, *_USER), ("mount", "uts", *_USER), ())


class HostRefusedError(ClusterStartError):
    """The kernel does not let a machine have these namespaces."""


class Host:
    """A machine that runs. Its `start` and `signal` don't wait; what comes of them is told to `listener`.

    The listener gets the machine's messages: `started`, `failed`, `ended` and `over_memory`, each with a `key`; and
    `lost` when the machine goes. `when_lost` is called when that was nobody's wish here.
    """

    def __init__(self, name: str, pid: int, connection: socket.socket, kinds: Sequence[str]) -> None:
        self.name = name
        self.kinds = tuple(kinds)
        self.pid = pid
        self.gone = asyncio.Event()
        self.when_lost: Callable[[], None] = lambda: None
        self._listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._socket = connection
        self._received = bytearray()
        self._unsaid: deque[tuple[memoryview, list[int]]] = deque()
        self._lent: dict[str, list[int]] = {}
        self._leaders: dict[str, int] = {}
        self._sessions = Sessions()
        self._cleaning: asyncio.Task[None] | None = None
        self._is_cut = False
        self._is_stopped = False
        self._is_killed = False
        asyncio.get_running_loop().add_reader(connection, self._receive)

    def start(
        self, what: Mapping[str, Any], listener: Callable[[dict[str, Any]], None], descriptors: Sequence[int] = ()
    ) -> None:
        """Start a process, described as `machine.processes.Start`. The descriptors may be closed afterwards.

        On a machine that is gone, or is being killed, what is started now is lost like all the rest.
        """
        if self._is_killed or self.gone.is_set():
            listener({"event": "lost", "key": what["key"]})
            return
        self._listeners[what["key"]] = listener
        self._say(what["key"], {"op": "start", "descriptors": len(descriptors), **what}, descriptors)

    def signal(self, key: str, number: int, *, everything: bool) -> None:
        """Send a signal to what was started under that key, or also to all that descends from it."""
        self._say(key, {"op": "signal", "key": key, "number": number, "everything": everything})

    def append(self, path: str, text: str) -> None:
        """Write at the end of a file, if it can be opened."""
        self._say("", {"op": "append", "path": path, "text": text})

    def cover(
        self, key: str, paths: Mapping[str, str], layers: Sequence[str], descriptors: Sequence[int]
    ) -> asyncio.Future[dict[str, Any]]:
        """Have directories covered by these layers, the lowest first: `ended` or `failed` comes of it.

        "served" is what the server at the other end of the descriptor makes of a directory, which it knows by its name
        in `paths`; "read_only" is read-only.
        """
        heard: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self.gone.is_set():
            heard.set_result({"event": "lost", "key": key})
            return heard
        self._listeners[key] = heard.set_result
        message = {"op": "cover", "key": key, "machine": self.name, "paths": dict(paths), "layers": list(layers)}
        self._say(key, {**message, "descriptors": len(descriptors)}, descriptors)
        return heard

    def cut(self) -> None:
        """Cut it off: nothing is said to it, and nothing heard of it, until `join`. Its processes go on."""
        if not self._is_cut and not self.gone.is_set():
            self._is_cut = True
            asyncio.get_running_loop().remove_reader(self._socket)
            asyncio.get_running_loop().remove_writer(self._socket)

    def join(self) -> None:
        """Say and hear what has waited since `cut`."""
        if self._is_cut and not self.gone.is_set():
            self._is_cut = False
            asyncio.get_running_loop().add_reader(self._socket, self._receive)
            self._write()

    def stop(self) -> None:
        """Stop every process on it, until `go_on`."""
        self._is_stopped = True
        # From the top, so that nobody is left who could make new ones.
        kill_descendants([self.pid], signal.SIGSTOP)
        while stirring := [pid for pid, state in states(descendants([self.pid])).items() if state not in _STANDING]:
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
        self._lose_everything()
        self.join()
        self.go_on()
        if not self.gone.is_set():
            if "pid" in self.kinds:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            else:
                self._say("", {"op": "die"})
        await self.gone.wait()
        await asyncio.get_running_loop().run_in_executor(None, _wait_for, self.pid)

    def _say(self, key: str, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        if self.gone.is_set():
            return
        # Open until it is heard of them: macOS may lose one that is closed while it is under way (openradar 9477351).
        lent = [os.dup(descriptor) for descriptor in descriptors]
        if lent:
            self._lent[key] = lent
        self._unsaid.append((_framed(message), lent))
        if len(self._unsaid) == 1 and not self._is_cut:
            self._write()

    def _write(self) -> None:
        """Say as much as goes without waiting: the machine may be waiting to be heard itself."""
        loop = asyncio.get_running_loop()
        while self._unsaid:
            data, descriptors = self._unsaid[0]
            try:
                sent = self._socket.sendmsg([data], _rights(descriptors))
            except BlockingIOError:
                loop.add_writer(self._socket, self._write)
                return
            except ConnectionError:  # it is gone, which is heard of by reading
                self._unsaid.clear()
                break
            if sent < len(data):
                self._unsaid[0] = (data[sent:], [])
            else:
                self._unsaid.popleft()
        loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
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
        for descriptor in self._lent.pop(key, ()):
            os.close(descriptor)
        if message["event"] == "started":
            self._leaders[key] = message["pid"]
            if not is_linux():
                self._sessions.add(message["pid"], key)
        is_over = message["event"] in {"ended", "failed"}
        if is_over:
            self._leaders.pop(key, None)
        if listener := self._listeners.pop(key, None) if is_over else self._listeners.get(key):
            listener(message)

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        self._socket.close()
        self._unsaid.clear()
        for descriptors in self._lent.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._lent.clear()
        self.gone.set()
        if not self._is_killed:  # somebody else has ended it
            self._lose_everything()
            self._cleaning = asyncio.create_task(self._clean_up())
            self.when_lost()

    def _lose_everything(self) -> None:
        listeners, self._listeners = self._listeners, {}
        for key, listener in listeners.items():
            listener({"event": "lost", "key": key})

    async def _clean_up(self) -> None:
        """End what ran on the machine, as its first process does, or the kernel with that."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, _wait_for, self.pid)
        if "pid" not in self.kinds:
            await loop.run_in_executor(None, self._end_orphans)

    def _end_orphans(self) -> None:
        while kill_descendants(orphans := self._orphans()):
            for pid in orphans:
                _wait_for(pid)
            time.sleep(0.001)

    def _orphans(self) -> list[int]:
        if is_linux():  # they have become children of this process, which starts nothing itself that has a mark
            return [pid for pid in children(os.getpid()) if key_of(pid) is not None]
        return list(self._sessions.members(self._leaders.values()))


async def start_host(name: str, plan: Mapping[str, Any], kinds: Sequence[str]) -> Host:
    """Start a machine with namespaces of these kinds; raises HostRefusedError if that is not allowed."""
    process, ours = _start_process()
    pid = process.pid
    message = await introduce(ours, {"kinds": list(kinds), "plan": dict(plan)})
    if message["event"] == "forked":
        await asyncio.get_running_loop().run_in_executor(None, process.wait)
        pid = message["pid"]
        message = await _next(ours)
    if message["event"] != "ready":
        ours.close()
        await asyncio.get_running_loop().run_in_executor(None, _wait_for, pid)
        raise HostRefusedError(f"{name}: {message.get('reason', 'ended at once')}")
    process.returncode = 0  # from now on `Host` waits for it
    return Host(name, pid, ours, kinds)


async def introduce(connection: socket.socket, described: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a process what machine it shall be; its first answer."""
    connection.sendall(_framed(described))
    return await _next(connection)


def _start_process() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    directory = str(Path(__file__).parents[2])
    with theirs:
        process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-ISE", "-c", _PROGRAM, directory, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in (PORTABLE,) if name in os.environ},
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


def _framed(message: Mapping[str, Any]) -> memoryview:
    body = json.dumps(message).encode()
    return memoryview(struct.pack("!I", len(body)) + body)


def _rights(descriptors: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []


def _wait_for(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
