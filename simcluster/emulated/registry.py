"""The emulated clusters of this user: a file for each says who keeps it, so leftovers of the dead are found."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.access import MARKER, AccessDirectory, state_directory
from simcluster.emulated.machine.processes import MARKER as PROCESS_MARKER
from simcluster.errors import SimclusterError, SpecError
from simcluster.ownership import Owner, is_abandoned
from simcluster.processes import is_linux
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    from simcluster.cluster import SSHEndpoint

__all__ = ["CONTROL", "LOG", "Record", "find_record", "list_records", "read_record", "reap", "record_path"]

CONTROL = "control"
"""The daemon's socket for its owner's requests, in the cluster's directory."""

LOG = "daemon.log"
"""What the daemon logs, in the cluster's directory."""

_GIVE_UP = 10.0


@dataclass(frozen=True)
class Record:
    """A cluster. `keeper` is the process whose end is the cluster's: its daemon, at first the one that starts it.

    `owner` is the process that it must not outlive, None for one that is kept. `created` is Unix seconds.
    """

    run: str
    name: str
    user: str
    spec: ClusterSpec
    owner: Owner | None
    keeper: Owner
    directory: Path
    created: int
    port: int | None = None
    isolation: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return record_path(self.run)

    @property
    def control(self) -> Path:
        """The daemon's socket for its owner's requests."""
        return self.directory / CONTROL

    def write(self) -> None:
        """Write it down, in one go."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = self.path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")
        aside.replace(self.path)

    def endpoint(self) -> SSHEndpoint:
        """The user on the login host."""
        if self.port is None:
            raise SimclusterError(f"{self.name} is still being started; try again")
        return AccessDirectory(self.directory).endpoint(self.user, self.port)


def record_path(run: str) -> Path:
    """Where the record of a run is."""
    return state_directory() / "emulated" / f"{run}.json"


def list_records() -> list[Record]:
    """Every cluster, the oldest first, but for those of another simcluster that this one can't read: they are its own to remove."""
    records = []
    for path in record_path("-").parent.glob("*.json"):
        with contextlib.suppress(
            FileNotFoundError, SpecError, TypeError, KeyError
        ):  # the first: it ended this very moment
            records.append(read_record(path))
    return sorted(records, key=lambda record: record.created)


def read_record(path: Path) -> Record:
    """The cluster whose record that file is. Raises FileNotFoundError when it has ended."""
    values = json.loads(path.read_text(encoding="utf-8"))
    values["spec"] = ClusterSpec.from_dict(values["spec"])
    values["owner"] = Owner(**values["owner"]) if values["owner"] else None
    values["keeper"] = Owner(**values["keeper"])
    values["directory"] = Path(values["directory"])
    values["isolation"] = tuple(values["isolation"])
    return Record(**values)


def find_record(name: str) -> Record | None:
    """The cluster of that name."""
    return next((record for record in list_records() if record.name == name), None)


def reap() -> set[str]:
    """Remove what dead daemons left behind: processes, directory, record; the runs that were removed."""
    here = Owner.this_process()
    abandoned = [record for record in list_records() if is_abandoned(record.keeper, here)]
    for record in abandoned:
        remove(record)
    return {record.run for record in abandoned}


def remove(record: Record) -> None:
    """Remove a cluster whose daemon is gone."""
    deadline = time.monotonic() + _GIVE_UP
    while pids := _processes(record.run):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise SimclusterError(f"processes {pids} of {record.name} don't end; look at them with ps")
        time.sleep(0.01)
    if (record.directory / MARKER).is_file():
        shutil.rmtree(record.directory, ignore_errors=True)
    record.path.unlink(missing_ok=True)


def _processes(run: str) -> list[int]:
    """The processes that carry the cluster's mark. Elsewhere than on Linux nobody tells: see `simcluster.processes`."""
    if not is_linux():
        return []
    mark = f"{PROCESS_MARKER}={run}:".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            data = environment.read_bytes()
            if data.startswith(mark) or b"\0" + mark in data:
                found.append(int(environment.parent.name))
    return found
