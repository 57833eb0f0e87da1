"""What squeue can tell of a job, by its letters and its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.arrays import in_ranges
from simcluster.emulated.jobs import ENDED, Job, State
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.release import reason_of, release_of
from simcluster.emulated.slurm.surroundings import dependency_text, task_count, user_id
from simcluster.emulated.slurm.times import limit_text, stamp, time_used
from simcluster.emulated.slurm.words import compact_state, full_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcluster.emulated.core import Core

__all__ = [
    "Forecast",
    "Record",
    "account_of",
    "fields_of",
    "gathered",
    "memory_text",
    "node_count",
    "partition_text",
    "quality_of",
    "record_id",
    "run_time",
    "sharing",
    "tasks_text",
]


Forecast = Mapping[Job, tuple[float, tuple[str, ...]]]
"""What `Core.forecast` gives."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of squeue: a job, or the elements of an array that wait together, `tasks`, with the first of them."""

    job: Job
    tasks: tuple[int, ...] = ()
    limit: int = 0


def gathered(core: Core, jobs: list[Job], *, one_by_one: bool) -> list[Record]:
    """Records for the jobs; elements that wait together are one of them unless `one_by_one`."""
    records: list[Record] = []
    together: dict[int, list[Job]] = {}
    for job in jobs:
        if job.is_dropped:
            continue
        if job.stands_for and not one_by_one:
            records.append(Record(job, job.stands_for, job.request.array_limit))
            continue
        array = core.arrays.get(job.array_id) if job.array_id is not None else None
        if array is None or job.task_id not in array.together or one_by_one:
            records.append(Record(job))
            continue
        if array.id not in together:
            together[array.id] = []
            records.append(Record(job, (-1,)))
        together[array.id].append(job)
    return [_whole(core, record, together) for record in records]


def _whole(core: Core, record: Record, together: dict[int, list[Job]]) -> Record:
    if not record.tasks or record.job.array_id is None or record.job.stands_for:
        return record
    elements = together[record.job.array_id]
    array = core.arrays[record.job.array_id]
    if len(elements) < len(array.together):  # those that were named
        tasks = tuple(e.task_id or 0 for e in elements) if len(elements) > 1 else ()
        return Record(record.job, tasks)
    return Record(record.job, tuple(e.task_id or 0 for e in elements), array.limit)


def tasks_text(record: Record) -> str:
    """`1-3%2`: the elements that a record stands for."""
    if record.job.array_id is None:
        return "N/A"
    if not record.tasks:
        return str(record.job.task_id)
    return in_ranges(record.tasks) + (f"%{record.limit}" if record.limit else "")


def record_id(record: Record) -> str:
    """`17`, `17_3` or `17_[1-3%2]`."""
    if not record.tasks:
        return record.job.full_id
    return f"{record.job.array_id}_[{tasks_text(record)}]"


def partition_text(job: Job) -> str:
    """The partition, or while the job waits all that it may start in."""
    return ",".join(choice.partition for choice in job.choices) if job.state is State.PENDING else job.partition


def account_of(core: Core, job: Job) -> str:
    """Where accounts are not enforced, one that there is not is taken for the user's own; without a database for one."""
    if not core.accounting:
        return job.account or "(null)"
    known = core.settings.accounts
    return job.account if job.account in known else known[0]


def quality_of(core: Core, job: Job) -> str:
    """Where they are not enforced, a quality of service that there is not is none."""
    if not core.accounting:
        return "(null)"
    if job.qos is None:
        return core.settings.qualities[0]
    return job.qos if job.qos in core.settings.qualities else ""


