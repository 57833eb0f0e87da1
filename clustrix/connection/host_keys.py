"""Whether a host's key is the one that the user knows: reads and writes known_hosts files."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from clustrix.errors import HostKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import paramiko

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
        return list(self._known(name))

    def check(self, host: str, port: int, key: paramiko.PKey) -> None:
        """Return if ``key`` is the host's known key; write it down if the policy accepts new ones.

        Raises HostKeyError, with the fingerprint and the command that accepts the key, for any other.
        """
        name = host if port == 22 else f"[{host}]:{port}"
        if any(entry.key == key for entry in self._entries("@revoked") if _matches(entry, name)):
            raise HostKeyError(f"the key of {name} ({fingerprint(key)}) is marked as revoked in {self._listing()}")
        known = self._known(name)
        if known.get(key.get_name()) == key:
            return
        if known:
            raise HostKeyError(self._changed(name, key))
        if self.policy != "accept-new":
            raise HostKeyError(self._unknown(name, host, port, key))
        self.files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.files[0].open("a", encoding="utf-8") as stream:
            stream.write(f"{name} {key.get_name()} {key.get_base64()}\n")

    def _known(self, name: str) -> dict[str, paramiko.PKey]:
        keys = HostKeys()
        keys._entries = list(self._entries(""))  # type: ignore[attr-defined]  # noqa: SLF001 - load() gives up at the first marker
        found = keys.lookup(name)
        return {kind: found[kind] for kind in found} if found else {}

    def _entries(self, marker: str) -> Iterable[HostKeyEntry]:
        """The entries with this marker ("" for none) of all files; lines that paramiko can't read are nobody's key."""
        for path in self.files:
            if not path.is_file():
                continue
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                words = line.split()
                if not words or words[0].startswith("#"):
                    continue
                has_marker = words[0].startswith("@")
                if (words[0] if has_marker else "") != marker:
                    continue
                try:
                    entry = HostKeyEntry.from_line(" ".join(words[1:] if has_marker else words))
                except InvalidHostKey:
                    continue
                if entry is not None:
                    yield entry

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


def _matches(entry: HostKeyEntry, name: str) -> bool:
    keys = HostKeys()
    keys._entries = [entry]  # type: ignore[attr-defined]  # noqa: SLF001 - the public way to hashed names needs a file
    return keys.lookup(name) is not None


def _scan_type(key: paramiko.PKey) -> str:
    kind = key.get_name()
    return "ed25519" if "ed25519" in kind else "ecdsa" if "ecdsa" in kind else "rsa"
