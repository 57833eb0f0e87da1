"""Nodes and the rows of accounting as `--json` of 22.05 shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.job_fields import account_of, memory_text, partition_text, quality_of
from simcluster.emulated.slurm.json_jobs import as_json, meta
from simcluster.emulated.slurm.words import node_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.allocation import Node
    from simcluster.emulated.core import Core
    from simcluster.emulated.slurm.accounting import Entry

__all__ = ["entries_as_json", "nodes_as_json"]


def nodes_as_json(core: Core) -> str:
    """All nodes: sinfo's filters count for nothing here."""
    return as_json({"meta": meta(core), "errors": [], "nodes": [_node(core, node) for node in core.nodes.all]})


def _node(core: Core, node: Node) -> dict[str, Any]:
    machine = node.machine
    busy, memory = machine.cpus - node.free_cpus, machine.memory_mb - node.free_memory
    features = ",".join(machine.features)
    state, flags = _state(node)
    partitions = [p.name for p in core.partitions.values() if p.nodes is None or machine.name in p.nodes]
    return {
        "architecture": "x86_64",
        "burstbuffer_network_address": "",
        "boards": 1,
        "boot_time": int(core.booted),
        "comment": "",
        "cores": 1,
        "cpu_binding": 0,
        "cpu_load": 0,
        "extra": "",
        "free_memory": node.free_memory,
        "cpus": machine.cpus,
        "last_busy": int(core.clock.time()),
        "features": features,
        "active_features": features,
        "gres": f"gpu:{machine.gpus}" if machine.gpus else "",
        "gres_drained": "N/A",
        "gres_used": f"gpu:{len(node.busy_gpus)}" if machine.gpus else "",
        "mcs_label": "",
        "name": machine.name,
        "next_state_after_reboot": "invalid",
        "address": machine.name,
        "hostname": machine.name,
        "state": state,
        "state_flags": flags,
        "next_state_after_reboot_flags": [],
        "operating_system": "Linux",
        "owner": None,
        "partitions": partitions,
        "port": 6818,
        "real_memory": machine.memory_mb,
        "reason": node.reason or "",
        "reason_changed_at": int(node.reason_time or 0),
        "reason_set_by_user": node.reason_user,
        "slurmd_start_time": int(core.booted),
        "sockets": machine.cpus,
        "threads": 1,
        "temporary_disk": 0,
        "weight": 1,
        "tres": f"cpu={machine.cpus},mem={memory_text(machine.memory_mb)},billing={machine.cpus}",
        "slurmd_version": core.settings.version,
        "alloc_memory": memory,
        "alloc_cpus": busy,
        "idle_cpus": node.free_cpus,
        "tres_used": f"cpu={busy},mem={memory_text(memory)}" if busy else None,
        "tres_weighted": 0.0,
    }


def _state(node: Node) -> tuple[str, list[str]]:
    name = node_state(node)
    flags = ["NOT_RESPONDING"] if name.endswith("*") else []
    name = name.rstrip("*")
    if name in {"drained", "draining"}:
        flags.append("DRAIN")
        name = "mixed" if node.jobs else "idle"
    if name == "completing":
        flags.append("COMPLETING")
        name = "mixed" if node.free_cpus else "allocated"
    return name, flags


def entries_as_json(core: Core, entries: Sequence[Entry]) -> str:
    """Sacct's rows; steps are within their jobs."""
    jobs: list[dict[str, Any]] = []
    for entry in entries:
        if not entry.step:
            jobs.append(_job(core, entry))
        elif jobs:
            jobs[-1]["steps"].append(_step(entry))
    nothing = {
        "description": "Nothing found",
        "error_number": 9003,
        "error": "Nothing found with query",
        "source": "slurmdb_jobs_get",
    }
    return as_json({"meta": meta(core, database=True), "errors": [] if jobs else [nothing], "jobs": jobs})


