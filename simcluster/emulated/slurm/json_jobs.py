"""Jobs and nodes as `--json` shows them: 22.05's OpenAPI v0.0.38, and 24.11's data_parser/v0.0.42 for jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.job_fields import (
    account_of,
    gathered,
    node_count,
    partition_text,
    quality_of,
    tasks_text,
)
from simcluster.emulated.slurm.release import reason_of, release_of
from simcluster.emulated.slurm.shown import derived_exit_code, tres
from simcluster.emulated.slurm.surroundings import dependency_text, task_count, user_id
from simcluster.emulated.slurm.words import full_state

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.slurm.job_fields import Record

__all__ = ["as_json", "jobs_as_json", "meta"]


def as_json(value: dict[str, Any]) -> str:
    """As json-c writes it, but for the spaces."""
    return json.dumps(value, indent=2).replace("/", "\\/") + "\n"


def meta(core: Core, *, database: bool = False) -> dict[str, Any]:
    """What every answer of 22.05's begins with."""
    major, minor, micro = map(int, core.settings.version.split("."))
    kind = "db" if database else ""
    return {
        "plugin": {"type": f"openapi/{kind}v0.0.38", "name": f"Slurm OpenAPI {kind.upper()}{' ' * database}v0.0.38"},
        "Slurm": {
            "version": {"major": major, "micro": micro, "minor": minor},
            "release": core.settings.version,
        },
    }


def jobs_as_json(core: Core, call: Call, jobs: list[Job]) -> str:
    """The answer of squeue, and of the scontrol that has it."""
    shown = [_job(core, record) for record in gathered(core, jobs, one_by_one=False)]
    if not release_of(core).json_parser:
        return as_json({"meta": meta(core), "errors": [], "jobs": shown})
    now = _number(int(core.clock.time()))
    return as_json(
        {
            "jobs": [_newer(core, job) for job in shown],
            "last_backfill": now,
            "last_update": now,
            "meta": _newer_meta(core, call),
            "errors": [],
            "warnings": [],
        }
    )


def _newer_meta(core: Core, call: Call) -> dict[str, Any]:
    storage = "accounting_storage/slurmdbd" if core.accounting else ""
    major, minor, micro = (str(int(part)) for part in core.settings.version.split("."))
    return {
        "plugin": {
            "type": "",
            "name": "",
            "data_parser": release_of(core).json_parser,
            "accounting_storage": storage,
        },
        "client": {"source": "", "user": call.user, "group": call.user},
        "command": [call.program, *call.arguments],
        "slurm": {
            "version": {"major": major, "micro": micro, "minor": minor},
            "release": core.settings.version,
            "cluster": core.cluster_name,
        },
    }


def _job(core: Core, record: Record) -> dict[str, Any]:
    job, request = record.job, record.job.request
    is_waiting = job.state is State.PENDING
    started = (job.begin if job.reason == "BeginTime" else None) if is_waiting else (job.started or job.ended)
    ended = job.ended or (started + job.limit if started is not None and job.limit is not None else None)
    per_node = request.memory_mb
    per_cpu = None if per_node is not None or job.need is None else job.need.memory_per_cpu_mb
    return {
        "account": account_of(core, job),
        "accrue_time": _seconds(job.eligible),
        "admin_comment": "",
        "array_job_id": job.array_id or 0,
        "array_task_id": None if record.tasks else job.task_id,
        "array_max_tasks": request.array_limit if record.tasks else 0,
        "array_task_string": tasks_text(record) if record.tasks else "",
        "association_id": 0,
        "batch_features": "",
        "batch_flag": not request.is_interactive,
        "batch_host": job.nodes[0] if job.nodes else "",
        "flags": [],
        "burst_buffer": "",
        "burst_buffer_state": "",
        "cluster": core.cluster_name,
        "cluster_features": "",
        "command": " ".join((request.options.get("command", ""), *job.arguments)).strip(),
        "comment": job.comment or "",
        "container": "",
        "contiguous": request.is_contiguous,
        "core_spec": None,
        "thread_spec": None,
        "cores_per_socket": None,
        "billable_tres": float(job.cpus) if job.nodes else None,
        "cpus_per_task": request.cpus_per_task if "cpus-per-task" in request.options else None,
        "cpu_frequency_minimum": None,
        "cpu_frequency_maximum": None,
        "cpu_frequency_governor": None,
        "cpus_per_tres": "",
        "deadline": 0,
        "delay_boot": 0,
        "dependency": dependency_text(job),
        "derived_exit_code": derived_exit_code(job) << 8,
        "eligible_time": _seconds(job.eligible),
        "end_time": _seconds(ended),
        "excluded_nodes": compress(request.exclude),
        "exit_code": job.exit_code << 8 | job.signal,
        "features": request.options.get("constraint", ""),
        "federation_origin": "",
        "federation_siblings_active": "",
        "federation_siblings_viable": "",
        "gres_detail": [f"gpu:{len(taken)}" for taken in job.gpus_by_node],
        "group_id": user_id(core, job.user),
        "group_name": job.user,
        "job_id": job.id,
        **({"job_resources": _resources(job)} if job.nodes else {}),
        "job_state": full_state(job),
        "last_sched_evaluation": _seconds(job.started or job.submitted),
        "licenses": "",
        "max_cpus": 0,
        "max_nodes": request.max_nodes or 0,
        "mcs_label": "",
        "memory_per_tres": "",
        "name": job.name,
        "nodes": compress(job.nodes),
        "nice": request.nice or None,
        "tasks_per_core": None,
        "tasks_per_node": request.tasks_per_node or 0,
        "tasks_per_socket": None,
        "tasks_per_board": 0,
        "cpus": job.cpus,
        "node_count": node_count(core, job),
        "tasks": task_count(job),
        "het_job_id": 0,
        "het_job_id_set": "",
        "het_job_offset": 0,
        "partition": partition_text(job),
        "prefer": "",
        "memory_per_node": per_node,
        "memory_per_cpu": per_cpu,
        "minimum_cpus_per_node": request.cpus_per_task * (request.tasks_per_node or 1),
        "minimum_tmp_disk_per_node": 0,
        "preempt_time": 0,
        "pre_sus_time": 0,
        "priority": job.priority,
        "profile": None,
        "qos": quality_of(core, job),
        "reboot": False,
        "required_nodes": compress(request.nodelist),
        "requeue": job.is_requeueable,
        "resize_time": 0,
        "restart_cnt": job.restarts,
        "resv_name": "",
        "shared": None,
        "show_flags": ["SHOW_ALL", "SHOW_DETAIL", "SHOW_LOCAL"],
        "sockets_per_board": 0,
        "sockets_per_node": None,
        "start_time": _seconds(started),
        "state_description": "",
        "state_reason": reason_of(core, job),
        "standard_error": job.stderr if request.stderr else "",
        "standard_input": request.stdin,
        "standard_output": job.stdout if request.stdout else "",
        "submit_time": _seconds(job.submitted),
        "suspend_time": _seconds(job.suspended),
        "system_comment": "",
        "time_limit": None if job.limit is None else job.limit // 60,
        "time_minimum": 0,
        "threads_per_core": None,
        "tres_bind": "",
        "tres_freq": "",
        "tres_per_job": "",
        "tres_per_node": f"gres:gpu:{job.gpus}" if job.gpus else "",
        "tres_per_socket": "",
        "tres_per_task": "",
        "tres_req_str": tres(job),
        "tres_alloc_str": tres(job) if job.nodes else "",
        "user_id": user_id(core, job.user),
        "user_name": job.user,
        "wckey": request.options.get("wckey", ""),
        "current_working_directory": job.cwd,
    }


