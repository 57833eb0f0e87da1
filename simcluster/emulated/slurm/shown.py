"""What `scontrol show` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.arrays import in_ranges
from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.job_fields import (
    account_of,
    gathered,
    memory_text,
    node_count,
    partition_text,
    quality_of,
    run_time,
    sharing,
    tasks_text,
)
from simcluster.emulated.slurm.release import reason_of, release_of
from simcluster.emulated.slurm.surroundings import dependency_text, task_count, user_id
from simcluster.emulated.slurm.times import long_limit_text, stamp
from simcluster.emulated.slurm.words import full_state, node_state

if TYPE_CHECKING:
    from simcluster.emulated.allocation import Node
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Partition
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.slurm.job_fields import Record

__all__ = ["derived_exit_code", "show_config", "show_jobs", "show_node", "show_partition", "show_steps", "tres"]


def show_jobs(core: Core, jobs: list[Job], *, one_line: bool, details: bool) -> str:
    """Records of jobs; elements that wait together are one. `details` are the CPUs on each node."""
    if not jobs:
        return "No jobs in the system\n"
    return "".join(
        _joined(_job_lines(core, r, details=details), one_line=one_line) for r in gathered(core, jobs, one_by_one=False)
    )


def _joined(lines: list[str], *, one_line: bool) -> str:
    return " ".join(lines) + "\n" if one_line else "\n   ".join(lines) + "\n\n"


def tres(job: Job) -> str:
    """`cpu=1,mem=500M,node=1,billing=1`. GPUs are not among AccountingStorageTRES."""
    nodes = len(job.nodes) or (job.need.min_nodes if job.need else 1)
    return f"cpu={job.cpus},mem={memory_text(job.memory_mb)},node={nodes},billing={job.cpus}"


def _node_counts(core: Core, job: Job) -> str:
    """While it waits, `2-2` is what a job with a largest number of nodes asks for."""
    count, most = node_count(core, job), job.request.max_nodes
    return f"{count}-{most}" if not job.nodes and most and most > 1 else str(count)


def _job_lines(core: Core, record: Record, *, details: bool) -> list[str]:
    job, now, given = record.job, core.clock.time(), record.job.request.options
    identity = user_id(core, job.user)
    array = ""
    if job.array_id is not None:
        array = f"ArrayJobId={job.array_id} ArrayTaskId={tasks_text(record)} "
        array += f"ArrayTaskThrottle={job.request.array_limit} " if job.request.array_limit else ""
    is_waiting = job.state is State.PENDING
    started = (job.begin if job.reason == "BeginTime" else None) if is_waiting else (job.started or job.ended)
    ended = job.ended or (started + job.limit if started is not None and job.limit is not None else None)
    need = job.need
    memory = f"MinMemoryCPU={memory_text(need.memory_per_cpu_mb) if need else 0}"
    if job.request.memory_mb is not None:
        memory = f"MinMemoryNode={memory_text(job.request.memory_mb) if job.request.memory_mb else 0}"
    per_node = job.request.cpus_per_task * (job.request.tasks_per_node or 1)
    command = " ".join((given.get("command", ""), *job.arguments)).strip()
    return [
        f"JobId={job.id} {array}JobName={job.name}",
        f"UserId={job.user}({identity}) GroupId={job.user}({identity}) MCS_label=N/A",
        f"Priority={job.priority if not job.is_held else 0} Nice={job.request.nice} Account={account_of(core, job)} QOS={quality_of(core, job)}",
        f"JobState={full_state(job)} Reason={reason_of(core, job).replace(' ', '_')} Dependency={dependency_text(job) or '(null)'}",
        f"Requeue={int(job.is_requeueable)} Restarts={job.restarts} BatchFlag=1 Reboot=0 ExitCode={job.exit_code}:{job.signal}",
        *([f"DerivedExitCode={derived_exit_code(job)}:0"] if details else []),
        f"RunTime={long_limit_text(run_time(job, now))} TimeLimit={long_limit_text(job.limit)} TimeMin=N/A",
        f"SubmitTime={stamp(job.submitted)} EligibleTime={stamp(job.eligible)}",
        f"AccrueTime={stamp(job.eligible)}",
        f"StartTime={stamp(started)} EndTime={stamp(ended)} Deadline=N/A",
        f"SuspendTime={stamp(job.suspended, 'None')} SecsPreSuspend={_seconds_before_suspension(job)} LastSchedEval={stamp(job.started or job.submitted)} Scheduler=Main",
        f"Partition={partition_text(job)} AllocNode:Sid={core.settings.controller}:1",
        f"ReqNodeList={compress(job.request.nodelist) or '(null)'} ExcNodeList={compress(job.request.exclude) or '(null)'}",
        f"NodeList={compress(job.nodes)}",
        *([f"BatchHost={job.nodes[0]}"] if job.nodes else []),
        f"NumNodes={_node_counts(core, job)} NumCPUs={job.cpus} NumTasks={task_count(job)} CPUs/Task={job.request.cpus_per_task} ReqB:S:C:T=0:0:*:*",
        *_resources(core, job),
        f"Socks/Node=* NtasksPerN:B:S:C={job.request.tasks_per_node or 0}:0:*:* CoreSpec=*",
        *(_placement(job) if details else []),
        f"MinCPUsNode={per_node} {memory} MinTmpDiskNode=0",
        f"Features={given.get('constraint') or '(null)'} DelayBoot=00:00:00",
        f"OverSubscribe={sharing(job)} Contiguous={int(job.request.is_contiguous)} Licenses=(null) Network=(null)",
        f"Command={command or '(null)'}",
        f"WorkDir={job.cwd}",
        *([f"Comment={job.comment} "] if job.comment else []),
        f"StdErr={job.stderr}",
        f"StdIn={job.stdin}",
        f"StdOut={job.stdout}",
        *(["Power="] if release_of(core).has_power_fields else []),
        *([f"TresPerNode=gres:gpu:{job.gpus}"] if job.gpus else []),
        *(
            [f"MailUser={given.get('mail-user', job.user)} MailType={_mail_types(given['mail-type'])}"]
            if "mail-type" in given
            else []
        ),
        "",
    ]


def _seconds_before_suspension(job: Job) -> int:
    return 0 if job.suspended is None or job.started is None else int(job.suspended - job.started)


def _mail_types(text: str) -> str:
    return "INVALID_DEPEND,BEGIN,END,FAIL,REQUEUE,STAGE_OUT" if text.upper() == "ALL" else text.upper()


def derived_exit_code(job: Job) -> int:
    """The highest exit code of a job's steps."""
    return max((step.exit_code for step in job.steps), default=0)


