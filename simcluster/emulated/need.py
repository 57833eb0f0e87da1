"""What a job asks of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Choice", "Need"]


@dataclass(frozen=True, slots=True)
class Need:
    """What a job needs of its nodes. `memory_mb` is for each node, None for `memory_per_cpu_mb`; 0 is all of a node's.

    `allowed` are positions of nodes, None for all; `required` must all be among the chosen.
    """

    tasks: int
    cpus_per_task: int
    tasks_per_node: int | None
    min_nodes: int
    max_nodes: int | None
    memory_mb: int | None
    memory_per_cpu_mb: int
    gpus: int
    is_exclusive: bool
    allowed: frozenset[int] | None
    required: tuple[int, ...]
    is_contiguous: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A partition that a job may start in, what it needs there, and how many seconds it may run there."""

    partition: str
    need: Need
    limit: int | None
