"""SSH by paramiko: host keys verified, ~/.ssh/config honoured, one connection and one exec for everything."""

from __future__ import annotations

import contextlib
import logging
import queue
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from clustrix.connection.host_keys import KnownHosts, fingerprint
from clustrix.errors import AuthenticationError, ClusterConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clustrix.config import ClusterConfig

__all__ = ["SSHConnection", "Target", "resolve"]

# Without a handler of its own, what paramiko logs of a failed attempt would appear on the user's screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_SLICE = 1 << 18


@dataclass(frozen=True)
class Target:
    """Where to connect and how: the configuration, completed by ~/.ssh/config."""

    host: str
    port: int
    username: str
    key_files: tuple[Path, ...]
    known_hosts: KnownHosts
    use_agent: bool


def resolve(config: ClusterConfig) -> Target:
    """The target for ``config``. Fields that are set win over ~/.ssh/config; port 22 counts as not set."""
    alias = config.cluster_host or ""
    options = _ssh_options(alias)
    for name in ("proxyjump", "proxycommand"):
        if options.get(name, "none") != "none":
            raise ClusterConnectionError(
                f"{alias}: {name} in ~/.ssh/config is not supported by clustrix yet: name a host that is reached directly"
            )
    known = (
        [config.known_hosts_file]
        if config.known_hosts_file
        else options.get("userknownhostsfile", "~/.ssh/known_hosts").split()
    )
    known += options.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split()
    keys = [config.key_file] if config.key_file else options.get("identityfile", "").split("\n")
    return Target(
        host=options.get("hostname", alias),
        port=config.cluster_port if config.cluster_port != 22 else int(options.get("port", "22")),
        username=config.username or options.get("user") or _local_user(),
        key_files=tuple(Path(key).expanduser() for key in keys if key),
        known_hosts=KnownHosts(tuple(Path(path).expanduser() for path in known), config.host_key_policy),
        use_agent=not config.key_file and options.get("identitiesonly", "no") != "yes",
    )


class SSHConnection:
    """One transport to the login node; connects at the first ``start``."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self._transport: paramiko.Transport | None = None

    def start(self, command: str) -> _ChannelPipe:
        if self._transport is None or not self._transport.is_active():
            self._transport = self.connect_to(resolve(self._config))
        try:
            channel = self._transport.open_session(timeout=self._config.connect_timeout)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ClusterConnectionError(
                f"{self._config.cluster_host}: no command can be run there: {error}"
            ) from error
        return _ChannelPipe(channel)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connect_to(self, target: Target) -> paramiko.Transport:
        """An authenticated transport to ``target``, whose host key was checked."""
        timeout = self._config.connect_timeout
        where = f"{target.host} port {target.port}"
        connected = _tcp(target.host, target.port, timeout)
        # Without it each request waits for the acknowledgement of the one before: 45 ms instead of 2.5 ms.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(connected)
        try:
            transport.banner_timeout = transport.auth_timeout = timeout
            _prefer(transport, target)
            transport.start_client(timeout=timeout)
            target.known_hosts.check(target.host, target.port, transport.get_remote_server_key())
            with contextlib.closing(paramiko.Agent()) as agent:
                _authenticate(transport, target, list(agent.get_keys()), self._config.password, where)
        except (paramiko.SSHException, OSError, EOFError) as error:
            transport.close()
            if isinstance(error, ClusterConnectionError):
                raise
            raise ClusterConnectionError(
                f"{where} does not speak SSH as expected: {error or type(error).__name__}"
            ) from error
        transport.set_keepalive(30)
        return transport


class _ChannelPipe:
    """A paramiko channel as a pipe: buffered exact reads, writes in slices."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            block = self._channel.recv(1 << 20)
            if not block:
                break
            self._buffer += block
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken

    def write(self, data: Any) -> None:
        # paramiko copies what is left after each packet: one call with 200 MB takes minutes, slices half a second.
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            self._channel.sendall(bytes(view[start : start + _SLICE]))

    def complaint(self) -> str:
        text = b""
        while self._channel.recv_stderr_ready() and len(text) < 1 << 20:
            text += self._channel.recv_stderr(1 << 16)
        return text.decode(errors="replace").strip()[-4000:]

    def close(self) -> None:
        self._channel.close()


