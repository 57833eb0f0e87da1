"""Who a container, network or volume belongs to, and whether that process is still alive.

Everything that a cluster makes carries these labels, so whoever comes later can tell leftovers from what is in use.
A process is told from a later one of the same number by its start time, and from one elsewhere by the machine, its
boot and the PID namespace.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DIRECTORY", "NAME", "ROLE", "RUN", "SPEC", "Owner", "is_abandoned", "start_time"]

RUN = "simcluster.run"
NAME = "simcluster.name"
ROLE = "simcluster.role"
SPEC = "simcluster.spec"
DIRECTORY = "simcluster.directory"

_OWNER = "simcluster.owner."


@dataclass(frozen=True)
class Owner:
    """The process that a cluster must not outlive."""

    pid: int
    started: str
    host: str
    boot: str
    namespace: str

    @classmethod
    def this_process(cls) -> Owner:
        """The calling process."""
        return cls(
            pid=os.getpid(),
            started=start_time(os.getpid()) or "",
            host=platform.node(),
            boot=_boot(),
            namespace=_pid_namespace(),
        )

    def labels(self) -> dict[str, str]:
        """Labels that `from_labels` reads."""
        return {_OWNER + name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Owner | None:
        """The owner that the labels name; None for what belongs to nobody (`keep=True`)."""
        if _OWNER + "pid" not in labels:
            return None
        values = {name: labels.get(_OWNER + name, "") for name in ("started", "host", "boot", "namespace")}
        return cls(pid=int(labels[_OWNER + "pid"]), **values)


def start_time(pid: int) -> str | None:
    """When the process was started, in units of the system's own; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _start_time_by_ps(pid)
    # proc(5): the command's name, in parentheses, may hold spaces; the start time is the 20th field after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def is_abandoned(owner: Owner | None, here: Owner, start_time_of: Callable[[int], str | None] = start_time) -> bool:
    """Whether the owner is certainly dead, as seen from the process `here`.

    What belongs to nobody is never abandoned, nor is what belongs to a process that can't be seen from here: on
    another host of a shared engine, or in another container.
    """
    if owner is None or owner.host != here.host:
        return False
    if owner.boot != here.boot:
        return True
    if owner.namespace != here.namespace:
        return False
    return start_time_of(owner.pid) != owner.started


def _start_time_by_ps(pid: int) -> str | None:
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        done = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
        return done.stdout.strip()


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
