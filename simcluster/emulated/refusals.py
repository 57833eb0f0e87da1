"""What the core won't do, as reasons that each dialect has its own words for."""

from __future__ import annotations

import enum

from simcluster.errors import SimclusterError

__all__ = ["Refusal", "RefusedError"]


class Refusal(enum.Enum):
    """The reasons. `detail` of the error says more where there is more."""

    UNKNOWN_JOB = "there is no such job"
    ENDED = "the job has ended"
    NOT_STARTED = "the job has not started"
    NOT_PENDING = "the job is no longer pending"
    NOT_OWNER = "the job is somebody else's"
    NOT_PERMITTED = "only an operator may do that"
    UNKNOWN_PARTITION = "there is no such partition"
    UNKNOWN_NODE = "there is no such node"
    UNKNOWN_FEATURE = "no node has such a feature"
    IMPOSSIBLE = "no set of nodes could ever run the job"
    TOO_MANY_NODES = "the partition has fewer nodes"
    TOO_MANY_CPUS = "the partition has fewer CPUs"
    FOREIGN_NODES = "the nodes are not in the partition"
    TIME_LIMIT = "the time limit is above the partition's"
    ARRAY = "the array has an element that is too high, or none"
    DEPENDENCY = "the dependency makes no sense"
    ACCOUNT = "the user has no such account"
    QOS = "there is no such quality of service"
    NO_GPUS = "there are no GPUs here"
    TOO_MANY_JOBS = "the queue is full"
    NOT_REQUEUEABLE = "the job may not be put back into the queue"
    NOT_RUNNING = "the job still waits"
    PRIORITY = "only an operator may set a priority"
    NOT_SUSPENDED = "the job is not suspended"


class RefusedError(SimclusterError):
    """The core declined; nothing has changed, but a number may have been used up."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal.value}{': ' if detail else ''}{detail}")
        self.refusal = refusal
        self.detail = detail
