"""Which nodes have room for a job: an index over what is free, and the choice of nodes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from simcluster.emulated.interface import Machine
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.need import Need

__all__ = ["Node", "Nodes", "Placement", "share"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Nodes by position, and the CPUs and megabytes on each."""

    nodes: tuple[int, ...]
    cpus: tuple[int, ...]
    memory_mb: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Node:
    """A node with what is free on it. `is_down`: it does not answer; `is_drained`: it takes no further jobs."""

    machine: Machine
    free_cpus: int
    free_memory: int
    free_gpus: int
    busy_gpus: set[int] = field(default_factory=set)
    jobs: dict[Job, None] = field(default_factory=dict)
    is_down: bool = False
    is_responding: bool = True
    is_drained: bool = False
    reason: str | None = None
    reason_time: float | None = None
    reason_user: str | None = None

    @property
    def is_available(self) -> bool:
        return not (self.is_down or self.is_drained)

    def room(self, need: Need) -> int:
        """How many of the job's tasks it can take now."""
        return _room(self.machine, (self.free_cpus, self.free_memory, self.free_gpus), need, is_empty=not self.jobs)

    def take_gpus(self, count: int) -> tuple[int, ...]:
        """Take the first of those that are free."""
        taken = tuple([index for index in range(self.machine.gpus) if index not in self.busy_gpus][:count])
        self.busy_gpus.update(taken)
        self.free_gpus -= count
        return taken

    def size(self, need: Need) -> int:
        """How many of the job's tasks it could take if it were empty."""
        machine = self.machine
        return _room(machine, (machine.cpus, machine.memory_mb, machine.gpus), need, is_empty=True)


class Nodes:
    """All nodes in their order; `absent` are those that take no jobs. The first that has room is found in logarithmic time by a tree of maxima."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.all = [Node(machine, machine.cpus, machine.memory_mb, machine.gpus) for machine in machines]
        self.position = {machine.name: number for number, machine in enumerate(machines)}
        self.absent: dict[str, None] = {}
        self._free_cpus = 0
        self._verdicts: dict[Need, bool] = {}
        self._leaves = 1 << max(0, len(machines) - 1).bit_length()
        self._cpus = [-1] * (2 * self._leaves)
        self._memory = [-1] * (2 * self._leaves)
        self._gpus = [-1] * (2 * self._leaves)
        for number in range(len(machines)):
            self._refresh(number)

    def __getitem__(self, name: str) -> Node:
        return self.all[self.position[name]]

    def place(self, need: Need, avoid: AbstractSet[int] = frozenset()) -> Placement | None:
        """Nodes that have room for the job now: the first one that takes it whole, or else the first that do together."""
        if need.min_nodes == 1 and not need.required:
            for number in self._with_room(need, need.tasks):
                if number not in avoid and self.all[number].room(need) >= need.tasks:
                    return self._placement(need, [(number, need.tasks)])
            if need.max_nodes == 1 or need.tasks == 1:
                return None
        if need.tasks * need.cpus_per_task > self._free_cpus:
            return None
        rooms = []
        wanted = set(need.required)
        for number in self._with_room(need, 1):
            room = 0 if number in avoid else self.all[number].room(need)
            if room:
                rooms.append((number, room))
                wanted.discard(number)
                if not wanted and _is_enough(rooms, need):
                    break
        shares = share(rooms, need)
        return None if shares is None else self._placement(need, shares)

    def could_ever(self, need: Need) -> bool:
        """Whether the job fits on the nodes as they are built."""
        if need not in self._verdicts:
            self._verdicts[need] = self._fits_empty(need, range(len(self.all)))
        return self._verdicts[need]

    def could_now(self, need: Need) -> bool:
        """Whether it would fit if the nodes that take jobs were empty."""
        return self._fits_empty(need, [n for n, node in enumerate(self.all) if node.is_available])

    def _fits_empty(self, need: Need, numbers: Iterable[int]) -> bool:
        allowed = need.allowed
        sizes = [(n, self.all[n].size(need)) for n in numbers if allowed is None or n in allowed]
        return share([item for item in sizes if item[1]], need) is not None

    def take(self, job: Job, placement: Placement, need: Need) -> None:
        """Give the job its nodes."""
        job.nodes = tuple(self.all[number].machine.name for number in placement.nodes)
        job.cpus_by_node, job.memory_by_node = placement.cpus, placement.memory_mb
        job.gpus_by_node = (
            tuple(self.all[number].take_gpus(need.gpus) for number in placement.nodes) if need.gpus else ()
        )
        for number, cpus, memory in zip(placement.nodes, placement.cpus, placement.memory_mb, strict=True):
            node = self.all[number]
            node.free_cpus -= cpus
            node.free_memory -= memory
            node.jobs[job] = None
            self._refresh(number)

    def give_back(self, job: Job) -> None:
        """Take the job's nodes back; once is enough, and twice does no harm."""
        gpus = job.gpus_by_node or ((),) * len(job.nodes)
        for name, cpus, memory, taken in zip(job.nodes, job.cpus_by_node, job.memory_by_node, gpus, strict=True):
            node = self[name]
            if job in node.jobs:
                del node.jobs[job]
                node.free_cpus += cpus
                node.free_memory += memory
                node.free_gpus += len(taken)
                node.busy_gpus.difference_update(taken)
                self._refresh(self.position[name])

    def refresh(self, name: str) -> None:
        """Look again at a node whose state has changed."""
        if self[name].is_available:
            self.absent.pop(name, None)
        else:
            self.absent[name] = None
        self._refresh(self.position[name])

    def _placement(self, need: Need, shares: Iterable[tuple[int, int]]) -> Placement:
        nodes, cpus, memory = [], [], []
        for number, tasks in shares:
            machine = self.all[number].machine
            taken = machine.cpus if need.is_exclusive else tasks * need.cpus_per_task
            nodes.append(number)
            cpus.append(taken)
            if need.memory_mb is None:
                memory.append(need.memory_per_cpu_mb * taken)
            else:
                memory.append(need.memory_mb or machine.memory_mb)
        return Placement(tuple(nodes), tuple(cpus), tuple(memory))

    def _with_room(self, need: Need, tasks: int) -> Iterator[int]:
        """Nodes in order that have the CPUs, memory and GPUs for so many tasks, as far as the index can tell."""
        cpus = tasks * need.cpus_per_task
        memory = need.memory_per_cpu_mb * cpus if need.memory_mb is None else need.memory_mb
        gpus, allowed, leaves = need.gpus, need.allowed, self._leaves
        if allowed is not None and len(allowed) * 8 < len(self.all):
            yield from sorted(allowed)
            return
        stack = [1]
        while stack:
            place = stack.pop()
            if self._cpus[place] < cpus or self._memory[place] < memory or self._gpus[place] < gpus:
                continue
            if place < leaves:
                stack.append(2 * place + 1)
                stack.append(2 * place)
            elif allowed is None or place - leaves in allowed:
                yield place - leaves

    def _refresh(self, number: int) -> None:
        node = self.all[number]
        place = self._leaves + number
        all_cpus, all_memory, all_gpus = self._cpus, self._memory, self._gpus
        if node.is_down or node.is_drained:
            cpus = memory = gpus = -1
        else:
            cpus, memory, gpus = node.free_cpus, node.free_memory, node.free_gpus
        self._free_cpus += max(0, cpus) - max(0, all_cpus[place])
        all_cpus[place], all_memory[place], all_gpus[place] = cpus, memory, gpus
        while place > 1:
            other = place ^ 1
            place >>= 1
            cpus = max(cpus, all_cpus[other])
            memory = max(memory, all_memory[other])
            gpus = max(gpus, all_gpus[other])
            if all_cpus[place] == cpus and all_memory[place] == memory and all_gpus[place] == gpus:
                break
            all_cpus[place], all_memory[place], all_gpus[place] = cpus, memory, gpus


