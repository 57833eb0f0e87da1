"""What happened on a cluster: who ran where and when, and what was broken meanwhile. All times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FaultSpan", "History", "JobHistory", "NodeHistory", "Run"]


@dataclass(frozen=True)
class Run:
    """One stay of a job on nodes. `cpus` are by node, as `nodes`; `end` is None while it lasts.

    `state` is how it ended, in the scheduler-neutral words of Slurm: RUNNING, COMPLETED, NODE_FAIL, ...
    """

    nodes: tuple[str, ...]
    cpus: tuple[int, ...]
    state: str
    start: float
    end: float | None


@dataclass(frozen=True)
class JobHistory:
    """A job, or an element of an array, with all its runs, the first one first. `ended` is None while it waits or runs."""

    id: str
    name: str
    user: str
    state: str
    submitted: float
    ended: float | None
    runs: tuple[Run, ...] = ()
    exit_code: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class NodeHistory:
    """A compute node. `down` are the spans in which the scheduler could not use it; the end of the last may be None."""

    name: str
    cpus: int
    down: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True)
class FaultSpan:
    """A fault that was made on purpose. `name` is as `node.kill`, `detail` its arguments in words."""

    name: str
    detail: str
    start: float
    end: float | None


@dataclass(frozen=True)
class History:
    """Everything of a cluster from its start until `taken`."""

    cluster: str
    started: float
    taken: float
    nodes: tuple[NodeHistory, ...]
    jobs: tuple[JobHistory, ...]
    faults: tuple[FaultSpan, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """What `dataclasses.asdict` made, perhaps by way of JSON."""
        return cls(
            cluster=values["cluster"],
            started=values["started"],
            taken=values["taken"],
            nodes=tuple(_node(**node) for node in values["nodes"]),
            jobs=tuple(_job(**job) for job in values["jobs"]),
            faults=tuple(FaultSpan(**fault) for fault in values.get("faults", ())),
        )


def _node(*, down: Any, **values: Any) -> NodeHistory:
    return NodeHistory(down=tuple((start, end) for start, end in down), **values)


def _job(*, runs: Any, **values: Any) -> JobHistory:
    return JobHistory(runs=tuple(_run(**run) for run in runs), **values)


def _run(*, nodes: Any, cpus: Any, **values: Any) -> Run:
    return Run(nodes=tuple(nodes), cpus=tuple(cpus), **values)