def _ssh_options(alias: str) -> dict[str, str]:
    """What ~/.ssh/config says of ``alias``: asked from ``ssh -G`` where there is an ssh, for paramiko ignores Include."""
    ssh = shutil.which("ssh")
    if ssh:
        answer = subprocess.run(
            [ssh, "-G", "--", alias], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            options: dict[str, str] = {}
            for name, _, value in (line.partition(" ") for line in answer.stdout.splitlines()):
                options[name] = f"{options[name]}\n{value}" if name in options else value
            return options
    path = Path("~/.ssh/config").expanduser()
    if not path.is_file():
        return {}
    found = paramiko.SSHConfig.from_path(str(path)).lookup(alias)
    return {name: "\n".join(value) if isinstance(value, list) else value for name, value in found.items()}


def _local_user() -> str:
    import getpass  # noqa: PLC0415 - pulls in pwd and termios

    return getpass.getuser()


def _tcp(host: str, port: int, timeout: float) -> socket.socket:
    """A connected socket within ``timeout`` seconds, the name's resolution included (which has no time limit itself)."""
    outcome: queue.SimpleQueue[socket.socket | OSError] = queue.SimpleQueue()

    def connect() -> None:
        try:
            outcome.put(socket.create_connection((host, port), timeout=timeout))
        except OSError as error:
            outcome.put(error)

    threading.Thread(target=connect, name="clustrix-connect", daemon=True).start()
    try:
        result = outcome.get(timeout=timeout)
    except queue.Empty:
        result = TimeoutError(f"no answer within connect_timeout={timeout:g} seconds")
    if isinstance(result, OSError):
        advice = (
            "check cluster_host"
            if isinstance(result, socket.gaierror)
            else "check cluster_host and cluster_port, and whether a VPN is needed"
        )
        raise ClusterConnectionError(f"can't connect to {host} port {port}: {result}; {advice}") from result
    result.settimeout(None)
    return result


def _prefer(transport: paramiko.Transport, target: Target) -> None:
    """Ask first for a key of a type that is known, else a host with several keys would look changed."""
    name = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    options = transport.get_security_options()
    known = list(target.known_hosts.key_types(name))
    if "ssh-rsa" in known:
        known += ["rsa-sha2-512", "rsa-sha2-256"]
    first = [kind for kind in options.key_types if kind in known]
    options.key_types = (*first, *(kind for kind in options.key_types if kind not in first))


def _authenticate(
    transport: paramiko.Transport, target: Target, held: list[paramiko.AgentKey], password: str | None, where: str
) -> None:
    """Try each key, then the password; AuthenticationError says what was tried and what came of it."""
    tried = []
    for label, key in _keys(target, held):
        if isinstance(key, str):
            tried.append(f"{label}: {key}")
            continue
        failure = _attempt(lambda key=key: transport.auth_publickey(target.username, key))  # type: ignore[misc]
        if failure is None:
            return
        tried.append(f"{label} ({fingerprint(key)}): {failure}")
    if password is not None:
        failure = _attempt(lambda: transport.auth_password(target.username, password))
        if failure is None:
            return
        tried.append(f"the password: {failure}")
    attempts = "".join(f"\n  - {line}" for line in tried) or " no key was found: set key_file, or start an SSH agent"
    raise AuthenticationError(f"{where} refused {target.username}; tried:{attempts}")


def _attempt(authenticate: Callable[[], Any]) -> str | None:
    """None when it succeeded, else why not."""
    try:
        remaining = authenticate()
    except paramiko.BadAuthenticationType as error:
        return f"the host accepts only {', '.join(error.allowed_types)}"
    except paramiko.AuthenticationException:
        return "refused"
    except (paramiko.SSHException, EOFError, OSError) as error:
        return f"the connection ended: {error or type(error).__name__}"
    return f"the host wants more: {', '.join(remaining)}" if remaining else None


def _keys(target: Target, held: list[paramiko.AgentKey]) -> Iterator[tuple[str, paramiko.PKey | str]]:
    """(what it is, the key or why it can't be used), the agent's first unless a key file was named."""
    if target.use_agent:
        yield from ((f"key {key.comment or key.get_name()} of the SSH agent", key) for key in held)
    for path in target.key_files:
        label = f"key file {path}"
        if not path.is_file():
            if len(target.key_files) == 1:
                yield label, "there is no such file"
            continue
        try:
            yield label, paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            # TypeError is what cryptography says of an encrypted key in OpenSSH's own format.
            agent_key = _held_by_agent(path, held)
            yield label, agent_key or f"it is encrypted and no SSH agent holds it: run 'ssh-add {path}' first"
        except (paramiko.SSHException, OSError, ValueError) as error:
            yield label, f"it can't be read: {error or type(error).__name__}"


def _held_by_agent(path: Path, held: list[paramiko.AgentKey]) -> paramiko.PKey | None:
    public = path.with_name(path.name + ".pub")
    words = public.read_text(encoding="utf-8").split() if public.is_file() else []
    return next((key for key in held if len(words) > 1 and key.get_base64() == words[1]), None)
