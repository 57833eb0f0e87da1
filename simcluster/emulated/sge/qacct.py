"""qacct: what became of jobs that have ended, and the sums of it."""

from __future__ import annotations

import fnmatch
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.words import long_time, no_number, parse_tasks

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["qacct"]

_TABLE = table("qacct", flags="help", valued="t", optional="j o u q", refused="ar A b d D e E f g h l m pe P slots")
_USAGE = """\
SGE 8.1.9
usage: qacct [options]
 [-help]                           display this message
 [-j [job_id|job_name|pattern]]    list all [matching] jobs
 [-o [owner]]                      list [matching] owner
 [-q [queue]]                      list [matching] queue
 [-t taskid[-taskid[:step]]]       list all [matching] tasks (requires -j option)
 [-u [owner]]                      list [matching] owner
"""
_NOTHING_YET = "/var/lib/gridengine/default/common/accounting: No such file or directory\n"
_SUMS = "     WALLCLOCK         UTIME         STIME           CPU             MEMORY                 IO                IOW\n"


def qacct(core: Core, call: Call) -> Reply:
    """Exit code 1 for an unknown job, and as long as no job has ended."""
    try:
        line = _TABLE.parse(call.arguments)
    except (UnknownOptionError, MissingValueError):
        return Reply(stderr=_USAGE, code=1)
    if line.has("help"):
        return Reply(_USAGE)
    ended = [job for job in core.jobs if job.has_ended and job.started is not None]
    ended.sort(key=lambda job: job.ended or 0)
    if not ended:
        return Reply("no jobs running since startup\n", _NOTHING_YET, 1)
    owner, queue = line.last("o") or line.last("u"), line.last("q")
    ended = [job for job in ended if owner in {"", job.user} and queue in {"", job.partition}]
    if not line.has("j"):
        return Reply(_sums(ended, line.has("o") or line.has("u"), line.has("q")))
    word = line.last("j")
    found = [job for job in ended if not word or str(job.id) == word or fnmatch.fnmatchcase(job.name, word)]
    if line.has("t"):
        try:
            tasks = parse_tasks(line.last("t"))
        except ValueError as error:
            return Reply(stderr=f"qacct: {no_number(error)}\n", code=1)
        found = [job for job in found if job.task_id in tasks]
        if not found:
            asked = word if word.isdecimal() else f'"{word}"'
            number = f"{tasks[0]}-{tasks[-1]}:1"
            return Reply(stderr=f"error: Job-array tasks {asked}.{number} not found\n", code=1)
    if not found:
        what = f"job id {word}" if word.isdecimal() else f"job name {word}"
        return Reply(stderr=f"error: {what} not found\n", code=1)
    return Reply("".join(record for job in found for record in _records(job)))


def _records(job: Job) -> list[str]:
    """Of each run: those after which it was put back into the queue, and the last."""
    again = [
        replace(job, state=one.state, nodes=one.nodes, started=one.start, ended=one.end, exit_code=one.exit_code,
                signal=one.signal)
        for one in job.attempts
    ]  # fmt: skip
    return [*(_record(run, "25  : rescheduling") for run in again), _record(job, _failed(job))]


def _record(job: Job, failed: str) -> str:
    seconds = int((job.ended or 0) - (job.started or 0))
    fields = [
        ("qname", job.partition),
        ("hostname", job.nodes[0]),
        ("group", job.user),
        ("owner", job.user),
        ("project", "NONE"),
        ("department", "defaultdepartment"),
        ("jobname", job.name),
        ("jobnumber", str(job.id)),
        ("taskid", "undefined" if job.task_id is None else str(job.task_id).ljust(20)),
        ("account", job.account or "sge"),
        ("priority", str(-job.request.nice)),
        ("qsub_time", long_time(job.submitted)),
        ("start_time", long_time(job.started)),
        ("end_time", long_time(job.ended)),
        ("granted_pe", (job.request.options.get("pe") or "NONE").split()[0]),
        ("slots", str(job.cpus)),
        ("failed", failed),
        ("exit_status", _exit_status(job)),
        ("ru_wallclock", f"{seconds}s"),
        *((name, "0.000s") for name in ("ru_utime", "ru_stime")),
        ("ru_maxrss", "0.000B"),
        *((name, "0.000B") for name in ("ru_ixrss", "ru_ismrss", "ru_idrss", "ru_isrss")),
        *((name, "0") for name in ("ru_minflt", "ru_majflt", "ru_nswap", "ru_inblock", "ru_oublock", "ru_msgsnd")),
        *((name, "0") for name in ("ru_msgrcv", "ru_nsignals", "ru_nvcsw", "ru_nivcsw")),
        ("cpu", "0.000s"),
        ("mem", "0.000Bs"),
        ("io", "0.000B"),
        ("iow", "0.000s"),
        ("maxvmem", _most_memory(job)),
        ("arid", "undefined"),
        ("ar_sub_time", "undefined"),
        ("category", _category(job)),
    ]
    return "=" * 62 + "\n" + "".join(f"{name:<12} {_padded(name, value)}\n" for name, value in fields)


def _most_memory(job: Job) -> str:
    """Nothing is measured; but what was killed for its memory had at least what it was allowed."""
    return f"{job.memory_mb:.3f}MB" if job.state is State.OUT_OF_MEMORY else "0.000B"


def _padded(name: str, value: str) -> str:
    unpadded = ("time", "failed", "exit_status", "taskid", "arid", "category")
    is_measured = value[:1].isdecimal() and value[-1:] in "sB"
    return value if any(word in name for word in unpadded) or is_measured else f"{value:<20}"


def _failed(job: Job) -> str:
    if job.state is State.TIMEOUT:
        return "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit"
    if job.signal or job.state in {State.CANCELLED, State.OUT_OF_MEMORY, State.NODE_FAIL}:
        return "100 : assumedly after job"
    return "0    "


def _exit_status(job: Job) -> str:
    number = job.signal
    if job.state in {State.TIMEOUT, State.CANCELLED, State.OUT_OF_MEMORY, State.NODE_FAIL}:
        number = int(signal.SIGKILL)
    if not number:
        return f"{job.exit_code:<20}"
    words = signal.strsignal(number) or ""
    return f"{128 + number:<20} ({words})"


def _category(job: Job) -> str:
    options = job.request.options
    parts = [f"-l {options['resources']}"] if options["resources"] else []
    parts += [f"-pe {options['pe']}"] if options.get("pe") else []
    parts += [f"-q {options['q']}"] if options.get("q") else []
    return " ".join(parts) or "NONE"


def _sums(jobs: list[Job], by_owner: bool, by_queue: bool) -> str:
    def seconds(some: list[Job]) -> int:
        return int(sum((job.ended or 0) - (job.started or 0) for job in some))

    zeros = f"{0:14.3f}{0:14.3f}{0:14.3f}{0:19.3f}{0:19.3f}{0:19.3f}\n"
    if not by_owner and not by_queue:
        return f"Total System Usage\n{_SUMS[1:]}{'=' * 112}\n{seconds(jobs):13}{zeros}"
    title, width = ("OWNER", 5) if by_owner else ("CLUSTER QUEUE", 13)
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.user if by_owner else job.partition, []).append(job)
    text = f"{title}{_SUMS}{'=' * (width + 113)}\n"
    for name, some in groups.items():
        text += f"{name:<{width}}{seconds(some):14}{zeros}"
    return text
