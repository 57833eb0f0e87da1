"""Keys, and the files by which people and programs find their way to a cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from platformdirs import user_state_path
from platformdirs.unix import Unix

from simcluster.cluster import SSHEndpoint

if TYPE_CHECKING:
    from simcluster.spec import ClusterSpec

__all__ = ["MARKER", "USERS", "AccessDirectory", "KeyPair", "clusters_directory", "state_directory"]

MARKER = "cluster.json"
"""The file by which a directory is known to be a cluster's own, before it is removed."""

USERS = ("alice", "bob")
"""The user, and the other user."""

_LOGIN = "127.0.0.1"


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key in OpenSSH's formats."""

    private: str
    public: str

    @classmethod
    def generate(cls) -> KeyPair:
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return cls(private.decode(), public.decode())


def state_directory() -> Path:
    """Where is written down which clusters there are: on macOS, too, by XDG's rules, for its own have a blank in the path,
    which no script of a virtual environment in a cluster's home could be started with.
    """
    return Unix("simcluster").user_state_path if os.name == "posix" else user_state_path("simcluster")


def clusters_directory() -> Path:
    """Where clusters that outlive their maker keep their files."""
    return state_directory() / "clusters"


@dataclass(frozen=True)
class AccessDirectory:
    """A private directory with a cluster's keys, known_hosts, ssh_config and profile."""

    path: Path

    @classmethod
    def create(cls, name: str, keep: bool) -> AccessDirectory:
        """A new directory: temporary, or in the user's state directory for a cluster that is kept."""
        if keep:
            path = clusters_directory() / name
            shutil.rmtree(path, ignore_errors=True)  # of a cluster that went without `simcluster down`
            path.mkdir(mode=0o700, parents=True)
        else:
            path = Path(tempfile.mkdtemp(prefix="simcluster-"))
        (path / MARKER).write_text("{}", encoding="utf-8")
        return cls(path)

    def add_users(self) -> dict[str, KeyPair]:
        """A new key for each user, written down."""
        return {user: self.add_user(user) for user in USERS}

    def add_user(self, user: str) -> KeyPair:
        """A new key for one user, written down."""
        key = KeyPair.generate()
        key_file = self._key_file(user)
        key_file.touch(mode=0o600)
        key_file.write_text(key.private, encoding="ascii")
        return key

    def endpoint(self, user: str, port: int) -> SSHEndpoint:
        return SSHEndpoint(_LOGIN, port, user, self._key_file(user), self.path / "known_hosts")

    def write(self, name: str, port: int, host_key: str, spec: ClusterSpec, *, user: str = USERS[0]) -> None:
        """Everything that depends on the port: known_hosts, ssh_config, profile.yaml and the marker."""
        (self.path / "known_hosts").write_text(f"[{_LOGIN}]:{port} {host_key}\n", encoding="ascii")
        endpoint = self.endpoint(user, port)
        (self.path / "ssh_config").write_text(_ssh_config(name, endpoint), encoding="utf-8")
        profile = {
            "cluster_type": spec.scheduler,
            "cluster_host": endpoint.host,
            "cluster_port": endpoint.port,
            "username": endpoint.username,
            "key_file": str(endpoint.key_file),
            "known_hosts_file": str(endpoint.known_hosts_file),
        }
        (self.path / "profile.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
        (self.path / MARKER).write_text(json.dumps({"name": name, "port": port}), encoding="utf-8")

    def _key_file(self, user: str) -> Path:
        # Docker's users keep their names; any other could be that of a file or directory here.
        return self.path / (user if user in USERS else f"key-{user}")


def _ssh_config(name: str, endpoint: SSHEndpoint) -> str:
    return f"""\
Host {name}
    HostName {endpoint.host}
    Port {endpoint.port}
    User {endpoint.username}
    IdentityFile {_quoted(endpoint.key_file)}
    IdentitiesOnly yes
    UserKnownHostsFile {_quoted(endpoint.known_hosts_file)}
    StrictHostKeyChecking yes
"""


def _quoted(path: Path) -> str:
    return f'"{path}"' if re.search(r"\s", str(path)) else str(path)
