"""sacct: what accounting remembers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.identifiers import split_ids
from simcluster.emulated.slurm.job_fields import Record, gathered, memory_text, record_id, run_time
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.sacct_steps import derived_exit_code, exit_code, step_fields
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import long_limit_text, parse_time, stamp
from simcluster.emulated.slurm.words import parse_state

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.slurm.options import CommandLine

__all__ = ["sacct"]

_TABLE = table(
    "sacct",
    flags="allocations/X allusers/a brief/b duplicates/D noheader/n parsable/p parsable2/P noconvert verbose/v version/V truncate/T",
    valued="""accounts/A clusters/M delimiter endtime/E format/o jobs/j name nodelist/N partition/r qos/q starttime/S
    state/s user/u uid""",
    refused="""associations/x= batch-script/B completion/c constraints/C= env-vars federation file/f= flags/F= gid/g=
    group= helpformat/e help/h json local long/l nnodes/i= ncpus/I= timelimit-max/K= timelimit-min/k= units=
    use-local-uid wckeys/W= whole-hetjob= yaml""",
)
_DEFAULT = "jobid,jobname,partition,account,alloccpus,state,exitcode"


class _Error(Exception):
    """The text for stderr."""


def sacct(core: Core, call: Call) -> Reply:
    """Unknown ids are no error: there is just no line."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if not core.accounting:
            raise _Error("Slurm accounting storage is disabled\n")
        columns = _columns(line, call)
        jobs = _chosen(core, call, line)
    except (UsageError, _Error) as error:
        return Reply(stderr=str(error), code=1)
    rows = []
    for record in gathered(core, jobs, one_by_one=False):
        values = _fields(core, call, record)
        rows.append([values[name] for name, _, _ in columns])
        if record.job.started is not None and not line.has("allocations"):
            steps = step_fields(core, record.job, values, call.environment.get("SLURM_TIME_FORMAT", ""))
            rows += [[step[name] for name, _, _ in columns] for step in steps]
    return Reply(_table(columns, rows, line))


_WIDTHS = {"jobid": -12, "jobidraw": -12, "exitcode": 8, "derivedexitcode": 15, "start": 19, "end": 19, "submit": 19,
           "eligible": 19, "nodelist": 15, "user": 9, "reason": 22, "workdir": 20, "comment": 14, "submitline": 20,
           "nnodes": 8, "uid": 6, "elapsedraw": 10}  # fmt: skip
_TITLES = {
    name.lower(): name
    for name in [
        "JobID",
        "JobIDRaw",
        "JobName",
        "Partition",
        "Account",
        "AllocCPUS",
        "AllocNodes",
        "AllocTRES",
        "State",
        "ExitCode",
        "DerivedExitCode",
        "Elapsed",
        "ElapsedRaw",
        "NodeList",
        "MaxRSS",
        "TotalCPU",
        "Start",
        "End",
        "Submit",
        "Eligible",
        "ReqMem",
        "ReqCPUS",
        "ReqNodes",
        "NCPUS",
        "NNodes",
        "NTasks",
        "User",
        "UID",
        "Group",
        "Cluster",
        "QOS",
        "Priority",
        "Timelimit",
        "TimelimitRaw",
        "WorkDir",
        "Comment",
        "SubmitLine",
        "Reason",
        "CPUTime",
        "CPUTimeRAW",
        "ConsumedEnergy",
        "AveCPU",
        "Suspended",
        "ReqTRES",
    ]
}


def _columns(line: CommandLine, call: Call) -> list[tuple[str, int, str]]:
    """Each as small name, width (negative: to the left), title."""
    form = line.last("format") or (
        "jobid,state,exitcode" if line.has("brief") else call.environment.get("SACCT_FORMAT", _DEFAULT)
    )
    found = []
    for piece in filter(None, form.split(",")):
        name, _, width = piece.partition("%")
        key = name.strip().lower()
        if key not in _TITLES:
            raise _Error(f'sacct: error: Invalid field requested: "{name}"\n')
        usual = _WIDTHS.get(key, 10)
        found.append((key, int(width) if re.fullmatch(r"-?\d+", width) else usual, _TITLES[key]))
    return found


def _table(columns: list[tuple[str, int, str]], rows: list[list[str]], line: CommandLine) -> str:
    lines = []
    with_header = not line.has("noheader")
    if line.has("parsable", "parsable2"):
        delimiter = line.last("delimiter") or "|"
        end = delimiter if line.has("parsable") and not line.has("parsable2") else ""
        texts = [[title for _, _, title in columns]] * with_header + rows
        return "".join(delimiter.join(row) + end + "\n" for row in texts)
    if with_header:
        lines.append([_fit(title, width, cut="") for _, width, title in columns])
        lines.append(["-" * abs(width) for _, width, _ in columns])
    lines += [[_fit(text, width, cut="+") for text, (_, width, _) in zip(row, columns, strict=True)] for row in rows]
    return "".join(" ".join(row) + " \n" for row in lines)


def _fit(text: str, width: int, *, cut: str) -> str:
    size = abs(width)
    if len(text) > size:
        text = text[: size - len(cut)] + cut
    return text.ljust(size) if width < 0 else text.rjust(size)