def _resources(core: Core, job: Job) -> list[str]:
    if not release_of(core).shows_allocated_resources:
        return [f"TRES={tres(job)}"]
    return [f"ReqTRES={tres(job)}", f"AllocTRES={tres(job) if job.nodes else '(null)'}"]


def _placement(job: Job) -> list[str]:
    """What the job has on each node. CPUs have no numbers here: they are counted from 0."""
    gpus = job.gpus_by_node or ((),) * len(job.nodes)
    lines = [f"JOB_GRES={f'gpu:{job.gpus * len(job.nodes)}' if any(gpus) else '(null)'}"]
    for name, cpus, memory, taken in zip(job.nodes, job.cpus_by_node, job.memory_by_node, gpus, strict=True):
        gres = f"gpu:{len(taken)}(IDX:{in_ranges(taken)})" if taken else ""
        lines.append(f"  Nodes={name} CPU_IDs={in_ranges(range(cpus))} Mem={memory} GRES={gres}")
    return lines


def show_steps(core: Core, jobs: list[Job], wanted: str, *, one_line: bool) -> str:
    """Records of the steps that run: those of the jobs, or the one that is `wanted`."""
    shown = []
    for job in jobs:
        if job.state is State.RUNNING and not job.request.is_interactive and wanted in {"", "batch"}:
            lines = _step_lines(core, job, "batch", "batch", job.nodes[:1], started=job.started, tasks=1)
            shown.append(_joined(lines, one_line=one_line))
        for step in job.steps:
            if step.state is State.RUNNING and wanted in {"", str(step.number)}:
                lines = _step_lines(
                    core,
                    job,
                    str(step.number),
                    step.name,
                    step.nodes,
                    started=step.started,
                    tasks=step.tasks,
                    cpus=sum(step.cpus_by_node),
                    tres=f"cpu={sum(step.cpus_by_node)},mem={memory_text(sum(step.memory_by_node))},node={len(step.nodes)}",
                )
                shown.append(_joined(lines, one_line=one_line))
    return "".join(shown) or "No job steps in the system\n"


def _step_lines(
    core: Core,
    job: Job,
    number: str,
    name: str,
    nodes: tuple[str, ...],
    *,
    started: float | None,
    tasks: int,
    cpus: int = 0,
    tres: str = "(null)",
) -> list[str]:
    return [
        f"StepId={job.full_id}.{number} UserId={user_id(core, job.user)} StartTime={stamp(started)} TimeLimit=UNLIMITED",
        f"State=RUNNING Partition={job.partition} NodeList={compress(nodes)}",
        f"Nodes={len(nodes)} CPUs={cpus} Tasks={tasks} Name={name} Network=(null)",
        f"TRES={tres}",
        "ResvPorts=(null)",
        "CPUFreqReq=Default",
        "SrunHost:Pid=(null):0",
        "",
    ]


