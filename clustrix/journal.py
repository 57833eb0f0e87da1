"""What was submitted, on the client's disk: one file per job, written before anything is sent.

It lies in the platform's state directory, 0600 in a directory of 0700, and holds the job's key: whoever has the entry
can check that a result is the job's own. An entry goes when its result was fetched. Its first line is the job as it was
before it was sent, each further line says what became known later: an end that was cut off costs no more than itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import secrets
import stat
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from clustrix.errors import ClustrixError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "JobRecord", "Journal", "state_directory"]

_log = logging.getLogger("clustrix")


@dataclass(frozen=True)
class Entry:
    """One submitted job. ``key`` is 32 bytes in hexadecimal; ``config`` holds no secrets: neither a password nor variables; ``created`` is Unix seconds.

    ``retries`` is how often it may be begun again; ``tasks`` is how many a map has, None for a single call; ``scheduler_id`` is None until the submission was answered.
    """

    job_id: str
    key: str
    package: str
    function: str
    config: dict[str, Any]
    created: float
    retries: int = 0
    tasks: int | None = None
    scheduler_id: str | None = None


@dataclass(frozen=True)
class JobRecord:
    """A job whose result was not fetched yet, as the journal or the cluster knows it.

    ``created`` is Unix seconds. ``state`` is one of the words of ``future.status()``, COMPLETED as soon as there is a result of any
    kind; the journal alone does not know it: None. ``scheduler_id`` is None where no answer to the submission was heard.
    """

    job_id: str
    scheduler_id: str | None
    function: str
    host: str
    created: float
    state: str | None = None


def state_directory() -> Path:
    """Where this user's journal is on this machine: the platform's state directory."""
    return Path(platformdirs.user_state_dir("clustrix", appauthor=False))


class Journal:
    """The journal of this user on this machine."""

    def __init__(self, directory: Path | None = None) -> None:
        self._root = directory or state_directory()
        self._client: str | None = None

    def __str__(self) -> str:
        return f"the journal in {self._root}"

    @property
    def client(self) -> str:
        """A random name for this machine's user; it names their marks on every cluster."""
        if self._client is None:
            with self._told("read or written"):
                path = self._directory() / "client_id"
                if not _is_client_id(path):
                    _write_first(path, secrets.token_hex(8))
                if not _is_client_id(path):  # cut off by a crash: jobs of the old name are found by their own files
                    _write(path, secrets.token_hex(8))
                self._client = path.read_text(encoding="ascii").strip()
        return self._client

    def write(self, entry: Entry) -> None:
        """Keep ``entry``, synced to disk. Raises ClustrixError: nothing was sent yet, and nothing shall be."""
        path = self._path(entry.job_id)
        with self._told("written"):
            _write(path, json.dumps(asdict(entry)) + "\n")

    def note(self, job_id: str, **facts: Any) -> None:
        """Add what became known of a job. It may be lost: whoever writes it has the job itself already."""
        try:
            # Without O_CREAT: an entry whose result was fetched meanwhile shall not come back as a line without a job.
            handle = os.open(self._path(job_id), os.O_WRONLY | os.O_APPEND)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(facts) + "\n")
        except FileNotFoundError:
            return
        except (OSError, ClustrixError) as error:
            _log.info("%s can't keep %s of job %s: %s", self, ", ".join(facts), job_id, error)

    def find(self, name: str) -> Entry | None:
        """The entry of a job by its id or its scheduler's number; None if none is here.

        :raises ClustrixError: jobs on several clusters have that number, or the entry is damaged
        """
        if not name.isdecimal() and _is_job_id(name):
            with self._told("read"):
                return self._read(self._path(name))
        found = [entry for entry in self.entries() if entry.scheduler_id == name]
        if len(found) > 1:
            several = ", ".join(f"{entry.job_id} on {entry.config.get('cluster_host')}" for entry in found)
            raise ClustrixError(f"{name} is the scheduler's number of several jobs: {several}; attach to one by its id")
        return found[0] if found else None

    def entries(self) -> list[Entry]:
        """Every job that was not fetched yet, the oldest first; a damaged file is told and left where it is."""
        with self._told("read"):
            found = map(self._readable, (self._directory() / "jobs").glob("cx*.json"))
            return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.created)

    def remove(self, job_id: str) -> None:
        """Drop a job whose result is here; one that is gone already is no error."""
        self._path(job_id).unlink(missing_ok=True)

    def _readable(self, path: Path) -> Entry | None:
        try:
            return self._read(path)
        except ClustrixError as error:
            _log.warning("%s", error)
            return None

    def _read(self, path: Path) -> Entry | None:
        known = {field.name for field in dataclasses.fields(Entry)}
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            first = json.loads(lines[0])
            facts = [fact for fact in map(_parsed, lines[1:]) if fact is not None]
            merged = {name: value for part in (first, *facts) for name, value in part.items() if name in known}
            return Entry(**merged)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError) as error:
            raise ClustrixError(
                f"{path} is damaged and its job can't be attached to by it ({error}): executor.discover() lists what the cluster "
                "has, and clustrix.attach finds it there once this file is removed"
            ) from error

    def _path(self, job_id: str) -> Path:
        if not _is_job_id(job_id):
            raise ClustrixError(f"{job_id!r} is not a clustrix job id: it has the form cx and 12 letters or digits")
        with self._told("written"):
            directory = self._directory() / "jobs"
            directory.mkdir(mode=0o700, exist_ok=True)
            return directory / f"{job_id}.json"

    def _directory(self) -> Path:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_what_others_could_read(self._root)
        return self._root

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ClustrixError(
                f"{self} can't be {what} ({error.strerror or error}), and without it no job is sent: make room there, make it writable, or "
                "set XDG_STATE_HOME to another directory"
            ) from error


def _is_job_id(name: str) -> bool:
    return name.isascii() and name.isalnum()


def _is_client_id(path: Path) -> bool:
    try:
        return re.fullmatch("[0-9a-f]{16}", path.read_text(encoding="ascii").strip()) is not None
    except (FileNotFoundError, UnicodeError):
        return False


def _parsed(line: str) -> dict[str, Any] | None:
    """The facts of a line; None for one that was cut off."""
    with contextlib.suppress(ValueError):
        facts = json.loads(line)
        if isinstance(facts, dict):
            return facts
    return None


def _refuse_what_others_could_read(directory: Path) -> None:
    if sys.platform == "win32":
        return
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise ClustrixError(
            f"{directory} holds the keys of your jobs and has to be a directory of yours alone (it belongs to user {found.st_uid}, mode "
            f"{stat.S_IMODE(found.st_mode):o}): run 'chmod 700 {directory}' if its content is yours, or set XDG_STATE_HOME to another directory"
        )


def _write(path: Path, text: str) -> None:
    """Aside (0600), synced, then renamed; the name is synced too, where a directory can be."""
    _aside(path, text).replace(path)
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _write_first(path: Path, text: str) -> None:
    """The same, but of several processes that write at once the first one wins."""
    aside = _aside(path, text)
    with contextlib.suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()


def _aside(path: Path, text: str) -> Path:
    handle, aside = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return Path(aside)