def _chosen(core: Core, call: Call, line: CommandLine) -> list[Job]:
    jobs: list[Job] = core.jobs
    if line.last("jobs"):
        wanted = set()
        for piece in split_ids(line.last("jobs")):
            match = re.fullmatch(r"(\d+(?:_\d+)?)(?:\.\w+)?(?:\+\d+)?", piece)
            if match is None:
                kind = (
                    f"job array element specified: {piece.split('_')[0]}"
                    if "[" in piece
                    else f"job/step specified: {piece}"
                )
                raise _Error(f"sacct: fatal: Bad {kind}\n")
            wanted.add(match[1])
        jobs = [j for j in jobs if {str(j.id), j.full_id, str(j.array_id)} & wanted]
    start, end = _window(core, line)
    if start is not None:
        jobs = [j for j in jobs if (j.ended is None or j.ended >= start) and j.submitted <= end]
    if line.has("state"):
        states = {piece: parse_state(piece) for piece in line.last("state").split(",")}
        for piece, state in states.items():
            if state is None:
                raise _Error(f"sacct: fatal: unrecognized job state value '{piece}'\n")
        jobs = [j for j in jobs if j.state.value in states.values()]
    if line.last("user") and line.last("user") not in {j.user for j in core.jobs} | {
        call.user,
        *core.settings.user_ids,
    }:
        raise _Error(f"sacct: error: Invalid user id: {line.last('user')}\n")
    users = {call.user} if call.user != "root" and not line.has("allusers") else None
    users = set(line.last("user").split(",")) if line.last("user") else users
    if users:
        jobs = [j for j in jobs if j.user in users]
    if names := set(filter(None, line.last("name").split(","))):
        jobs = [j for j in jobs if j.name in names]
    if partitions := set(filter(None, line.last("partition").split(","))):
        jobs = [j for j in jobs if j.partition in partitions]
    if line.last("clusters") not in {"", "all", core.cluster_name}:
        return []
    return jobs


def _window(core: Core, line: CommandLine) -> tuple[float | None, float]:
    """From midnight, unless jobs are named or a time is given."""
    now = core.clock.time()
    moments = {}
    for option in ("starttime", "endtime"):
        if line.has(option):
            moments[option] = parse_time(line.last(option), now)
            if moments[option] is None:
                raise _Error(f"Invalid time specification (pos=0): {line.last(option)}\n")
    start, end = moments.get("starttime"), moments.get("endtime") or now
    if start is None and not line.last("jobs"):
        start = parse_time("today", now)
    if start is not None and start > end:
        text = f"Start time ({stamp(start)}) requested is after end time ({stamp(end)})."
        raise _Error(f"sacct: error: {text}\n")
    return start, end


def _state(core: Core, job: Job) -> str:
    if job.state is State.CANCELLED and job.cancelled_by is not None:
        return f"CANCELLED by {user_id(core, job.cancelled_by)}"
    return job.state.value


def _exit_code(job: Job) -> str:
    """A job that was ended by Slurm has none."""
    if job.state in {State.CANCELLED, State.TIMEOUT, State.PREEMPTED}:
        return "0:0"
    return exit_code(job.exit_code, job.signal)


def _fields(core: Core, call: Call, record: Record) -> dict[str, str]:
    job, form = record.job, call.environment.get("SLURM_TIME_FORMAT", "")
    elapsed = run_time(job, core.clock.time())
    nodes = str(len(job.nodes) or (job.need.min_nodes if job.need else 1))
    request_memory = job.request.memory_mb if job.request.memory_mb is not None else job.memory_mb
    resources = f"billing={job.cpus},cpu={job.cpus},mem={memory_text(job.memory_mb)},node={nodes}"
    is_pending = job.state is State.PENDING
    identity = record_id(record)
    started = stamp(job.started, "Unknown" if is_pending else ("None" if job.ended else "Unknown"), form)
    return dict.fromkeys(_TITLES, "") | {
        "jobid": identity,
        "jobidraw": str(job.id),
        "jobname": job.name,
        "partition": job.partition,
        "account": job.account or core.settings.accounts[0],
        "alloccpus": str(job.cpus if job.started is not None else 0),
        "allocnodes": nodes if job.started is not None else "0",
        "alloctres": resources if job.started is not None else "",
        "reqtres": resources,
        "state": _state(core, job),
        "exitcode": _exit_code(job),
        "derivedexitcode": derived_exit_code(job),
        "elapsed": long_limit_text(elapsed),
        "elapsedraw": str(int(elapsed)),
        "cputime": long_limit_text(int(elapsed) * job.cpus),
        "cputimeraw": str(int(elapsed) * job.cpus),
        "nodelist": compress(job.nodes) or "None assigned",
        "totalcpu": "00:00:00",
        "start": started,
        "end": stamp(job.ended, "Unknown", form),
        "submit": stamp(job.submitted, "Unknown", form),
        "eligible": stamp(job.eligible, "Unknown", form),
        "reqmem": memory_text(request_memory),
        "reqcpus": str(job.cpus),
        "reqnodes": nodes,
        "ncpus": str(job.cpus if job.started is not None else 0),
        "nnodes": nodes,
        "user": job.user,
        "uid": str(user_id(core, job.user)),
        "group": job.user,
        "cluster": core.cluster_name,
        "qos": job.qos or core.settings.qualities[0],
        "priority": str(job.priority),
        "timelimit": long_limit_text(job.limit),
        "timelimitraw": "" if job.limit is None else str(job.limit // 60),
        "workdir": job.cwd,
        "submitline": job.request.options.get("submit-line", ""),
        "reason": job.reason if is_pending else "None",
        "suspended": "00:00:00",
    }