def show_node(core: Core, node: Node, *, one_line: bool) -> str:
    """A node's record."""
    machine, features = node.machine, ",".join(node.machine.features) or "(null)"
    busy = machine.cpus - node.free_cpus
    has_power_fields = release_of(core).has_power_fields
    state = node_state(node).upper().replace("DRAINED", "IDLE+DRAIN").replace("DRAINING", "MIXED+DRAIN")
    partitions = ",".join(p.name for p in core.partitions.values() if p.nodes is None or machine.name in p.nodes)
    allocated = f"cpu={busy},mem={memory_text(machine.memory_mb - node.free_memory)}" if busy else ""
    lines = [
        f"NodeName={machine.name} Arch=x86_64 CoresPerSocket=1 ",
        f"CPUAlloc={busy} CPUEfctv={machine.cpus} CPUTot={machine.cpus} CPULoad=0.00",
        f"AvailableFeatures={features}",
        f"ActiveFeatures={features}",
        f"Gres={f'gpu:{machine.gpus}' if machine.gpus else '(null)'}",
        f"NodeAddr={machine.name} NodeHostName={machine.name} Version={core.settings.version}",
        "OS=Linux",
        f"RealMemory={machine.memory_mb} AllocMem={machine.memory_mb - node.free_memory} FreeMem={node.free_memory} Sockets={machine.cpus} Boards=1",
        f"State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A",
        f"Partitions={partitions} ",
        f"BootTime={stamp(core.booted)} SlurmdStartTime={stamp(core.booted)}",
        f"LastBusyTime={stamp(core.clock.time())}{'' if has_power_fields else ' ResumeAfterTime=None'}",
        f"CfgTRES=cpu={machine.cpus},mem={memory_text(machine.memory_mb)},billing={machine.cpus}",
        f"AllocTRES={allocated}",
        *(["CapWatts=n/a"] if has_power_fields else []),
        "CurrentWatts=0 AveWatts=0",
        *(["ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s"] if has_power_fields else []),
        *([f"Reason={node.reason} [{node.reason_user}@{stamp(node.reason_time)}]"] if node.reason else []),
    ]
    return _joined(lines, one_line=one_line)


def show_partition(core: Core, partition: Partition, *, one_line: bool) -> str:
    """A partition's record."""
    names = partition.nodes or tuple(core.nodes.position)
    cpus = sum(core.nodes[name].machine.cpus for name in names)
    memory = sum(core.nodes[name].machine.memory_mb for name in names)
    topology, sockets = (" ExclusiveTopo=NO", " MaxCPUsPerSocket=UNLIMITED") if _has_topology(core) else ("", "")
    lines = [
        f"PartitionName={partition.name}",
        "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL",
        f"AllocNodes=ALL Default={'YES' if partition.is_default else 'NO'} QoS=N/A",
        f"DefaultTime={'NONE' if partition.default_time is None else long_limit_text(partition.default_time)} DisableRootJobs=NO ExclusiveUser=NO{topology} GraceTime=0 Hidden=NO",
        f"MaxNodes=UNLIMITED MaxTime={long_limit_text(partition.max_time)} MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED{sockets}",
        f"Nodes={compress(names)}",
        "PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO",
        "OverTimeLimit=NONE PreemptMode=OFF",
        f"State={'UP' if partition.is_up else 'DOWN'} TotalCPUs={cpus} TotalNodes={len(names)} SelectTypeParameters=NONE",
        "JobDefaults=(null)",
        f"DefMemPerCPU={core.site.memory_per_cpu} MaxMemPerNode=UNLIMITED",
        f"TRES=cpu={cpus},mem={memory_text(memory)},node={len(names)},billing={cpus}",
    ]
    return _joined(lines, one_line=one_line)


def _has_topology(core: Core) -> bool:
    return release_of(core).has_topology_limits


def show_config(core: Core) -> str:
    """The settings that programs ask for; a real cluster has many more."""
    settings = core.settings
    storage = "accounting_storage/slurmdbd" if core.accounting else "accounting_storage/none"
    values = {
        "AccountingStorageType": storage,
        "ClusterName": core.cluster_name,
        "EnforcePartLimits": "ALL" if settings.enforces_partition_limits else "NO",
        "JobRequeue": str(int(settings.is_requeued_by_default)),
        "KillWait": f"{settings.kill_wait} sec",
        "MaxArraySize": str(settings.max_array_size),
        "MaxJobCount": str(settings.max_job_count),
        "MinJobAge": f"{settings.min_job_age} sec",
        "PriorityType": "priority/basic",
        "ReturnToService": "2",
        "SchedulerType": "sched/backfill",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CORE_MEMORY",
        "SlurmctldTimeout": "10 sec",
        "SLURM_CONF": "/etc/slurm/slurm.conf",
        "SLURM_VERSION": settings.version,
        "SlurmctldHost[0]": settings.controller,
    }
    body = "".join(f"{key:<23} = {value}\n" for key, value in values.items())
    return (
        f"Configuration data as of {stamp(core.clock.time())}\n{body}\n"
        f"Slurmctld(primary) at {settings.controller} is UP\n"
    )
