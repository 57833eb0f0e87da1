"""The Slurm that is installed on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.emulated.furniture import SYSTEM_PATH
from simcluster.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Accounting", "Installation", "find_installation"]

_NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo")


@dataclass(frozen=True)
class Accounting:
    """Paths of what accounting takes."""

    slurmdbd: str
    database: str
    install_database: str


@dataclass(frozen=True)
class Installation:
    """Paths of programs, None for what is not installed. `full_version` is "22.05.8"."""

    full_version: str
    slurmctld: str
    slurmd: str
    munged: str | None
    accounting: Accounting | None

    @property
    def version(self) -> str:
        """The release: "22.05"."""
        return ".".join(self.full_version.split(".")[:2])


def find_installation(hidden: Iterable[str] = ()) -> Installation:
    """What is where a cluster's PATH leads; `hidden` paths count as not there."""
    if sys.platform != "linux":
        raise BackendUnavailableError('the native backend needs Linux; use backend="emulated", or "docker"')
    hidden = tuple(hidden)
    missing = [name for name in _NEEDED if _find(name, hidden) is None]
    if missing:
        raise BackendUnavailableError(
            f"the native backend runs this machine's own Slurm, of which {', '.join(missing)} is not there;"
            " install it (Debian and Ubuntu: apt-get install slurm-wlm; its services need not run),"
            ' or use backend="emulated"'
        )
    slurmctld = str(_find("slurmctld", hidden))
    said = subprocess.run([slurmctld, "-V"], capture_output=True, text=True, check=False)
    match = re.search(r"\d+\.\d+\.\d+\S*", said.stdout)
    if match is None:
        raise BackendUnavailableError(f"{slurmctld} -V says no version: {said.stdout}{said.stderr}")
    return Installation(
        full_version=match[0],
        slurmctld=slurmctld,
        slurmd=str(_find("slurmd", hidden)),
        munged=_find("munged", hidden),
        accounting=_find_accounting(hidden),
    )


def _find_accounting(hidden: tuple[str, ...]) -> Accounting | None:
    """Slurmdbd and MariaDB, where there is also a munge to tell slurmdbd who asks."""
    found = [_find(name, hidden) for name in ("slurmdbd", "mariadbd", "mariadb-install-db", "munged")]
    if None in found:
        return None
    return Accounting(*map(str, found[:3]))


def _find(name: str, hidden: tuple[str, ...]) -> str | None:
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None or any(Path(path).is_relative_to(other) for other in hidden):
        return None
    return path
