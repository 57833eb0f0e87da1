"""What sacct can tell of an entry, by the names of its fields."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from simcluster.emulated.slurm.accounting import highest_code
from simcluster.emulated.slurm.formats import parse_width
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.job_fields import account_of, partition_text, quality_of
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import long_limit_text, stamp

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.slurm.accounting import Entry
    from simcluster.emulated.slurm.release import Release

__all__ = ["LONG", "column", "field_names", "in_units", "values_of"]

_FIELDS = """Account AdminComment AllocCPUS AllocNodes AllocTRES AssocID AveCPU AveCPUFreq AveDiskRead AveDiskWrite
AvePages AveRSS AveVMSize BlockID Cluster Comment Constraints ConsumedEnergy ConsumedEnergyRaw Container CPUTime
CPUTimeRAW DBIndex DerivedExitCode Elapsed ElapsedRaw Eligible End ExitCode Flags GID Group JobID JobIDRaw JobName
Layout MaxDiskRead MaxDiskReadNode MaxDiskReadTask MaxDiskWrite MaxDiskWriteNode MaxDiskWriteTask MaxPages
MaxPagesNode MaxPagesTask MaxRSS MaxRSSNode MaxRSSTask MaxVMSize MaxVMSizeNode MaxVMSizeTask McsLabel MinCPU
MinCPUNode MinCPUTask NCPUS NNodes NodeList NTasks Partition Priority QOS QOSRAW Reason ReqCPUFreq ReqCPUFreqGov
ReqCPUFreqMax ReqCPUFreqMin ReqCPUS ReqMem ReqNodes ReqTRES Reservation ReservationId Reserved ResvCPU ResvCPURAW
Start State Submit SubmitLine Suspended SystemComment SystemCPU Timelimit TimelimitRaw TotalCPU TRESUsageInAve
TRESUsageInMax TRESUsageInMaxNode TRESUsageInMaxTask TRESUsageInMin TRESUsageInMinNode TRESUsageInMinTask
TRESUsageInTot TRESUsageOutAve TRESUsageOutMax TRESUsageOutMaxNode TRESUsageOutMaxTask TRESUsageOutMin
TRESUsageOutMinNode TRESUsageOutMinTask TRESUsageOutTot UID User UserCPU WCKey WCKeyID WorkDir""".split()  # noqa: SIM905
"""All of 22.05's. What nobody measures here (memory, CPU time, disk, energy) is there and empty."""

LONG = """JobID,JobIDRaw,JobName,Partition,MaxVMSize,MaxVMSizeNode,MaxVMSizeTask,AveVMSize,MaxRSS,MaxRSSNode,
MaxRSSTask,AveRSS,MaxPages,MaxPagesNode,MaxPagesTask,AvePages,MinCPU,MinCPUNode,MinCPUTask,AveCPU,NTasks,AllocCPUS,
Elapsed,State,ExitCode,AveCPUFreq,ReqCPUFreqMin,ReqCPUFreqMax,ReqCPUFreqGov,ReqMem,ConsumedEnergy,MaxDiskRead,
MaxDiskReadNode,MaxDiskReadTask,AveDiskRead,MaxDiskWrite,MaxDiskWriteNode,MaxDiskWriteTask,AveDiskWrite,ReqTRES,
AllocTRES,TRESUsageInAve,TRESUsageInMax,TRESUsageInMaxNode,TRESUsageInMaxTask,TRESUsageInMin,TRESUsageInMinNode,
TRESUsageInMinTask,TRESUsageInTot,TRESUsageOutMax,TRESUsageOutMaxNode,TRESUsageOutMaxTask,TRESUsageOutAve,
TRESUsageOutTot""".replace("\n", "")

_WIDTHS = {"jobid": -12, "jobidraw": -12, "exitcode": 8, "derivedexitcode": 15, "start": 19, "end": 19, "submit": 19,
           "eligible": 19, "nodelist": 15, "user": 9, "reason": 22, "workdir": 20, "comment": 14, "submitline": 20,
           "nnodes": 8, "uid": 6, "elapsedraw": 10}  # fmt: skip


def field_names(core: Core) -> list[str]:
    """All of the release's."""
    return _of_release(release_of(core))


@cache
def _of_release(release: Release) -> list[str]:
    return sorted({*_FIELDS, *release.new_fields} - {*release.gone_fields}, key=str.lower)


def column(core: Core, text: str) -> tuple[str, int, str] | None:
    """`State%20` as small name, width (negative: to the left), title. None if there is no such field."""
    name, _, width = text.partition("%")
    key = name.strip().lower()
    title = {title.lower(): title for title in field_names(core)}.get(key)
    if title is None:
        return None
    return key, parse_width(width) if re.fullmatch(r"-?\d+", width) else _WIDTHS.get(key, 10), title


