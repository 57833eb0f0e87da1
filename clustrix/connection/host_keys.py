"""Whether a host's key is the one that the user knows: reads and writes known_hosts files."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from clustrix.errors import HostKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["HostKey", "KnownHosts", "fingerprint"]


class HostKey(Protocol):
    """A public key, such as paramiko's."""

    def asbytes(self) -> bytes:
        """The key on the wire."""

    def get_name(self) -> str:
        """Its type, such as ``ssh-ed25519``."""


def fingerprint(key: HostKey) -> str:
    """The key's fingerprint as OpenSSH prints it: ``SHA256:`` and base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class KnownHosts:
    """The known_hosts files that count, the first of which is written to, and the policy for unknown hosts.

    ``is_hashing``: names are written down as hashes, as ssh's HashKnownHosts has it.
    """

    files: tuple[Path, ...]
    policy: str
    is_hashing: bool = False

    def key_types(self, name: str) -> list[str]:
        """The types of the keys that are known for ``name``, to be asked for first."""
        return [entry.kind for entry in self._entries() if not entry.marker and entry.is_for(name)]

    def has_authority_for(self, name: str) -> bool:
        """Whether the host may show a certificate instead of a known key."""
        return any(entry.marker == "@cert-authority" and entry.is_for(name) for entry in self._entries())

    def check(self, name: str, key: HostKey) -> None:
        """Return if ``key`` is the known key of ``name``; write it down if the policy accepts new ones.

        ``name`` is as in the files: the host, with a port other than 22 ``[host]:port``.
        Raises HostKeyError, with the fingerprint and the command that accepts the key, for any other.
        """
        known = [entry for entry in self._entries() if entry.is_for(name)]
        shown = f"{key.get_name()} {fingerprint(key)}"
        for entry in known:
            if entry.marker == "@revoked" and entry.blob == key.asbytes():
                raise self.revoked(name, shown, f"{entry.path}, line {entry.line}")
        plain = [entry for entry in known if not entry.marker]
        if any(entry.blob == key.asbytes() for entry in plain):
            return
        if plain:
            raise self.changed(name, shown, plain[0].path, plain[0].line)
        if self.policy != "accept-new":
            raise self.unknown(name, key.get_name(), shown)
        self._write_down(name, key)

    def changed(self, name: str, shown: str, path: Path | str, line: int) -> HostKeyError:
        """The error for a host whose key is not the one in ``line`` of ``path``; ``shown`` are type and fingerprint."""
        return HostKeyError(
            f"the key of {name} has changed: it now is {shown}, and {path}, line {line}, has another. "
            "Somebody may be listening in. If the host's administrators confirm the new fingerprint, forget the old key with\n"
            f"    ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(path))}\nand connect again"
        )

    def unknown(self, name: str, kind: str, shown: str) -> HostKeyError:
        """The error for a host whose key of type ``kind`` is not known; ``shown`` is what is known of it."""
        host, port = (
            (name[1:].split("]:", maxsplit=1)[0], name.rpartition(":")[2]) if name.startswith("[") else (name, "22")
        )
        keys = f"ssh-keyscan -p {port} -t {_scan_type(kind)} {shlex.quote(host)}"
        return HostKeyError(
            f"the key of {name} is not known: {shown} is in none of {self._listing()}. "
            f"Compare its fingerprint with the one that the host's administrators publish:\n    {keys} | ssh-keygen -lf -\n"
            f"and accept it with\n    {keys} >> {shlex.quote(str(self.files[0]))}\n"
            'or let clustrix write it down at the first connection: configure(host_key_policy="accept-new")'
            + (_CERTIFICATE if self.has_authority_for(name) else "")
        )

    def revoked(self, name: str, shown: str, place: str) -> HostKeyError:
        """The error for a key which ``place`` says that nobody may trust any more."""
        return HostKeyError(
            f"the key of {name} ({shown}) is marked as revoked in {place}: whoever has it may pretend to be the host. "
            "Ask its administrators which key is the host's now"
        )

    def _write_down(self, name: str, key: HostKey) -> None:
        with os.fdopen(self._open_to_write(), "ab+") as stream:
            # An editor may have left the last line without its end; two keys on one line would be none.
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
            line_break = "" if stream.read(1) in (b"", b"\n") else "\n"
            written = _hash_of(name, secrets.token_bytes(20)) if self.is_hashing else name
            blob = base64.b64encode(key.asbytes()).decode()
            stream.write(f"{line_break}{written} {key.get_name()} {blob}\n".encode())

    def prepare_to_write(self) -> None:
        """Make the file that new keys go to, where there will be some and it is not there."""
        if self.policy == "accept-new":
            os.close(self._open_to_write())

    def _open_to_write(self) -> int:
        self.files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Which hosts somebody logs in to is nobody else's business.
        return os.open(self.files[0], os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _entries(self) -> Iterator[_Entry]:
        """The entries of all files; what is none, OpenSSH would not read either."""
        for path in self.files:
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                yield from filter(None, (_parse(text, path, number) for number, text in enumerate(lines, 1)))

    def _listing(self) -> str:
        return ", ".join(str(path) for path in self.files)


_CERTIFICATE = (
    ". An authority in these files may have signed a certificate for the host: connection='openssh' looks at it"
)


class _Entry(NamedTuple):
    """One line of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

    marker: str
    patterns: list[str]
    kind: str
    blob: bytes
    path: Path
    line: int

    def is_for(self, name: str) -> bool:
        name = name.lower()
        if any(pattern.startswith("!") and fnmatch.fnmatchcase(name, _glob(pattern[1:])) for pattern in self.patterns):
            return False
        return any(_is_hash_of(pattern, name) or fnmatch.fnmatchcase(name, _glob(pattern)) for pattern in self.patterns)


def _parse(text: str, path: Path, line: int) -> _Entry | None:
    words = text.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        return _Entry(
            marker,
            words[0].lower().split(",") if "|" not in words[0] else [words[0]],
            words[1],
            base64.b64decode(words[2], validate=True),
            path,
            line,
        )
    except binascii.Error:
        return None


def _glob(pattern: str) -> str:
    """OpenSSH's patterns know ``*`` and ``?`` only; brackets there are a port's."""
    return pattern.replace("[", "[[]")


def _is_hash_of(pattern: str, name: str) -> bool:
    parts = pattern.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        return pattern == _hash_of(name, base64.b64decode(parts[2], validate=True))
    except binascii.Error:
        return False


def _hash_of(name: str, salt: bytes) -> str:
    """``|1|salt|HMAC-SHA1(salt, name)``, as HashKnownHosts writes a host's name."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _scan_type(kind: str) -> str:
    kind = kind.lower()
    return "ed25519" if "ed25519" in kind else "ecdsa" if "ecdsa" in kind else "rsa"