def _job(core: Core, entry: Entry) -> dict[str, Any]:
    job = entry.job
    account = account_of(core, job)
    requested = [("cpu", 1, job.cpus), ("mem", 2, job.memory_mb), ("node", 4, len(entry.nodes) or 1)]
    given = [*requested, ("billing", 5, job.cpus)]
    return {
        "account": account,
        "comment": {"administrator": None, "job": job.comment, "system": None},
        "allocation_nodes": len(entry.nodes),
        "array": {
            "job_id": job.array_id or 0,
            "limits": {"max": {"running": {"tasks": job.request.array_limit}}},
            "task": None,
            "task_id": job.task_id,
        },
        "association": {"account": account, "cluster": core.cluster_name, "partition": None, "user": job.user},
        "cluster": core.cluster_name,
        "constraints": job.request.options.get("constraint", ""),
        "container": None,
        "derived_exit_code": _SUCCESS,
        "time": {
            "elapsed": entry.elapsed,
            "eligible": int(job.eligible or 0),
            "end": int(entry.end or 0),
            "start": int(entry.start or 0),
            "submission": int(entry.created),
            "suspended": 0,
            "system": _NO_TIME,
            "limit": None if job.limit is None else job.limit // 60,
            "total": _NO_TIME,
            "user": _NO_TIME,
        },
        "exit_code": _SUCCESS,
        "flags": [],
        "group": job.user,
        "het": {"job_id": 0, "job_offset": None},
        "job_id": int(entry.raw),
        "name": entry.name,
        "mcs": {"label": ""},
        "nodes": compress(entry.nodes) or "None assigned",
        "partition": partition_text(job),
        "priority": job.priority,
        "qos": quality_of(core, job),
        "required": {"CPUs": job.cpus, "memory": job.memory_mb},
        "kill_request_user": job.cancelled_by,
        "reservation": {"id": 0, "name": 0},
        "state": {"current": entry.short_state, "reason": job.waited_for},
        "steps": [],
        "tres": {"allocated": _resources(given) if entry.nodes else [], "requested": _resources(given)},
        "user": job.user,
        "wckey": {"wckey": job.request.options.get("wckey", ""), "flags": []},
        "working_directory": job.cwd,
    }


_NO_TIME = {"seconds": 0, "microseconds": 0}
_SUCCESS = {"status": "SUCCESS", "return_code": 0}
"""What sacct of 22.05.8 says here of every job, also of one that failed."""


def _step(entry: Entry) -> dict[str, Any]:
    nothing: dict[str, list[object]] = {"max": [], "min": [], "average": [], "total": []}
    given = [("cpu", 1, entry.cpus), ("mem", 2, entry.memory_mb), ("node", 4, len(entry.nodes))]
    return {
        "nodes": {"list": list(entry.nodes), "count": len(entry.nodes), "range": compress(entry.nodes)},
        "tres": {"requested": nothing, "consumed": nothing, "allocated": _resources(given)},
        "time": {
            "elapsed": entry.elapsed,
            "end": int(entry.end or 0),
            "start": int(entry.start or 0),
            "suspended": 0,
            "system": _NO_TIME,
            "total": _NO_TIME,
            "user": _NO_TIME,
        },
        "exit_code": _SUCCESS,
        "tasks": {"count": entry.tasks},
        "pid": None,
        "CPU": {"requested_frequency": {"min": 0, "max": 0}, "governor": []},
        "kill_request_user": None,
        "state": entry.short_state,
        "statistics": {"CPU": {"actual_frequency": 0}, "energy": {"consumed": 0}},
        "step": {
            "job_id": int(entry.raw),
            "het": {"component": None},
            "id": entry.step,
            "name": entry.name,
        },
        "task": {"distribution": "Block" if entry.step.isdecimal() else "Unknown"},
    }


def _resources(given: Sequence[tuple[str, int, int]]) -> list[dict[str, Any]]:
    return [{"type": name, "name": None, "id": number, "count": count} for name, number, count in given]
