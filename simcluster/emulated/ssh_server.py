"""The SSH server of a login host: sessions, terminals, SFTP and port forwarding for one user with known keys."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simcluster.emulated.hosts import Host
    from simcluster.emulated.line import Line

__all__ = ["LoginHost", "listen", "show_host_key"]

_ADDRESS = "127.0.0.1"
_ACCEPTED_VARIABLES = ("LANG", "LC_")
"""What of the client's environment is taken over, as Debian's sshd_config has it."""

_LAST_WORDS = 0.5
"""Seconds that a terminal's output is waited for when its shell has ended and left processes behind."""


class LoginHost(Protocol):
    """What the server has to know of its host. `names` are the cluster's host names, all on this computer."""

    user: str
    names: frozenset[str]

    @property
    def machine(self) -> Host: ...

    @property
    def noise(self) -> str:
        """What each session's output begins with."""
        ...

    def new_key(self) -> str:
        """A key for another process."""
        ...

    def session(self, key: str, variables: Mapping[str, str], arguments: list[str], program: str) -> dict[str, Any]:
        """How a program is started for a login: as `machine.processes.Start`."""
        ...

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Whether this key may log in."""
        ...

    def sftp_command(self) -> list[str]:
        """The program that serves SFTP on stdin and stdout; the client's version is its last argument."""
        ...


async def listen(login: LoginHost, host_key: str, line: Line) -> asyncssh.SSHAcceptor:
    """Listen on loopback, at a port that the kernel chooses, at the end of a line that may be bad."""
    return await asyncssh.create_server(
        lambda: _Server(login),
        _ADDRESS,
        0,
        tunnel=cast("Any", line),
        server_host_keys=[asyncssh.import_private_key(host_key)],
        server_version="simcluster",
        encoding=None,
        gss_host=None,
        agent_forwarding=False,
        reuse_address=False,
    )


def show_host_key(acceptor: asyncssh.SSHAcceptor, host_key: str) -> None:
    """Show this key to connections that are made from now on."""
    acceptor.update(server_host_keys=[asyncssh.import_private_key(host_key)])


class _Server(asyncssh.SSHServer):
    """One connection: who may log in, and what may be asked for."""

    def __init__(self, login: LoginHost) -> None:
        self._login = login
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._login.user and self._login.accepts(key)

    def session_requested(self) -> _Session:
        assert self._connection is not None  # noqa: S101
        return _Session(self._login, self._connection)

    def connection_requested(self, dest_host: str, dest_port: int, _orig_host: str, _orig_port: int) -> Any:
        if dest_host not in self._login.names:
            return True
        assert self._connection is not None  # noqa: S101
        return self._connection.forward_connection(_ADDRESS, dest_port)

    def server_requested(self, listen_host: str, _listen_port: int) -> bool:
        return listen_host in {"", "localhost", _ADDRESS}


