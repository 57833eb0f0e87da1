"""What the host, the scheduler core and the dialects say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from simcluster.emulated.jobs import Job, Request, State

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Call",
    "Clock",
    "Job",
    "Launcher",
    "Machine",
    "Notices",
    "Partition",
    "Reply",
    "Request",
    "Settings",
    "State",
]


class Clock(Protocol):
    """Unix seconds. Tests bring one that they move themselves."""

    def time(self) -> float: ...


@dataclass(frozen=True)
class Call:
    """A scheduler's command as somebody typed it. `host` is "login" or a node's name."""

    program: str
    arguments: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    stdin: bytes
    user: str
    host: str = "login"


@dataclass(frozen=True)
class Reply:
    """What the command prints and how it ends."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


@dataclass(frozen=True)
class Machine:
    """A compute node as the scheduler knows it. `gpus` are counted and no more."""

    name: str
    cpus: int
    memory_mb: int
    gpus: int = 0
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Partition:
    """A set of nodes with limits (a queue). `nodes=None` is all of them; times are seconds, None is no limit."""

    name: str
    nodes: tuple[str, ...] | None = None
    max_time: int | None = None
    default_time: int | None = None
    is_default: bool = False
    is_up: bool = True


@dataclass(frozen=True)
class Settings:
    """What a site sets, under the names and with the values of slurm.conf(5), 22.05; seconds and megabytes.

    `memory_per_cpu` None is each node's memory divided by its CPUs, the least of them.
    """

    min_job_age: int = 300
    kill_wait: int = 30
    max_array_size: int = 1001
    max_job_count: int = 1_000_000
    memory_per_cpu: int | None = None
    is_requeued_by_default: bool = True
    requeue_delay: int = 120
    backfill_depth: int = 500
    backfill_interval: float = 1
    enforces_partition_limits: bool = False
    enforces_accounts: bool = False
    accounts: tuple[str, ...] = ("test",)
    qualities: tuple[str, ...] = ("normal",)
    controller: str = "login"
    version: str = "22.05.8"
    user_ids: Mapping[str, int] = field(default_factory=dict)


class Launcher(Protocol):
    """What the core asks of the host that has the processes and the files.

    The core calls these from within its own methods, so none of them waits, and none calls back into the core at
    once: what there is to tell comes later, by `Core.ended` and its kin.
    """

    def launch(self, job: Job) -> None:
        """Start the batch script of this job (or array element) on `job.nodes[0]`; later call `Core.ended`.

        What can't be started (an output file in a directory that is not there) is told by `Core.launch_failed`.
        """
        ...

    def signal(self, job: Job, number: int, everything: bool) -> None:
        """Send a signal to the batch script's own process, or to everything: it and all that descends from it."""
        ...

    def read_script(self, path: str, cwd: str) -> bytes:
        """A file that a command line names, as its user reads it on the login host. Raises OSError."""
        ...


@runtime_checkable
class Notices(Protocol):
    """What a launcher may offer beside: to write into a job's error output in the name of its node."""

    def notice(self, job: Job, text: str) -> None:
        """Append a line (with its end) to the job's stderr, as slurmstepd does when a job is cancelled."""
        ...
