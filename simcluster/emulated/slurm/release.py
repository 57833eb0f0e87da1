"""What differs between the releases of Slurm that are emulated, in one table."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Settings
    from simcluster.emulated.jobs import Job

__all__ = ["VERSIONS", "Release", "reason_of", "release_of", "release_with"]

VERSIONS = {"22.05": "22.05.8", "24.11": "24.11.5"}
"""What Debian 12 and Debian 13 have."""


@dataclass(frozen=True)
class Release:
    """The difference. The fields of sacct are those that 22.05 has not, and those that only it has.

    `json_parser` names what writes JSON; one without wraps no numbers, and ignores every filter.
    """

    refuses_unknown_dependencies: bool
    refuses_no_nodes: bool
    names_signals: bool
    shows_negative_limits: bool
    shows_allocated_resources: bool
    has_power_fields: bool
    has_topology_limits: bool
    shares_are_normalized: bool
    sets_times_of_jobs: bool
    json_parser: str
    scontrol_has_json: bool
    new_fields: tuple[str, ...] = ()
    gone_fields: tuple[str, ...] = ()


_RELEASES = {
    "22.05": Release(
        refuses_unknown_dependencies=False,
        refuses_no_nodes=False,
        names_signals=False,
        shows_negative_limits=True,
        shows_allocated_resources=False,
        has_power_fields=True,
        has_topology_limits=False,
        shares_are_normalized=False,
        sets_times_of_jobs=False,
        json_parser="",
        scontrol_has_json=False,
    ),
    "24.11": Release(
        refuses_unknown_dependencies=True,
        refuses_no_nodes=True,
        names_signals=True,
        shows_negative_limits=False,
        shows_allocated_resources=True,
        has_power_fields=False,
        has_topology_limits=True,
        shares_are_normalized=True,
        sets_times_of_jobs=True,
        json_parser="data_parser/v0.0.42",
        scontrol_has_json=True,
        new_fields=(
            "Extra",
            "FailedNode",
            "Licenses",
            "Planned",
            "PlannedCPU",
            "PlannedCPURAW",
            "QOSREQ",
            "Restarts",
            "SLUID",
            "StdErr",
            "StdIn",
            "StdOut",
        ),
        gone_fields=("Reserved", "ResvCPU", "ResvCPURAW"),
    ),
}


def release_with(settings: Settings) -> Release:
    """That of a cluster with these settings."""
    return _RELEASES[settings.version[:5]]


def release_of(core: Core) -> Release:
    """The cluster's."""
    return release_with(core.settings)


def reason_of(core: Core, job: Job) -> str:
    """Why a job waits, or ended as it did. Newer releases name the signal that ended it."""
    if job.reason == "JobLaunchFailure" and job.signal and release_of(core).names_signals:
        return f"RaisedSignal:{job.signal}({_signal_name(job.signal)})"
    return job.reason


def _signal_name(number: int) -> str:
    """As strsignal(3) of glibc says, whatever system this is."""
    if number >= _FIRST_REAL_TIME:
        return f"Real-time signal {number - _FIRST_REAL_TIME}"
    names = {9: "Killed", 11: "Segmentation fault", 15: "Terminated"}
    return names.get(number) or signals.strsignal(number) or f"Unknown signal {number}"


_FIRST_REAL_TIME = 34
