"""A job: what was asked for, and what became of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.emulated.conditions import Dependency
    from simcluster.emulated.need import Choice, Need

__all__ = ["ENDED", "Attempt", "Dialect", "Job", "Launch", "Line", "Request", "State", "Step", "StepRequest", "Target"]


class State(enum.Enum):
    """The states that every scheduler has under some name. A job that has to leave its nodes first is `completing`."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"


class Target(enum.Enum):
    """Which processes of a job a signal is for."""

    SCRIPT = enum.auto()
    STEPS = enum.auto()
    EVERYTHING = enum.auto()


ENDED = frozenset(State) - {State.PENDING, State.RUNNING, State.SUSPENDED}


@dataclass(frozen=True)
class Launch:
    """How a job's batch script is started on its first node.

    `files` come into a directory of the job's own there, to be run or read, beside empty `directories`. `streams` are paths for descriptors 0, 1
    and 2. Of `memory_mb` nothing is enforced if it is 0. `program_words` are said on stderr, with the system's reason
    for {}, if the program can't be run. `deliveries` are files to be copied when all is over: from where, to where; with delays in seconds
    before it is tried again.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes]
    environment: Mapping[str, str]
    cwd: str
    streams: tuple[str, str, str]
    program: str | None = None
    memory_mb: int = 0
    umask: int = 0o022
    appends: bool = False
    program_words: str = ""
    directories: tuple[str, ...] = ()
    deliveries: tuple[tuple[str, str], ...] = ()
    delivery_delays: tuple[int, ...] = ()


class Dialect(Protocol):
    """What a job's process sees of its scheduler: names of variables, patterns in paths."""

    def job_id(self, job: Job) -> str:
        """The id that people know the job by; an element of an array has one of its own."""
        ...

    def launch(self, job: Job, directory: str) -> Launch:
        """How to start the job, whose node will have its files in that directory."""
        ...

    def environment(self, job: Job) -> dict[str, str]:
        """All of the variables of the job's process."""
        ...

    def path(self, pattern: str, job: Job) -> str:
        """An absolute path from a pattern such as `slurm-%j.out`."""
        ...

    def notice(self, job: Job, what: str, why: str) -> str:
        """The line in a job's error output that says why it is being ended."""
        ...


class Line(Protocol):
    """Where a job stands in the queue: with others that need the same."""

    array_id: int | None

    def block(self, job: Job, reason: str) -> None:
        """Say why `job`, the first, does not start."""
        ...

    def why(self, job: Job) -> str:
        """Why `job` waits."""
        ...