class _Session(asyncssh.SSHServerSession[bytes]):
    """One channel: a program with pipes, or a shell with a terminal."""

    def __init__(self, login: LoginHost, connection: asyncssh.SSHServerConnection) -> None:
        self._login = login
        self._connection = connection
        self._terminal: tuple[str, tuple[int, int, int, int]] | None = None
        self._command: str | None = None
        self._is_sftp = False
        self._key = login.new_key()
        self._master: int | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._early: list[bytes | None] = []
        self._outputs: list[asyncio.ReadTransport] = []
        self._open_outputs = 0
        self._ended: dict[str, Any] | None = None

    # What the client asks for.

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], _modes: Mapping[int, int]) -> bool:
        self._terminal = (term_type, term_size)
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._is_sftp = subsystem == "sftp"
        return self._is_sftp

    def session_started(self) -> None:
        # The connection's own task: what goes wrong in it closes the connection and is logged.
        self._connection.create_task(self._start())

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        if self._stdin is None:
            self._early.append(data)
        else:
            self._stdin.write(data)

    def eof_received(self) -> bool:
        if self._stdin is None:
            self._early.append(None)
        elif self._master is None:
            self._stdin.write_eof()
        return True  # the program's output still goes out

    def signal_received(self, signal: str) -> None:
        with contextlib.suppress(KeyError):
            self._signal(_SIGNALS[f"SIG{signal}"])

    def break_received(self, _msec: int) -> bool:
        self._signal(_SIGNALS["SIGINT"])
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._master is not None:
            _set_size(self._master, (width, height, pixwidth, pixheight))

    def pause_writing(self) -> None:
        for output in self._outputs:
            output.pause_reading()

    def resume_writing(self) -> None:
        for output in self._outputs:
            output.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        # The program reads the end of its input; a terminal's processes are sent SIGHUP by the kernel.
        for transport in (self._stdin, *self._outputs):
            if transport is not None:
                transport.close()

    # The program, and what is heard of it.

    async def _start(self) -> None:
        if self._terminal:
            mine, theirs = self._open_terminal(self._terminal[1])
        else:
            mine, theirs = _open_pipes()
        try:
            if self._is_sftp:
                self._start_sftp(theirs)
            else:
                self._login.machine.start(self._description(), self._heard, theirs)
        finally:
            for descriptor in set(theirs):
                os.close(descriptor)
        if self._login.noise and not self._is_sftp:
            self._channel.write(
                f"{self._login.noise}\r\n".encode() if self._terminal else f"{self._login.noise}\n".encode()
            )
        await self._connect(*mine)

    def _description(self) -> dict[str, Any]:
        shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
        name = Path(shell).name
        arguments = [f"-{name}"] if self._command is None else [name, "-c", self._command]
        return {
            **self._login.session(self._key, self._variables(), arguments, shell),
            "is_terminal": self._terminal is not None,
        }

    def _variables(self) -> dict[str, str]:
        host, port = self._connection.get_extra_info("peername")[:2]
        own_host, own_port = self._connection.get_extra_info("sockname")[:2]
        variables = {
            "SSH_CLIENT": f"{host} {port} {own_port}",
            "SSH_CONNECTION": f"{host} {port} {own_host} {own_port}",
        }
        if self._terminal:
            variables["TERM"] = self._terminal[0]
        asked = self._channel.get_environment()
        return variables | {name: value for name, value in asked.items() if name.startswith(_ACCEPTED_VARIABLES)}

    def _start_sftp(self, descriptors: list[int]) -> None:
        stdin, stdout, _ = descriptors
        process = subprocess.Popen(
            [*self._login.sftp_command(), self._connection.get_extra_info("client_version", "")],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
        )

        async def wait() -> None:
            code = await asyncio.get_running_loop().run_in_executor(None, process.wait)
            self._heard({"event": "ended", "code": max(code, 0), "signal": max(-code, 0)})

        self._connection.create_task(wait())

    def _open_terminal(self, size: tuple[int, int, int, int]) -> tuple[tuple[int, int, int | None], list[int]]:
        self._master, slave = os.openpty()
        _set_size(self._master, size)
        return (self._master, os.dup(self._master), None), [slave, slave, slave]

    async def _connect(self, stdin: int, stdout: int, stderr: int | None) -> None:
        loop = asyncio.get_running_loop()
        self._open_outputs = 1 if stderr is None else 2
        for descriptor, write in ((stdout, self._channel.write), (stderr, self._channel.write_stderr)):
            if descriptor is not None:
                protocol = _Output(write, self._output_closed)
                output, _ = await loop.connect_read_pipe(partial(_same, protocol), os.fdopen(descriptor, "rb", 0))
                self._outputs.append(output)
        writer, _ = await loop.connect_write_pipe(lambda: _Input(self._channel), os.fdopen(stdin, "wb", 0))
        self._stdin = writer
        for data in self._early:
            self.eof_received() if data is None else writer.write(data)
        self._early.clear()
        if self._channel.is_closing():
            self.connection_lost(None)

    def _heard(self, message: dict[str, Any]) -> None:
        if message["event"] == "failed":
            self._channel.write_stderr(f"{message['step']}: {os.strerror(message['number'])}\r\n".encode())
            message = {"code": 255, "signal": 0}
        elif message["event"] == "lost":
            with contextlib.suppress(BrokenPipeError):  # the client has gone before
                self._channel.write_stderr(b"the login host is down\r\n")
            message = {"code": 255, "signal": 0}
        elif message["event"] != "ended":
            return
        self._ended = message
        self._end_if_done()
        if self._master is not None:
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._end)

    def _output_closed(self) -> None:
        self._open_outputs -= 1
        self._end_if_done()

    def _end_if_done(self) -> None:
        """As sshd, wait for the output's end too: who holds it open after the program's end is still heard."""
        if self._ended and not self._open_outputs:
            self._end()

    def _end(self) -> None:
        if self._ended is None or self._channel.is_closing():
            return
        if number := self._ended["signal"]:
            self._channel.exit_with_signal(signal.Signals(number).name[3:])
        else:
            self._channel.exit(self._ended["code"])

    def _signal(self, number: int) -> None:
        self._login.machine.signal(self._key, number, everything=True)


class _Output(asyncio.Protocol):
    """A program's output, on its way to the client."""

    def __init__(self, write: Callable[[bytes], None], closed: Callable[[], None]) -> None:
        self._write = write
        self._closed = closed

    def data_received(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # the client has closed the channel
            self._write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._closed()


def _same(protocol: _Output) -> _Output:
    return protocol


class _Input(asyncio.BaseProtocol):
    """A program's input; while it does not read, the client is not listened to."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = channel

    def pause_writing(self) -> None:
        self._channel.pause_reading()

    def resume_writing(self) -> None:
        # Not at once: the end of the input, coming now, would have asyncio drop what is written before it.
        asyncio.get_running_loop().call_soon(self._channel.resume_reading)


_SIGNALS: Mapping[str, int] = {member.name: int(member) for member in signal.Signals}


def _open_pipes() -> tuple[tuple[int, int, int | None], list[int]]:
    """Our ends of three pipes, and the program's."""
    ends = [os.pipe() for _ in range(3)]
    return (ends[0][1], ends[1][0], ends[2][0]), [ends[0][0], ends[1][1], ends[2][1]]


def _set_size(terminal: int, size: Iterable[int]) -> None:
    width, height, pixel_width, pixel_height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, pixel_width, pixel_height))
