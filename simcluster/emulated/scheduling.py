"""A pass over the queue: by priority, with backfill that delays no job that has come first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.allocation import Node, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simcluster.emulated.allocation import Nodes, Placement
    from simcluster.emulated.arrays import Array
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.need import Choice, Need
    from simcluster.emulated.queue import Queue

__all__ = ["Pass", "Reservation", "expected_start"]


_WORTH = 30  # seconds after which a reservation is worked out anew, for jobs may have ended early


@dataclass(frozen=True)
class Reservation:
    """From `time` on, `nodes` belong to a job that has to wait until then. It was worked out at `made`."""

    job: Job
    made: float
    time: float
    nodes: frozenset[int]


@dataclass
class Pass:
    """What a pass needs to know, and the reservations that it leaves to the next one.

    In each partition the first job that can't start gets a reservation (as in EASY backfill; Slurm gives one to each
    of the first `bf_max_job_test`). It is worked out when a later job could start, holds until its time comes, and is
    not worked out again for another job within `interval` seconds (`bf_interval`).
    """

    queue: Queue
    nodes: Nodes
    arrays: Mapping[int, Array]
    running: Mapping[Job, None]
    depth: int
    interval: float

    def __post_init__(self) -> None:
        self.wanted: float | None = None
        self._reservations: dict[str, Reservation] = {}

    def run(self, now: float, start: Callable[[Job, Choice, Placement], None]) -> None:
        """Start what can be started. `wanted` is then when to look again, though nothing may have happened."""
        self.wanted = None
        blocked: dict[str, tuple[Job, Need]] = {}
        tested = 0
        for job, shape in self.queue.in_order():
            choice = shape.choice
            if shape.array_id is not None and self.arrays[shape.array_id].is_full:
                shape.block(job, "JobArrayTaskLimit")
                continue
            placement = self.nodes.place(choice.need)
            if placement is not None and blocked:
                placement = self._without_delay(choice, placement, blocked, now)
            if placement is not None:
                start(job, choice, placement)
                continue
            if choice.partition in blocked:
                shape.block(job, "Priority")
            else:
                shape.block(job, self._why(choice.need))
                blocked[choice.partition] = job, choice.need
            tested += 1
            if tested >= self.depth:
                break

    def _why(self, need: Need) -> str:
        absent = self.nodes.absent
        if not absent or self.nodes.could_now(need):
            return "Resources"
        return f"ReqNodeNotAvail, UnavailableNodes:{','.join(absent)}"

    def _without_delay(
        self, choice: Choice, placement: Placement, blocked: Mapping[str, tuple[Job, Need]], now: float
    ) -> Placement | None:
        avoid: set[int] = set()
        for partition, (first, need) in blocked.items():
            reservation = self._reservation(partition, first, need, now)
            if reservation is None:
                return None
            if choice.limit is None or now + choice.limit > reservation.time:
                avoid |= reservation.nodes
        return placement if avoid.isdisjoint(placement.nodes) else self.nodes.place(choice.need, avoid)

    def _reservation(self, partition: str, job: Job, need: Need, now: float) -> Reservation | None:
        """The reservation of a job that waits; None if it is too early to work out another one."""
        kept = self._reservations.get(partition)
        if kept is not None and kept.job is job and now < min(kept.time, kept.made + _WORTH):
            return kept
        if kept is not None and kept.job is not job and now < kept.made + self.interval:
            self.wanted = min(self.wanted or math.inf, kept.made + self.interval)
            return None
        found = expected_start(need, self.nodes, self.running, now)
        made = Reservation(job, now, *(found or (math.inf, frozenset())))
        self._reservations[partition] = made
        return made


def expected_start(need: Need, nodes: Nodes, running: Iterable[Job], now: float) -> tuple[float, frozenset[int]] | None:
    """When and where the job can start if each running job takes all of its time; None if that is never."""
    copies: dict[int, Node] = {}
    rooms: dict[int, int] = {}
    allowed = range(len(nodes.all)) if need.allowed is None else sorted(need.allowed)
    for number in allowed:
        node = nodes.all[number]
        if node.is_available:
            copies[number] = Node(node.machine, node.free_cpus, node.free_memory, node.free_gpus)
            if need.is_exclusive:
                copies[number].jobs.update(node.jobs)
            if room := copies[number].room(need):
                rooms[number] = room
    ends = sorted(
        (max(now, job.started + job.limit), index, job)
        for index, job in enumerate(running)
        if job.started is not None and job.limit is not None
    )
    total = sum(rooms.values())
    for end, _, job in ends:
        for name, cpus, memory in zip(job.nodes, job.cpus_by_node, job.memory_by_node, strict=True):
            number = nodes.position[name]
            copy = copies.get(number)
            if copy is None:
                continue
            copy.free_cpus += cpus
            copy.free_memory += memory
            copy.free_gpus += job.gpus
            copy.jobs.pop(job, None)
            total -= rooms.get(number, 0)
            rooms[number] = copy.room(need)
            total += rooms[number]
        if total >= need.tasks:
            chosen = share([(number, rooms[number]) for number in sorted(rooms) if rooms[number]], need)
            if chosen:
                return end, frozenset(number for number, _ in chosen)
    return None
