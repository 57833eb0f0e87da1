"""What the host, the scheduler core and the dialects say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from simcluster.emulated.jobs import Job, Launch, Request, State, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "Call",
    "Caller",
    "Clock",
    "Job",
    "Launch",
    "Launcher",
    "Machine",
    "Notices",
    "Partition",
    "Reply",
    "Request",
    "Settings",
    "State",
    "Step",
    "Stream",
    "Task",
    "TaskEnd",
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
    umask: int = 0o022
    caller: Caller | None = None


class Caller(Protocol):
    """The program that somebody called, while it waits for its answer, for commands that have more to say to it.

    Who calls any of these is told of its signals, which then do nothing else there.
    """

    async def say(self, text: str) -> None:
        """Have it write something on its stderr now."""
        ...

    async def heard(self) -> int | None:
        """The next signal that it got; None when it is gone itself."""
        ...

    async def lend(self, tasks: int, streams: Sequence[Stream | None], *, labels: bool) -> None:
        """Have it lend descriptors to so many tasks: for `borrow`. `labels` puts the task's number before each line."""
        ...

    async def borrow(self) -> list[int]:
        """The next task's descriptors, for the borrower to close. Raises OSError if one of the files can't be opened,

        with the stream's name as its `filename`.
        """
        ...


@dataclass(frozen=True)
class Stream:
    """What a task reads or writes, on the caller's side: its own descriptor, or a file there."""

    path: str | None = None
    appends: bool = False
    task: int | None = None


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
    """A set of nodes with limits (a queue). `nodes=None` is all of them; times are seconds, None is no limit.

    One that is not up starts no jobs; one that accepts none takes no new ones. `max_cpus` is for one job.
    """

    name: str
    nodes: tuple[str, ...] | None = None
    max_time: int | None = None
    default_time: int | None = None
    is_default: bool = False
    is_up: bool = True
    accepts: bool = True
    max_cpus: int | None = None


@dataclass(frozen=True)
class Settings:
    """What a site sets, under the names and with the values of slurm.conf(5), 22.05; seconds and megabytes.

    `memory_per_cpu` None is each node's memory divided by its CPUs, the least of them. What slurm.conf has not:
    `end_signal` is what a running job gets first when it is ended; `holds_unlaunchable` says that one which can't be
    started waits, held, for its user; `first_number` is the first job's, `has_numbered_elements` that each element of an array gets a number of its own,
    and `takes_impossible` that what no set of nodes could run is queued all the same.
    """

    min_job_age: int = 300
    kill_wait: int = 30
    max_array_size: int = 1001
    max_job_count: int = 1_000_000
    memory_per_cpu: int | None = None
    is_requeued_by_default: bool = True
    requeue_delay: int = 120
    requeue_exits: tuple[int, ...] = ()
    hold_exits: tuple[int, ...] = ()
    holds_unlaunchable: bool = False
    end_signal: int = 15
    first_number: int = 1
    has_numbered_elements: bool = True
    takes_impossible: bool = False
    backfill_depth: int = 500
    backfill_interval: float = 1
    enforces_partition_limits: bool = False
    enforces_accounts: bool = False
    accounts: tuple[str, ...] = ("test",)
    qualities: tuple[str, ...] = ("normal",)
    controller: str = "login"
    version: str = "22.05.8"
    user_ids: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A process of a step: the number among all of its step's, and what it is to be.

    `files` are paths for its descriptors 0, 1 and 2; where one is None, a descriptor comes along. The words are
    said on its stderr, with the system's reason for {}: if its directory is not there, if its program is not.
    """

    number: int
    node: int
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    files: tuple[str | None, str | None, str | None]
    appends: bool
    umask: int
    cwd_words: str
    program_words: str


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended: by its exit code, a signal, for want of memory, or before it began (`error` is the system's)."""

    number: int
    exit_code: int = 0
    signal: int = 0
    is_out_of_memory: bool = False
    error: int | None = None


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
        """Send a signal to the batch script's own process, or to everything: all processes on all of its nodes."""
        ...

    def signal_step(self, job: Job, step: Step, number: int) -> None:
        """Send a signal to all processes of a step."""
        ...

    def start_task(
        self, job: Job, step: Step, task: Task, descriptors: Sequence[int], hear: Callable[[TaskEnd], None]
    ) -> None:
        """Start a task of a step, and close the descriptors. How it ends is told to `hear`, unless its node dies."""
        ...

    def login_environment(self) -> Mapping[str, str]:
        """The variables of a login, for jobs that don't get their submitter's."""
        ...

    def is_directory(self, path: str, cwd: str) -> bool:
        """Whether that is a directory on the login host."""
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