@dataclass(frozen=True)
class Request:
    """What somebody asked for, in the core's own terms. Shared by all elements of an array.

    `memory_mb` is for each node; `time_limit` is in seconds, None for the partition's; `begin` is Unix seconds.
    `array` are the element numbers, `array_limit` how many of them may run at once, 0 for no limit.
    `virtual_seconds` asks for a job that is simulated only: nothing is launched, and it ends by itself after that time.
    `warning` is a signal to be sent before the time limit: number, seconds before it, who gets it. `partition` may be several, with commas: the job starts in the first that has room for it.
    An overcommitted job has one CPU on each node, however many tasks it has. An interactive job has no script: whoever submitted it runs steps, and says when it has ended. `features` are alternatives, of which each is a set of features of a node. `options` is for the dialect: what its own commands show and the core does not care about.
    """

    name: str
    user: str
    script: bytes
    cwd: str
    dialect: Dialect
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    stdout: str | None = None
    stderr: str | None = None
    stdin: str = "/dev/null"
    open_mode: str = "truncate"
    time_limit: int | None = None
    tasks: int = 1
    cpus_per_task: int = 1
    tasks_per_node: int | None = None
    min_nodes: int = 1
    max_nodes: int | None = None
    memory_mb: int | None = None
    memory_per_cpu_mb: int | None = None
    gpus: int = 0
    is_exclusive: bool = False
    is_contiguous: bool = False
    is_overcommitted: bool = False
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    priority: int | None = None
    nice: int = 0
    features: tuple[tuple[str, ...], ...] = ()
    nodelist: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    array: tuple[int, ...] | None = None
    array_limit: int = 0
    dependency: Dependency | None = None
    is_killed_by_invalid_dependency: bool = False
    begin: float | None = None
    is_held: bool = False
    is_requeueable: bool = True
    warning: tuple[int, int, Target] | None = None
    comment: str | None = None
    virtual_seconds: float | None = None
    is_interactive: bool = False
    umask: int = 0o022
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run of a job that was put back into the queue afterwards."""

    state: State
    nodes: tuple[str, ...]
    cpus_by_node: tuple[int, ...]
    start: float | None
    end: float
    exit_code: int
    signal: int


@dataclass(frozen=True)
class StepRequest:
    """What somebody asked for. `memory_mb` is for each node, `gpus` too; None is all that the job has there.

    An exact step takes the CPUs that it asks for and not its nodes' whole share; an overlapping one takes none away;
    an overcommitted one has any number of tasks on them.
    """

    name: str
    tasks: int
    cpus_per_task: int = 1
    tasks_per_node: int | None = None
    min_nodes: int = 1
    max_nodes: int | None = None
    memory_mb: int | None = None
    memory_per_cpu_mb: int | None = None
    gpus: int | None = None
    nodelist: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    is_exact: bool = False
    is_overlapping: bool = False
    is_overcommitted: bool = False


@dataclass(eq=False)
class Step:
    """A step of a job. `places` are positions in `job.nodes`; all that is by node follows them."""

    number: int
    request: StepRequest
    nodes: tuple[str, ...]
    places: tuple[int, ...]
    tasks_by_node: tuple[int, ...]
    cpus_by_node: tuple[int, ...]
    memory_by_node: tuple[int, ...]
    gpus_by_node: tuple[tuple[int, ...], ...]
    started: float
    ended: float | None = None
    state: State = State.RUNNING
    exit_code: int = 0
    signal: int = 0
    cancelled_by: str | None = None

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def tasks(self) -> int:
        return sum(self.tasks_by_node)

    def layout(self) -> list[tuple[int, int]]:
        """For each task the node (a position in `nodes`) and its number there: node after node."""
        return [(node, local) for node, count in enumerate(self.tasks_by_node) for local in range(count)]


@dataclass(eq=False, slots=True)
class Job:
    """A job, or an element of an array. Times are Unix seconds.

    `id` is the number that the job has for itself. An element of an array that waits has its array's number, and gets
    one of its own when it leaves the array; the last one keeps the array's. `array_id` and `task_id` are None for
    a job that is no element. `cpus` and `memory_mb` are of all nodes together, `gpus` of each;
    `gpus_by_node` are which ones. `steps` are those of this run, the batch script apart. `state` is final while `is_completing`, as squeue's CG: processes are being ended.
    `choices` are the partitions that it may start in; `partition`, `need` and `limit` are those of the first of them, and
    of the one that it has started in. `waited_for` is why it waited before it started. Of elements that were
    cancelled while they waited together one `stands_for` all, and the others are `is_dropped`: Slurm shows them no more.
    `limit` is in seconds. `exit_code` and `signal` are how the batch script ended. `process` is its number on its
    node. While it `is_delivering`, the script is over (at `script_ended`) and its output is being brought to where it belongs;
    `is_delivered` says whether it got there. `held` is when it was held last. `slots` are for a dialect that counts jobs by node.
    """

    id: int
    request: Request
    submitted: float
    partition: str
    priority: int
    limit: int | None
    cpus: int
    memory_mb: int
    gpus: int = 0
    array_id: int | None = None
    task_id: int | None = None
    state: State = State.PENDING
    own_reason: str = "None"
    is_completing: bool = False
    is_held: bool = False
    is_held_by_admin: bool = False
    nodes: tuple[str, ...] = ()
    cpus_by_node: tuple[int, ...] = ()
    memory_by_node: tuple[int, ...] = ()
    gpus_by_node: tuple[tuple[int, ...], ...] = ()
    steps: tuple[Step, ...] = ()
    eligible: float | None = None
    begin: float | None = None
    started: float | None = None
    ended: float | None = None
    suspended: float | None = None
    held: float | None = None
    process: int | None = None
    script_ended: float | None = None
    slots: tuple[int, ...] = ()
    is_delivering: bool = False
    is_delivered: bool | None = None
    exit_code: int = 0
    signal: int = 0
    restarts: int = 0
    wants_requeue: bool = False
    cancelled_by: str | None = None
    attempts: tuple[Attempt, ...] = ()
    dependency: Dependency | None = None
    need: Need | None = None
    choices: tuple[Choice, ...] = ()
    waited_for: str = "None"
    stands_for: tuple[int, ...] = ()
    is_dropped: bool = False
    shape: Line | None = None
    ticket: int = 0

    @property
    def reason(self) -> str:
        """Why it waits, or why it ended as it did, in Slurm's words."""
        return self.own_reason if self.shape is None else self.shape.why(self)

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def user(self) -> str:
        return self.request.user

    @property
    def script(self) -> bytes:
        return self.request.script

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the script on its own command line."""
        return self.request.arguments

    @property
    def cwd(self) -> str:
        return self.request.cwd

    @property
    def environment(self) -> dict[str, str]:
        """All the variables of the job's process: the submitted ones as asked for, and the scheduler's own."""
        return self.request.dialect.environment(self)

    @property
    def stdout(self) -> str:
        return self.request.dialect.path(self.request.stdout or "", self)

    @property
    def stderr(self) -> str:
        """The same path as `stdout` where both go into one file."""
        return self.request.dialect.path(self.request.stderr or self.request.stdout or "", self)

    @property
    def stdin(self) -> str:
        return self.request.dialect.path(self.request.stdin, self)

    @property
    def open_mode(self) -> str:
        """`truncate` or `append`; a job that was put back into the queue appends."""
        return "append" if self.restarts else self.request.open_mode

    @property
    def account(self) -> str | None:
        return self.request.account

    @property
    def qos(self) -> str | None:
        return self.request.qos

    @property
    def comment(self) -> str | None:
        return self.request.comment

    @property
    def is_requeueable(self) -> bool:
        return self.request.is_requeueable

    @property
    def virtual_seconds(self) -> float | None:
        return self.request.virtual_seconds

    @property
    def has_ended(self) -> bool:
        """Nothing more happens to it: also its processes are gone."""
        return self.state in ENDED and not self.is_completing

    @property
    def full_id(self) -> str:
        """As the scheduler writes it: `17`, or `17_3` for an element of an array."""
        return self.request.dialect.job_id(self)