def _resources(job: Job) -> dict[str, Any]:
    """Sockets have one core each, and are counted from 0."""
    return {
        "nodes": compress(job.nodes),
        "allocated_cores": job.cpus,
        "allocated_hosts": len(job.nodes),
        "allocated_nodes": [
            {
                "sockets": {str(core): {"cores": {"0": "allocated"}} for core in range(cpus)},
                "nodename": name,
                "cpus_used": 0,
                "memory_used": 0,
                "memory_allocated": memory,
            }
            for name, cpus, memory in zip(job.nodes, job.cpus_by_node, job.memory_by_node, strict=True)
        ],
    }


_WRAPPED = """accrue_time array_job_id array_task_id array_max_tasks billable_tres cores_per_socket cpus cpus_per_task
cpu_frequency_minimum cpu_frequency_maximum cpu_frequency_governor deadline delay_boot eligible_time end_time
het_job_id het_job_offset last_sched_evaluation max_cpus max_nodes memory_per_cpu memory_per_node
minimum_cpus_per_node minimum_tmp_disk_per_node node_count pre_sus_time preempt_time priority resize_time
sockets_per_node start_time submit_time suspend_time tasks tasks_per_board tasks_per_core tasks_per_node
tasks_per_socket threads_per_core time_limit time_minimum""".split()  # noqa: SIM905


def _newer(core: Core, old: dict[str, Any]) -> dict[str, Any]:
    """24.11 wraps numbers that may be missing, and has lists where there may be several."""
    job = {key: _number(value) if key in _WRAPPED else value for key, value in old.items() if key != "show_flags"}
    resources = old.get("job_resources")
    unlimited = {"set": False, "infinite": True, "number": 0}
    return {
        **job,
        "allocating_node": core.settings.controller,
        "core_spec": 0,
        "derived_exit_code": _exit_code(old["derived_exit_code"]),
        "exit_code": _exit_code(old["exit_code"]),
        "hold": old["priority"] == 0,
        **({"job_resources": _newer_resources(resources)} if resources else {}),
        "job_state": [old["job_state"]],
        "nice": old["nice"] or 0,
        "profile": ["NOT_SET"],
        "shared": [],
        "thread_spec": 0,
        "time_limit": unlimited if old["time_limit"] is None else _number(old["time_limit"]),
    }


def _newer_resources(old: dict[str, Any]) -> dict[str, Any]:
    allocation = [
        {
            "index": index,
            "name": node["nodename"],
            "cpus": {"count": len(node["sockets"]), "used": 0},
            "memory": {"used": 0, "allocated": node["memory_allocated"]},
            "sockets": [
                {"index": int(socket), "cores": [{"index": 0, "status": ["ALLOCATED"]}]} for socket in node["sockets"]
            ],
        }
        for index, node in enumerate(old["allocated_nodes"])
    ]
    nodes = {"count": old["allocated_hosts"], "select_type": ["ONE_ROW"], "list": old["nodes"], "whole": False}
    return {
        "select_type": ["CORE"],
        "nodes": {**nodes, "allocation": allocation},
        "cpus": old["allocated_cores"],
        "threads_per_core": _number(None),
    }


def _exit_code(status: int) -> dict[str, Any]:
    code, signal = status >> 8, status & 0x7F
    return {
        "status": ["SIGNALED" if signal else ("ERROR" if code else "SUCCESS")],
        "return_code": _number(code),
        "signal": {"id": _number(signal or None), "name": ""},
    }


def _number(value: float | None) -> dict[str, Any]:
    return {"set": value is not None, "infinite": False, "number": value or 0}


def _seconds(moment: float | None) -> int:
    return 0 if moment is None else int(moment)
