"""When jobs that wait are going to start, if each running job takes all of its time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from simcluster.emulated.allocation import Node, share

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from simcluster.emulated.allocation import Nodes
    from simcluster.emulated.jobs import Job

__all__ = ["forecast"]

_MOST_RUNNING = 1000
_MOST_WAITING = 100

_End = tuple[float, int, list[tuple[int, int, int, int]], "Job"]


def forecast(
    waiting: Iterable[Job], nodes: Nodes, running: Collection[Job], now: float
) -> dict[Job, tuple[float, tuple[str, ...]]]:
    """Start and nodes for the first of the jobs, which come in order and start in that order, without backfill.

    A job that can't start before one without a time limit ends is not in it, nor are those behind it. On a cluster
    that is too busy to look ahead nothing is.
    """
    if len(running) > _MOST_RUNNING:
        return {}
    copies = {
        number: Node(node.machine, node.free_cpus, node.free_memory, node.free_gpus, jobs=dict(node.jobs))
        for number, node in enumerate(nodes.all)
        if node.is_available
    }
    ends = _ends(nodes, running, now)
    found: dict[Job, tuple[float, tuple[str, ...]]] = {}
    for count, job in enumerate(waiting):
        need = job.choices[0].need
        while (shares := _shares(job, copies)) is None and ends:
            now = _give_back(copies, heapq.heappop(ends), now)
        if shares is None or count >= _MOST_WAITING:
            break
        found[job] = now, tuple(nodes.all[number].machine.name for number, _ in shares)
        taken = []
        for number, tasks in shares:
            machine = copies[number].machine
            cpus = machine.cpus if need.is_exclusive else tasks * need.cpus_per_task
            memory = need.memory_per_cpu_mb * cpus if need.memory_mb is None else (need.memory_mb or machine.memory_mb)
            taken.append((number, cpus, memory, need.gpus))
            _change(copies[number], -cpus, -memory, -need.gpus)
            copies[number].jobs[job] = None
        limit = job.choices[0].limit
        if limit is not None:
            heapq.heappush(ends, (now + limit, len(running) + count, taken, job))
    return found


def _ends(nodes: Nodes, running: Iterable[Job], now: float) -> list[_End]:
    ends: list[_End] = []
    for index, job in enumerate(running):
        if job.started is not None and job.limit is not None:
            shares = zip(job.nodes, job.cpus_by_node, job.memory_by_node, strict=True)
            taken = [(nodes.position[name], cpus, memory, job.gpus) for name, cpus, memory in shares]
            ends.append((max(now, job.started + job.limit), index, taken, job))
    heapq.heapify(ends)
    return ends


def _shares(job: Job, copies: dict[int, Node]) -> list[tuple[int, int]] | None:
    need = job.choices[0].need
    allowed = copies if need.allowed is None else need.allowed & copies.keys()
    rooms = [(number, room) for number in sorted(allowed) if (room := copies[number].room(need))]
    return share(rooms, need)


def _give_back(copies: dict[int, Node], end: _End, now: float) -> float:
    time, _, taken, job = end
    for number, cpus, memory, gpus in taken:
        if number in copies:
            _change(copies[number], cpus, memory, gpus)
            copies[number].jobs.pop(job, None)
    return max(now, time)


def _change(node: Node, cpus: int, memory: int, gpus: int) -> None:
    node.free_cpus += cpus
    node.free_memory += memory
    node.free_gpus += gpus
