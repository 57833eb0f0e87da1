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

from simcluster.processes import is_linux, start_time

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


def _boot() -> str:
    if is_linux():
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink()) if is_linux() else ""