def in_units(megabytes: int, unit: str) -> str:
    """A size: in the unit asked for, else in the largest that leaves no remainder; `unit` N is without conversion."""
    if unit in {"", "N"}:
        return f"{megabytes // 1024}G" if megabytes and megabytes % 1024 == 0 and not unit else f"{megabytes}M"
    scale = {"K": 1024.0, "M": 1.0, "G": 1 / 1024, "T": 1 / 1024**2}[unit]
    value = megabytes * scale
    return f"{value:.0f}{unit}" if value == int(value) else f"{value:.2f}{unit}"


def values_of(core: Core, entry: Entry, time_format: str, unit: str) -> dict[str, str]:
    """All fields of an entry, under their small names."""
    if entry.step:
        return _common(core, entry, time_format) | _of_step(entry, time_format, unit)
    return _common(core, entry, time_format) | _of_job(core, entry, time_format, unit)


def _common(core: Core, entry: Entry, time_format: str) -> dict[str, str]:
    job = entry.job
    code = entry.exit_code
    never = "None" if entry.end is not None else "Unknown"
    return dict.fromkeys(map(str.lower, field_names(core)), "") | {
        "account": account_of(core, job),
        "alloccpus": str(entry.cpus),
        "allocnodes": str(len(entry.nodes)),
        "cluster": core.cluster_name,
        "cputime": long_limit_text(entry.elapsed * entry.cpus),
        "cputimeraw": str(entry.elapsed * entry.cpus),
        "elapsed": long_limit_text(entry.elapsed),
        "elapsedraw": str(entry.elapsed),
        "end": stamp(entry.end, "Unknown", time_format),
        "exitcode": "" if code is None else f"{code[0]}:{code[1]}",
        "jobname": entry.name,
        "ncpus": str(entry.cpus),
        "nodelist": compress(entry.nodes) or "None assigned",
        "start": stamp(entry.start, never, time_format),
        "state": entry.state,
        "suspended": "00:00:00",
        "totalcpu": "00:00:00",
    }


def _of_job(core: Core, entry: Entry, time_format: str, unit: str) -> dict[str, str]:
    job = entry.job
    request, given = job.request, job.request.options
    wanted = len(entry.nodes) or (job.need.min_nodes if job.need else 1)
    memory = request.memory_mb if request.memory_mb is not None else job.memory_mb
    resources = f"billing={job.cpus},cpu={job.cpus}"
    resources += f",mem={in_units(job.memory_mb, unit)},node={wanted}"
    derived = highest_code(job.steps)
    is_waiting = entry.short_state == "PENDING"
    waited = job.reason if is_waiting else (job.waited_for if job.started is not None else "None")
    waited_seconds = int((entry.start or core.clock.time()) - (job.eligible or job.submitted))
    return {
        "alloctres": resources if entry.cpus else "",
        "comment": "",  # AccountingStoreFlags does not have job_comment
        "constraints": given.get("constraint", ""),
        "derivedexitcode": f"{derived[0]}:{derived[1]}",
        "eligible": stamp(job.eligible, "Unknown", time_format),
        "gid": str(user_id(core, job.user)),
        "group": job.user,
        "jobid": entry.identity,
        "jobidraw": entry.raw,
        "nnodes": str(wanted),
        "partition": partition_text(job),
        "priority": str(job.priority),
        "qos": quality_of(core, job),
        "reason": "Dependency" if waited == "DependencyNeverSatisfied" else waited,
        "reqcpufreqgov": "Unknown",
        "reqcpufreqmax": "Unknown",
        "reqcpufreqmin": "Unknown",
        "reqcpus": str(job.cpus),
        "reqmem": in_units(memory, unit),
        "reqnodes": str(wanted),
        "reqtres": resources,
        "reserved": long_limit_text(max(0, waited_seconds)),
        "planned": long_limit_text(max(0, waited_seconds)),
        "qosreq": job.qos or "",
        "restarts": str(job.restarts),
        "stderr": job.stderr,
        "stdin": job.stdin,
        "stdout": job.stdout,
        "submit": stamp(entry.created, "Unknown", time_format),
        "submitline": given.get("submit-line", ""),
        "timelimit": long_limit_text(job.limit),
        "timelimitraw": "" if job.limit is None else str(job.limit // 60),
        "uid": str(user_id(core, job.user)),
        "user": job.user,
        "wckey": given.get("wckey", ""),
        "workdir": job.cwd,
    }


def _of_step(entry: Entry, time_format: str, unit: str) -> dict[str, str]:
    nodes = len(entry.nodes)
    return {
        "alloctres": f"cpu={entry.cpus},mem={in_units(entry.memory_mb, unit)},node={nodes}",
        "avecpufreq": "0",
        "consumedenergy": "0",
        "jobid": f"{entry.identity}.{entry.step}",
        "jobidraw": f"{entry.raw}.{entry.step}",
        "layout": "Block" if entry.step.isdecimal() else "Unknown",
        "nnodes": str(nodes),
        "ntasks": str(entry.tasks or ""),
        "reqcpufreqgov": "0",
        "reqcpufreqmax": "0",
        "reqcpufreqmin": "0",
        "reqcpus": str(entry.cpus),
        "reqnodes": str(nodes),
        "submit": stamp(entry.start, "Unknown", time_format),
    }
