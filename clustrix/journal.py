"""What was submitted, on the client's disk: one file per job, written before anything is sent.

It lies in the platform's state directory, 0600 in a directory of 0700, and holds the job's key: whoever has the entry
can check that a result is the job's own. An entry goes when its result was fetched.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from clustrix.errors import ClustrixError

__all__ = ["Entry", "Journal", "state_directory"]


@dataclass(frozen=True)
class Entry:
    """One submitted job. ``key`` is 32 bytes in hexadecimal; ``config`` holds no secrets: neither a password nor variables; ``created`` is Unix seconds; ``tasks`` is how many a map has, None for a single call."""

    job_id: str
    key: str
    package: str
    function: str
    config: dict[str, Any]
    created: float
    attempt: int = 0
    tasks: int | None = None


def state_directory() -> Path:
    """Where this user's journal is on this machine: the platform's state directory."""
    return Path(platformdirs.user_state_dir("clustrix", appauthor=False))


class Journal:
    """The journal of this user on this machine."""

    def __init__(self, directory: Path | None = None) -> None:
        self._root = directory or state_directory()
        self._client: str | None = None

    @property
    def client(self) -> str:
        """A random name for this machine's user; it names their marks on every cluster."""
        if self._client is None:
            path = self._directory() / "client_id"
            if not path.exists():
                _write_first(path, secrets.token_hex(8))
            self._client = path.read_text(encoding="ascii").strip()
        return self._client

    def write(self, entry: Entry) -> None:
        """Keep ``entry``, synced to disk."""
        _write(self._path(entry.job_id), json.dumps(asdict(entry)))

    def read(self, job_id: str) -> Entry:
        """The entry of a job that was submitted from here and not fetched yet."""
        try:
            return Entry(**json.loads(self._path(job_id).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ClustrixError(
                f"the journal in {self._root} knows no job {job_id}: it was fetched already, or submitted by another user or machine"
            ) from None

    def remove(self, job_id: str) -> None:
        """Drop a job whose result is here; one that is gone already is no error."""
        self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        if not (job_id.isascii() and job_id.isalnum()):
            raise ClustrixError(f"{job_id!r} is not a clustrix job id: it has the form cx and 12 letters or digits")
        directory = self._directory() / "jobs"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory / f"{job_id}.json"

    def _directory(self) -> Path:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._root


def _write(path: Path, text: str) -> None:
    """Aside (0600), synced, then renamed."""
    _aside(path, text).replace(path)


def _write_first(path: Path, text: str) -> None:
    """The same, but of several processes that write at once the first one wins."""
    aside = _aside(path, text)
    with contextlib.suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()


def _aside(path: Path, text: str) -> Path:
    handle, aside = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return Path(aside)
