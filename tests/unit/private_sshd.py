"""OpenSSH servers of this user on the loopback: real ones, up in milliseconds, with keys and configuration of their own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import clustrix


def program(name: str) -> str:
    """The path of a program that these tests need: in CI it must be there."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"{name} is not installed: .ci/run says what has it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


def new_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    subprocess.run([program("ssh-keygen"), "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return path


def public(key: Path) -> str:
    """The type and the key, without the comment."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def certify(authority: Path, key: Path, principal: str, *, is_host: bool) -> Path:
    """Sign ``key``; the certificate lies beside it."""
    kind = ["-h"] if is_host else []
    words = ["ssh-keygen", "-q", "-s", authority, "-I", "test", *kind, "-n", principal, "-V", "+1h", f"{key}.pub"]
    subprocess.run(words, check=True)
    return Path(f"{key}-cert.pub")


@dataclass
class Sshd:
    """A server in ``directory``, with the user's key ``id`` there; ``lines`` are more of its configuration."""

    directory: Path
    lines: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in ("host_key", "id"):
            if not (self.directory / name).exists():
                new_key(self.directory / name)
        (self.directory / "authorized_keys").write_text(public(self.key) + "\n")

    @property
    def key(self) -> Path:
        return self.directory / "id"

    @property
    def host_key(self) -> Path:
        return self.directory / "host_key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def name(self) -> str:
        """As in known_hosts."""
        return f"[127.0.0.1]:{self.port}"

    def start(self) -> Sshd:
        self.port = self.port or _free_port()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        config = self.directory / "sshd_config"
        own = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"PidFile {self.directory}/pid",
            f"AuthorizedKeysFile {self.directory}/authorized_keys",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UseDNS no",
            "MaxStartups 100",
        ]
        # Of what is said twice the first counts.
        config.write_text("\n".join([*self.lines, *own]) + "\n")
        log = (self.directory / "log").open("ab")
        self.processes.append(
            subprocess.Popen([program("sshd"), "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
        )
        log.close()
        self.known_hosts.write_text(f"{self.name} {public(self.host_key)}\n")
        _wait_for(lambda: _answers(self.port), f"sshd: {(self.directory / 'log').read_text()}")
        return self

    def stop(self) -> None:
        """End the server and every login that it has."""
        for process in self.processes:
            for child in _descendants(process.pid):
                _kill(child)
            process.kill()
            process.wait()
        self.processes.clear()

    def config(self, **changes) -> clustrix.ClusterConfig:
        """How this server is reached."""
        values = {
            "cluster_host": "127.0.0.1",
            "cluster_port": self.port,
            "username": getpass.getuser(),
            "key_file": str(self.key),
            "known_hosts_file": str(self.known_hosts),
            "connect_timeout": 20,
            **changes,
        }
        return clustrix.ClusterConfig(**values)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            return line.recv(4) == b"SSH-"
    except OSError:
        return False


def _wait_for(condition, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


def _descendants(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return
