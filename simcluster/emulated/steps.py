"""Steps: what is run in a job's allocation beside its script, and where in it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.allocation import share
from simcluster.emulated.jobs import State, Step
from simcluster.emulated.need import Need

if TYPE_CHECKING:
    from simcluster.emulated.jobs import Job, StepRequest

__all__ = ["StepRefusal", "StepRefusedError", "create_step"]


class StepRefusal(enum.Enum):
    """Why a step will never run in this allocation."""

    CPUS = "cpus"
    MEMORY = "memory"
    GPUS = "gpus"
    NODES = "nodes"


class StepRefusedError(Exception):
    """The allocation has not what the step asks for."""

    def __init__(self, refusal: StepRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True)
class _Free:
    """What is left of the allocation on each node."""

    cpus: list[int]
    memory: list[int]
    gpus: list[tuple[int, ...]]


def create_step(job: Job, request: StepRequest, now: float) -> Step | None:
    """A step that may start now, added to the job's; None if others must end before. Raises StepRefusedError."""
    whole = _Free(list(job.cpus_by_node), list(job.memory_by_node), _gpus(job))
    if _shares(job, request, whole) is None:
        raise StepRefusedError(_what_is_missing(job, request, whole))
    free = whole if request.is_overlapping else _left(job, whole)
    shares = _shares(job, request, free)
    if shares is None:
        return None
    places = tuple(place for place, _ in shares)
    tasks = tuple(count for _, count in shares)
    cpus = tuple(
        min(count * request.cpus_per_task, job.cpus_by_node[place]) if request.is_exact else job.cpus_by_node[place]
        for place, count in zip(places, tasks, strict=True)
    )
    step = Step(
        number=job.steps[-1].number + 1 if job.steps else 0,
        request=request,
        nodes=tuple(job.nodes[place] for place in places),
        places=places,
        tasks_by_node=tasks,
        cpus_by_node=cpus,
        memory_by_node=tuple(_memory(job, request, place, count) for place, count in zip(places, cpus, strict=True)),
        gpus_by_node=tuple(free.gpus[place][: request.gpus] for place in places),
        started=now,
    )
    job.steps += (step,)
    return step


def _shares(job: Job, request: StepRequest, free: _Free) -> list[tuple[int, int]] | None:
    rooms = []
    for place, node in enumerate(job.nodes):
        is_wanted = node not in request.exclude and (not request.nodelist or node in request.nodelist)
        room = _room(job, request, free, place) if is_wanted else 0
        if room:
            rooms.append((place, room))
    need = Need(
        tasks=request.tasks,
        cpus_per_task=request.cpus_per_task,
        tasks_per_node=request.tasks_per_node,
        min_nodes=request.min_nodes,
        max_nodes=request.max_nodes,
        memory_mb=None,
        memory_per_cpu_mb=0,
        gpus=0,
        is_exclusive=False,
        allowed=None,
        required=(),
    )
    return share(rooms, need)


def _room(job: Job, request: StepRequest, free: _Free, place: int) -> int:
    """How many tasks that node takes."""
    if not (request.is_exact or request.is_overlapping) and free.cpus[place] < job.cpus_by_node[place]:
        return 0
    if len(free.gpus[place]) < (len(_gpus(job)[place]) if request.gpus is None else request.gpus):
        return 0
    tasks = request.tasks if request.is_overcommitted else free.cpus[place] // request.cpus_per_task
    while tasks and _memory(job, request, place, tasks * request.cpus_per_task) > free.memory[place]:
        tasks -= 1
    return tasks if request.tasks_per_node is None else min(tasks, request.tasks_per_node)


def _memory(job: Job, request: StepRequest, place: int, cpus: int) -> int:
    """Megabytes on that node."""
    if request.memory_mb:
        return request.memory_mb
    if request.memory_per_cpu_mb:
        return request.memory_per_cpu_mb * cpus
    if request.is_exact and job.request.memory_mb is None and job.need is not None:
        return job.need.memory_per_cpu_mb * cpus
    return job.memory_by_node[place]


def _left(job: Job, whole: _Free) -> _Free:
    free = _Free(list(whole.cpus), list(whole.memory), list(whole.gpus))
    for step in job.steps:
        if step.state is State.RUNNING and not step.request.is_overlapping:
            for index, place in enumerate(step.places):
                free.cpus[place] -= step.cpus_by_node[index]
                free.memory[place] -= step.memory_by_node[index]
                taken = step.gpus_by_node[index]
                free.gpus[place] = tuple(gpu for gpu in free.gpus[place] if gpu not in taken)
    return free


def _gpus(job: Job) -> list[tuple[int, ...]]:
    return list(job.gpus_by_node) or [()] * len(job.nodes)


def _what_is_missing(job: Job, request: StepRequest, whole: _Free) -> StepRefusal:
    if (request.memory_mb or 0) > max(whole.memory):
        return StepRefusal.MEMORY
    if (request.gpus or 0) > max(map(len, whole.gpus)):
        return StepRefusal.GPUS
    if not set(request.nodelist) <= set(job.nodes):
        return StepRefusal.NODES
    return StepRefusal.CPUS