def share(rooms: Sequence[tuple[int, int]], need: Need) -> list[tuple[int, int]] | None:
    """Tasks for each of the nodes, given how many each could take; None if they are too few. Earlier nodes get more."""
    if need.is_contiguous:
        runs = (share(run, replace(need, is_contiguous=False)) for run in _runs(rooms))
        return next((shares for shares in runs if shares is not None), None)
    chosen = _chosen(rooms, need)
    if chosen is None:
        return None
    shares, left = [], need.tasks
    for index, (number, room) in enumerate(chosen):
        if not left:
            break
        others = max(0, need.min_nodes - index - 1)
        tasks = min(room, max(1, left - others))
        shares.append((number, tasks))
        left -= tasks
    return None if left or len(shares) < max(need.min_nodes, len(need.required)) else shares


def _runs(rooms: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Those that are next to each other, together."""
    runs: list[list[tuple[int, int]]] = []
    for number, room in rooms:
        if runs and runs[-1][-1][0] + 1 == number:
            runs[-1].append((number, room))
        else:
            runs.append([(number, room)])
    return runs


def _chosen(rooms: Sequence[tuple[int, int]], need: Need) -> list[tuple[int, int]] | None:
    required = [item for item in rooms if item[0] in need.required]
    if len(required) < len(need.required):
        return None
    others = [item for item in rooms if item[0] not in need.required]
    if need.max_nodes is not None and len(rooms) > need.max_nodes:
        others.sort(key=lambda item: -item[1])
        return required + others[: max(0, need.max_nodes - len(required))]
    return required + others


def _is_enough(rooms: Sequence[tuple[int, int]], need: Need) -> bool:
    return (
        not need.is_contiguous
        and need.max_nodes is None
        and len(rooms) >= need.min_nodes
        and sum(room for _, room in rooms) >= need.tasks
    )


def _room(machine: Machine, free: tuple[int, int, int], need: Need, *, is_empty: bool) -> int:
    cpus, memory, gpus = free
    if need.is_exclusive and not is_empty:
        return 0
    if gpus < need.gpus:
        return 0
    tasks = cpus // need.cpus_per_task
    if need.memory_mb is None:
        per_cpu = need.memory_per_cpu_mb
        if per_cpu:
            tasks = min(tasks, memory // (per_cpu * need.cpus_per_task))
    elif memory < (need.memory_mb or machine.memory_mb):
        return 0
    return tasks if need.tasks_per_node is None else min(tasks, need.tasks_per_node)
