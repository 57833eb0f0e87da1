"""Commands over SSH, on one connection that is kept."""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from types import TracebackType

    from typing_extensions import Self

    from simcluster.cluster import SSHEndpoint

__all__ = ["ClusterOverSSH", "Shell", "wait_for_ssh"]

_SLICE = 1 << 15


def wait_for_ssh(host: str, port: int, deadline: float) -> bool:
    """Wait until an SSH server greets on the port, or `time.monotonic()` passes `deadline`.

    Docker's proxy accepts connections before there is a server behind it, so only the greeting counts.
    """
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


class Shell:
    """Runs commands at an endpoint. Threads may share it."""

    def __init__(self, endpoint: SSHEndpoint) -> None:
        self.endpoint = endpoint
        self._lock = threading.Lock()
        self._client: paramiko.SSHClient | None = None

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        timeout: float | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """As `Cluster.run`. After a timeout the command's channel is closed."""
        line = command if isinstance(command, str) else shlex.join(command)
        deadline = None if timeout is None else time.monotonic() + timeout
        channel = self._open_session()
        try:
            channel.exec_command(line)
            output = {"stdout": bytearray(), "stderr": bytearray()}
            workers = [
                threading.Thread(target=_receive, args=(channel.recv, output["stdout"]), daemon=True),
                threading.Thread(target=_receive, args=(channel.recv_stderr, output["stderr"]), daemon=True),
                threading.Thread(target=_send, args=(channel, (input or "").encode()), daemon=True),
            ]
            for worker in workers:
                worker.start()
            for worker in workers[:2]:
                worker.join(None if deadline is None else max(0, deadline - time.monotonic()))
            stdout, stderr = (output[name].decode(errors="replace") for name in ("stdout", "stderr"))
            if any(worker.is_alive() for worker in workers[:2]):
                raise subprocess.TimeoutExpired(command, timeout or 0, stdout.encode(), stderr.encode())
            done = subprocess.CompletedProcess(command, channel.recv_exit_status(), stdout, stderr)
        finally:
            channel.close()
        if check:
            done.check_returncode()
        return done

    def close(self) -> None:
        """End the connection; the next command opens another."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _open_session(self) -> paramiko.Channel:
        """A channel, over a new connection if the one at hand ends just then.

        An end-of-file of paramiko's may cross a server's close of the command before, which servers answer by hanging up.
        """
        transport = self._transport()
        try:
            return transport.open_session()
        except (paramiko.SSHException, EOFError):
            if transport.is_active():
                raise
            return self._transport().open_session()

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if transport is None or not transport.is_active():
                self._client = _connect(self.endpoint)
                transport = self._client.get_transport()
                assert transport is not None  # noqa: S101
            return transport


class ClusterOverSSH:
    """A cluster as far as it is its shell, and what removes it."""

    def __init__(self, shell: Shell, cleanup: ExitStack) -> None:
        self._shell = shell
        self._cleanup = cleanup

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        timeout: float | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command over SSH as the user; see `simcluster.cluster.Cluster.run`."""
        return self._shell.run(command, input=input, timeout=timeout, check=check)

    def close(self) -> None:
        """Remove the cluster, unless it was started with `keep=True`. Closing twice is harmless."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _connect(endpoint: SSHEndpoint) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    try:
        client.load_host_keys(str(endpoint.known_hosts_file))
    except FileNotFoundError as error:
        raise SimclusterError("this cluster has ended; start another") from error
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    connection = socket.create_connection((endpoint.host, endpoint.port), timeout=10)
    # Without it each small packet waits for the answer to the one before.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(
        endpoint.host,
        endpoint.port,
        endpoint.username,
        key_filename=str(endpoint.key_file),
        allow_agent=False,
        look_for_keys=False,
        sock=connection,
    )
    return client


def _receive(read: object, into: bytearray) -> None:
    assert callable(read)  # noqa: S101
    while data := read(_SLICE):
        into += data


def _send(channel: paramiko.Channel, data: bytes) -> None:
    try:
        for offset in range(0, len(data), _SLICE):
            channel.sendall(data[offset : offset + _SLICE])
        channel.shutdown_write()
    except (OSError, EOFError):
        # The connection has ended, or the command did not read all of its input: its exit code tells what it thought of
        # that.
        pass