def node_count(core: Core, job: Job) -> int:
    """Of a job that waits, the least that could hold it."""
    if job.nodes:
        return len(job.nodes)
    largest = max(node.machine.cpus for node in core.nodes.all)
    return max(job.need.min_nodes if job.need else 1, -(-job.cpus // largest))


def memory_text(megabytes: int) -> str:
    """`500M`, `4G`."""
    return f"{megabytes // 1024}G" if megabytes and megabytes % 1024 == 0 else f"{megabytes}M"


def run_time(job: Job, now: float) -> float:
    """Seconds that it has run."""
    if job.started is None or job.state is State.PENDING:
        return 0
    end = job.ended if job.state in ENDED else job.suspended
    return max(0.0, (now if end is None else end) - job.started)


def _nodes_or_reason(core: Core, job: Job) -> str:
    is_failed = job.state in {State.FAILED, State.TIMEOUT, State.OUT_OF_MEMORY, State.NODE_FAIL}
    if job.state is State.PENDING or (is_failed and not job.is_completing):
        return f"({reason_of(core, job)})"
    return compress(job.nodes)


def _limit(core: Core, job: Job) -> str:
    """A negative `--time` is a very large one, which newer releases don't show."""
    if (job.limit or 0) > _LARGEST_LIMIT and not release_of(core).shows_negative_limits:
        return "INVALID"
    return limit_text(job.limit)


_LARGEST_LIMIT = 60 << 31


def _minimum_memory(job: Job, *, converts: bool) -> str:
    """`500M`, `2G`, and with a fraction, as squeue alone has it: `1.50G`."""
    of_cpu = job.need.memory_per_cpu_mb if job.need else 0
    megabytes = of_cpu if job.request.memory_mb is None else job.request.memory_mb
    if not megabytes:
        return "0"
    if not converts or megabytes < 1024:
        return f"{megabytes}M"
    number, unit = (megabytes / 1024, "G") if megabytes < 1 << 20 else (megabytes / (1 << 20), "T")
    return f"{number:.0f}{unit}" if number.is_integer() else f"{number:.2f}{unit}"


def _started(job: Job, expected: Forecast) -> float | None:
    if job.state is State.PENDING:
        if job.reason == "BeginTime":
            return job.begin
        return expected[job][0] if job in expected else None
    return job.ended if job.started is None else job.started


def _end(job: Job, expected: Forecast) -> float | None:
    if job.ended is not None:
        return job.ended
    start = _started(job, expected)
    return start + job.limit if start is not None and job.limit is not None else None


def sharing(job: Job) -> str:
    """OverSubscribe: whether others may be on the job's nodes."""
    given = job.request.options
    if "exclusive" in given:
        return "USER" if given["exclusive"] == "user" else "NO"
    return "YES" if "oversubscribe" in given else "OK"


def fields_of(
    core: Core, time_format: str, expected: Forecast, *, converts: bool = True
) -> list[tuple[str, str, str, Callable[[Record], str]]]:
    """Each as letter, name for `-O` (small letters), title, value. `expected` are starts of jobs that wait.

    `converts`: large sizes are in large units.
    """
    now = core.clock.time()

    def moment(value: float | None) -> str:
        return stamp(value, "N/A", time_format)

    def of(value: Callable[[Job], str]) -> Callable[[Record], str]:
        return lambda record: value(record.job)

    settings = core.settings
    return [
        ("i", "jobarrayid", "JOBID", record_id),
        ("A", "jobid", "JOBID", of(lambda j: str(j.id))),
        ("F", "arrayjobid", "ARRAY_JOB_ID", of(lambda j: str(j.array_id or j.id))),
        ("K", "arraytaskid", "ARRAY_TASK_ID", tasks_text),
        ("P", "partition", "PARTITION", of(partition_text)),
        ("j", "name", "NAME", of(lambda j: j.name)),
        ("u", "username", "USER", of(lambda j: j.user)),
        ("U", "userid", "UID", of(lambda j: str(user_id(core, j.user)))),
        ("g", "groupname", "GROUP", of(lambda j: j.user)),
        ("G", "groupid", "GROUP", of(lambda j: str(user_id(core, j.user)))),
        ("t", "statecompact", "ST", of(compact_state)),
        ("T", "state", "STATE", of(full_state)),
        ("M", "timeused", "TIME", of(lambda j: time_used(run_time(j, now)))),
        ("l", "timelimit", "TIME_LIMIT", of(lambda j: _limit(core, j))),
        (
            "L",
            "timeleft",
            "TIME_LEFT",
            of(lambda j: limit_text(None if j.limit is None else j.limit - int(run_time(j, now)))),
        ),
        ("D", "numnodes", "NODES", of(lambda j: str(node_count(core, j)))),
        ("R", "reasonlist", "NODELIST(REASON)", of(lambda j: _nodes_or_reason(core, j))),
        ("r", "reason", "REASON", of(lambda j: reason_of(core, j))),
        ("N", "nodelist", "NODELIST", of(lambda j: compress(j.nodes))),
        ("B", "batchhost", "EXEC_HOST", of(lambda j: j.nodes[0] if j.nodes else "n/a")),
        ("C", "numcpus", "CPUS", of(lambda j: str(j.cpus))),
        ("c", "mincpus", "MIN_CPUS", of(lambda j: str(j.request.cpus_per_task))),
        ("m", "minmemory", "MIN_MEMORY", of(lambda j: _minimum_memory(j, converts=converts))),
        ("b", "tres-per-node", "TRES_PER_NODE", of(lambda j: f"gres:gpu:{j.gpus}" if j.gpus else "N/A")),
        ("a", "account", "ACCOUNT", of(lambda j: account_of(core, j))),
        ("q", "qos", "QOS", of(lambda j: quality_of(core, j))),
        ("p", "priority", "PRIORITY", of(lambda j: f"{j.priority / ((1 << 32) - 1):.14f}")),
        ("Q", "prioritylong", "PRIORITY", of(lambda j: str(j.priority))),
        ("S", "starttime", "START_TIME", of(lambda j: moment(_started(j, expected)))),
        ("e", "endtime", "END_TIME", of(lambda j: moment(_end(j, expected)))),
        ("V", "submittime", "SUBMIT_TIME", of(lambda j: moment(j.submitted))),
        ("E", "dependency", "DEPENDENCY", of(lambda j: dependency_text(j) or "(null)")),
        ("k", "comment", "COMMENT", of(lambda j: j.comment or "(null)")),
        ("o", "command", "COMMAND", of(lambda j: j.request.options.get("command") or "(null)")),
        ("Z", "workdir", "WORK_DIR", of(lambda j: j.cwd)),
        ("f", "feature", "FEATURES", of(lambda j: j.request.options.get("constraint") or "(null)")),
        ("h", "oversubscribe", "OVER_SUBSCRIBE", of(sharing)),
        ("n", "reqnodes", "REQ_NODES", of(lambda j: compress(j.request.nodelist))),
        ("x", "excnodes", "EXC_NODES", of(lambda j: compress(j.request.exclude))),
        ("v", "reservation", "RESERVATION", lambda _: "(null)"),
        ("w", "wckey", "WCKEY", of(lambda j: j.request.options.get("wckey") or "(null)")),
        ("y", "nice", "NICE", of(lambda j: str(j.request.nice))),
        ("H", "sockets", "SOCKETS_PER_NODE", lambda _: "*"),
        ("I", "cores", "CORES_PER_SOCKET", lambda _: "*"),
        ("O", "contiguous", "CONTIGUOUS", of(lambda j: str(int(j.request.is_contiguous)))),
        ("s", "selectjobinfo", "", lambda _: ""),
        ("W", "licenses", "LICENSES", lambda _: "(null)"),
        ("J", "threads", "THREADS_PER_CORE", lambda _: "*"),
        ("X", "corespec", "CORE_SPEC", lambda _: "N/A"),
        ("Y", "schednodes", "SCHEDNODES", of(lambda j: compress(expected[j][1]) if j in expected else "(null)")),
        ("z", "sct", "S:C:T", lambda _: "*:*:*"),
        ("", "stdout", "STDOUT", of(lambda j: j.stdout)),
        ("", "stderr", "STDERR", of(lambda j: j.stderr)),
        ("", "stdin", "STDIN", of(lambda j: j.stdin)),
        ("", "numtasks", "TASKS", of(lambda j: str(task_count(j)))),
        ("", "restartcnt", "RESTART_COUNT", of(lambda j: str(j.restarts))),
        ("", "requeue", "REQUEUE", of(lambda j: str(int(j.is_requeueable)))),
        ("", "eligibletime", "ELIGIBLE_TIME", of(lambda j: moment(j.eligible))),
        ("", "exit_code", "EXIT_CODE", of(lambda j: str(j.exit_code))),
        ("", "cluster", "CLUSTER", lambda _: core.cluster_name),
        ("", "submithost", "ALLOC_NODES", lambda _: settings.controller),
    ]
