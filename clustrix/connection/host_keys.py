"""Whether a host's key is the one that the user knows: reads and writes known_hosts files."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import io
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import paramiko

from clustrix.errors import HostKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["KnownHosts", "fingerprint"]


def fingerprint(key: paramiko.PKey) -> str:
    """The key's fingerprint as OpenSSH prints it: ``SHA256:`` and base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class KnownHosts:
    """The known_hosts files that count, the first of which is written to, and the policy for unknown hosts."""

    files: tuple[Path, ...]
    policy: str

    def key_types(self, name: str) -> list[str]:
        """The types of the keys that are known for ``name``, to be asked for first."""
        return [entry.kind for entry in self._entries() if not entry.marker and entry.is_for(name)]

    def check(self, host: str, port: int, key: paramiko.PKey) -> None:
        """Return if ``key`` is the host's known key; write it down if the policy accepts new ones.

        Raises HostKeyError, with the fingerprint and the command that accepts the key, for any other.
        """
        name = host if port == 22 else f"[{host}]:{port}"
        known = [entry for entry in self._entries() if entry.is_for(name)]
        if any(entry.marker == "@revoked" and entry.blob == key.asbytes() for entry in known):
            raise HostKeyError(f"the key of {name} ({fingerprint(key)}) is marked as revoked in {self._listing()}")
        plain = [entry for entry in known if not entry.marker]
        if any(entry.blob == key.asbytes() for entry in plain):
            return
        if plain:
            raise HostKeyError(self._changed(name, key))
        if self.policy != "accept-new":
            raise HostKeyError(self._unknown(name, host, port, key))
        self.files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.files[0].open("ab+") as stream:
            # An editor may have left the last line without its end; two keys on one line would be none.
            stream.seek(max(0, stream.seek(0, io.SEEK_END) - 1))
            line_break = "" if stream.read(1) in (b"", b"\n") else "\n"
            stream.write(f"{line_break}{name} {key.get_name()} {key.get_base64()}\n".encode())

    def _entries(self) -> Iterator[_Entry]:
        """The entries of all files; what is none, OpenSSH would not read either."""
        for path in self.files:
            if path.is_file():
                yield from filter(None, map(_parse, path.read_text(encoding="utf-8", errors="replace").splitlines()))

    def _unknown(self, name: str, host: str, port: int, key: paramiko.PKey) -> str:
        scan = f"ssh-keyscan -p {port} -t {_scan_type(key)} {shlex.quote(host)} >> {shlex.quote(str(self.files[0]))}"
        return (
            f"the key of {name} is not known: {key.get_name()} {fingerprint(key)} is in none of {self._listing()}. "
            f"If the host's administrators publish this fingerprint, accept it with\n    {scan}\n"
            'or let clustrix write it down at the first connection: configure(host_key_policy="accept-new")'
        )

    def _changed(self, name: str, key: paramiko.PKey) -> str:
        where = next((path for path in self.files if path.is_file()), self.files[0])
        forget = f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(where))}"
        return (
            f"the key of {name} has changed: it now is {key.get_name()} {fingerprint(key)}, and {self._listing()} has another. "
            "Somebody may be listening in. If the host's administrators confirm the new fingerprint, forget the old key with\n"
            f"    {forget}\nand connect again"
        )

    def _listing(self) -> str:
        return ", ".join(str(path) for path in self.files)


class _Entry(NamedTuple):
    """One line of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

    marker: str
    patterns: list[str]
    kind: str
    blob: bytes

    def is_for(self, name: str) -> bool:
        name = name.lower()
        if any(pattern.startswith("!") and fnmatch.fnmatchcase(name, _glob(pattern[1:])) for pattern in self.patterns):
            return False
        return any(_is_hash_of(pattern, name) or fnmatch.fnmatchcase(name, _glob(pattern)) for pattern in self.patterns)


def _parse(line: str) -> _Entry | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        return _Entry(
            marker,
            words[0].lower().split(",") if "|" not in words[0] else [words[0]],
            words[1],
            base64.b64decode(words[2], validate=True),
        )
    except binascii.Error:
        return None


def _glob(pattern: str) -> str:
    """OpenSSH's patterns know ``*`` and ``?`` only; brackets there are a port's."""
    return pattern.replace("[", "[[]")


def _is_hash_of(pattern: str, name: str) -> bool:
    return pattern.startswith("|1|") and pattern == paramiko.HostKeys.hash_host(name, pattern)


def _scan_type(key: paramiko.PKey) -> str:
    kind = key.get_name()
    return "ed25519" if "ed25519" in kind else "ecdsa" if "ecdsa" in kind else "rsa"
