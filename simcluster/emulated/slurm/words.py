"""Slurm's own words: names of states, texts of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.jobs import State
from simcluster.emulated.refusals import Refusal

if TYPE_CHECKING:
    from simcluster.emulated.allocation import Node
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.refusals import RefusedError

__all__ = ["COMPACT", "compact_state", "full_state", "node_state", "parse_state", "strerror"]

COMPACT = {
    "PENDING": "PD",
    "RUNNING": "R",
    "SUSPENDED": "S",
    "COMPLETED": "CD",
    "CANCELLED": "CA",
    "FAILED": "F",
    "TIMEOUT": "TO",
    "NODE_FAIL": "NF",
    "PREEMPTED": "PR",
    "BOOT_FAIL": "BF",
    "DEADLINE": "DL",
    "OUT_OF_MEMORY": "OOM",
    "COMPLETING": "CG",
    "CONFIGURING": "CF",
    "RESIZING": "RS",
    "RESV_DEL_HOLD": "RD",
    "REQUEUED": "RQ",
    "REQUEUE_FED": "RF",
    "REQUEUE_HOLD": "RH",
    "REVOKED": "RV",
    "SIGNALING": "SI",
    "SPECIAL_EXIT": "SE",
    "STAGE_OUT": "SO",
    "STOPPED": "ST",
}

_ERRORS = {
    Refusal.UNKNOWN_JOB: "Invalid job id specified",
    Refusal.ENDED: "Job has already finished",
    Refusal.NOT_PENDING: "Job is no longer pending execution",
    Refusal.NOT_OWNER: "Invalid user id",
    Refusal.NOT_PERMITTED: "Access/permission denied",
    Refusal.UNKNOWN_PARTITION: "Invalid partition name specified",
    Refusal.UNKNOWN_NODE: "Invalid node name specified",
    Refusal.UNKNOWN_FEATURE: "Invalid feature specification",
    Refusal.IMPOSSIBLE: "Requested node configuration is not available",
    Refusal.TOO_MANY_NODES: "Node count specification invalid",
    Refusal.TOO_MANY_CPUS: "More processors requested than permitted",
    Refusal.FOREIGN_NODES: "Requested nodes not in this partition",
    Refusal.TIME_LIMIT: "Requested time limit is invalid (missing or exceeds some limit)",
    Refusal.ARRAY: "Invalid job array specification",
    Refusal.DEPENDENCY: "Job dependency problem",
    Refusal.ACCOUNT: "Invalid account or account/partition combination specified",
    Refusal.QOS: "Invalid qos specification",
    Refusal.NO_GPUS: "Invalid generic resource (gres) specification",
    Refusal.TOO_MANY_JOBS: "Slurm temporarily unable to accept job, sleeping and retrying",
    Refusal.NOT_REQUEUEABLE: "Requested operation is presently disabled",
    Refusal.NOT_RUNNING: "Job is pending execution",
    Refusal.PRIORITY: "Changes to job priority are not persistent, change nice instead",
    Refusal.NOT_SUSPENDED: "Job is not suspended",
}

_NOT_HERE = {"license": "Invalid license specification", "reservation": "Requested reservation is invalid"}


def strerror(error: RefusedError) -> str:
    """What slurm_strerror(3) says."""
    if error.refusal is Refusal.IMPOSSIBLE and error.detail in _NOT_HERE:
        return _NOT_HERE[error.detail]
    return _ERRORS[error.refusal]


def full_state(job: Job) -> str:
    """`RUNNING`, `COMPLETING`: the long name."""
    return "COMPLETING" if job.is_completing else job.state.value


def compact_state(job: Job) -> str:
    """`R`, `CG`: one or two letters, three for OOM."""
    return COMPACT[full_state(job)]


def node_state(node: Node) -> str:
    """The long name in small letters; a star for a node that does not answer."""
    if node.is_down:
        return "down" if node.is_responding else "down*"
    if node.is_drained:
        return "draining" if node.jobs else "drained"
    if any(job.is_completing for job in node.jobs):
        return "completing"
    if not node.jobs:
        return "idle"
    return "mixed" if node.free_cpus else "allocated"


def parse_state(text: str) -> str | None:
    """The long name of a state by either name; None for what is none."""
    upper = text.strip().upper()
    if upper in COMPACT:
        return upper
    return next((name for name, short in COMPACT.items() if short == upper), None)


assert {state.value for state in State} <= set(COMPACT)  # noqa: S101
