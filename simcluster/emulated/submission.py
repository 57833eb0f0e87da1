"""From a request to a job: what a site fills in, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.jobs import Job
from simcluster.emulated.need import Choice, Need
from simcluster.emulated.refusals import Refusal, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simcluster.emulated.allocation import Nodes
    from simcluster.emulated.interface import Partition, Settings
    from simcluster.emulated.jobs import Request

__all__ = ["Site", "default_priority", "is_too_long", "make_job"]

_FIRST_PRIORITY = 4294901760


class Site:
    """Partitions, nodes and settings together, as far as a submission asks for them."""

    def __init__(self, partitions: Mapping[str, Partition], nodes: Nodes, settings: Settings) -> None:
        self.partitions = partitions
        self.nodes = nodes
        self.settings = settings
        self._allowed: dict[object, frozenset[int] | None] = {}
        machines = [node.machine for node in nodes.all]
        self.memory_per_cpu = settings.memory_per_cpu or min(m.memory_mb // m.cpus for m in machines)

    @property
    def default_partition(self) -> Partition:
        return next((p for p in self.partitions.values() if p.is_default), next(iter(self.partitions.values())))

    def named(self, names: str | None) -> list[Partition]:
        """The partitions of that name, or of those with commas between them; without one the default."""
        if names is None:
            return [self.default_partition]
        for one in names.split(","):
            if one not in self.partitions:
                raise RefusedError(Refusal.UNKNOWN_PARTITION, one)
        return [self.partitions[one] for one in dict.fromkeys(names.split(","))]

    def choices(self, request: Request) -> tuple[Choice, ...]:
        """Where the job could start."""
        return tuple(
            Choice(partition.name, self.need(request, partition), self.limit(request, partition))
            for partition in self.named(request.partition)
        )

    def check_before_numbering(self, request: Request) -> None:
        """What is refused without using up a number."""
        self.named(request.partition)
        for name in (*request.nodelist, *request.exclude):
            if name not in self.nodes.position:
                raise RefusedError(Refusal.UNKNOWN_NODE, name)
        if request.array is not None and (not request.array or max(request.array) >= self.settings.max_array_size):
            raise RefusedError(Refusal.ARRAY)
        if request.gpus and not any(node.machine.gpus for node in self.nodes.all):
            raise RefusedError(Refusal.NO_GPUS)

    def check(self, request: Request, choices: Sequence[Choice]) -> None:
        """What is refused after a number was taken. A held job is looked at only when it is released."""
        known = {feature for node in self.nodes.all for feature in node.machine.features}
        for alternative in request.features:
            if not known.issuperset(alternative):
                raise RefusedError(Refusal.UNKNOWN_FEATURE)
        if self.settings.enforces_accounts:
            if request.account is not None and request.account not in self.settings.accounts:
                raise RefusedError(Refusal.ACCOUNT)
            if request.qos is not None and request.qos not in self.settings.qualities:
                raise RefusedError(Refusal.QOS)
        for choice in choices:
            partition = self.partitions[choice.partition]
            if self.settings.enforces_partition_limits:
                names = self.nodes.position if partition.nodes is None else partition.nodes
                if not set(request.nodelist) <= set(names):
                    raise RefusedError(Refusal.FOREIGN_NODES)
                if choice.need.tasks * choice.need.cpus_per_task > sum(self.nodes[name].machine.cpus for name in names):
                    raise RefusedError(Refusal.TOO_MANY_CPUS)
                if choice.need.min_nodes > len(partition.nodes or self.nodes.all):
                    raise RefusedError(Refusal.TOO_MANY_NODES)
                if is_too_long(choice.limit, partition):
                    raise RefusedError(Refusal.TIME_LIMIT)
        is_taken = request.is_held or self.settings.takes_impossible
        if not is_taken and not any(self.nodes.could_ever(choice.need) for choice in choices):
            raise RefusedError(Refusal.IMPOSSIBLE, self._what_is_missing(choices[0].need))

    def need(self, request: Request, partition: Partition) -> Need:
        """What the job needs of its nodes, with the site's defaults."""
        min_nodes = max(request.min_nodes, len(request.nodelist))
        memory_per_cpu = request.memory_per_cpu_mb
        return Need(
            tasks=min_nodes if request.is_overcommitted else max(request.tasks, min_nodes),
            cpus_per_task=1 if request.is_overcommitted else request.cpus_per_task,
            tasks_per_node=1 if request.is_overcommitted else request.tasks_per_node,
            min_nodes=min_nodes,
            max_nodes=request.max_nodes,
            memory_mb=request.memory_mb,
            memory_per_cpu_mb=self.memory_per_cpu if memory_per_cpu is None else memory_per_cpu,
            gpus=request.gpus,
            is_exclusive=request.is_exclusive,
            allowed=self._allowed_nodes(request, partition),
            required=tuple(self.nodes.position[name] for name in request.nodelist),
            is_contiguous=request.is_contiguous,
        )

    def limit(self, request: Request, partition: Partition) -> int | None:
        """Seconds that the job may run."""
        if request.time_limit is not None:
            return request.time_limit or None
        return partition.max_time if partition.default_time is None else partition.default_time

    def _allowed_nodes(self, request: Request, partition: Partition) -> frozenset[int] | None:
        key = (partition.nodes, request.features, request.exclude)
        if key == (None, (), ()):
            return None
        if key not in self._allowed:
            names: Iterable[str] = self.nodes.position if partition.nodes is None else partition.nodes
            allowed = frozenset(
                self.nodes.position[name]
                for name in names
                if name not in request.exclude and _has_one_of(self.nodes[name].machine.features, request.features)
            )
            self._allowed[key] = None if len(allowed) == len(self.nodes.all) else allowed
        return self._allowed[key]

    def _what_is_missing(self, need: Need) -> str:
        machines = [node.machine for node in self.nodes.all]
        if need.cpus_per_task > max(machine.cpus for machine in machines):
            return "cpus"
        if (need.memory_mb or 0) > max(machine.memory_mb for machine in machines):
            return "memory"
        return ""


def is_too_long(limit: int | None, partition: Partition) -> bool:
    """Whether a time limit is above the partition's."""
    return partition.max_time is not None and (limit is None or limit > partition.max_time)


def make_job(request: Request, number: int, site: Site, now: float, priority: int) -> Job:
    """The job, or what all elements of an array have in common."""
    choices = site.choices(request)
    site.check(request, choices)
    need = choices[0].need
    cpus = need.tasks * need.cpus_per_task
    memory = need.memory_per_cpu_mb * cpus
    if need.memory_mb is not None:
        memory = (need.memory_mb or site.nodes.all[0].machine.memory_mb) * need.min_nodes
    return Job(
        id=number,
        request=request,
        submitted=now,
        partition=choices[0].partition,
        priority=0 if request.is_held else priority,
        limit=choices[0].limit,
        cpus=cpus,
        memory_mb=memory,
        gpus=need.gpus,
        is_held=request.is_held,
        begin=request.begin,
        dependency=request.dependency,
        need=need,
        choices=choices,
    )


def default_priority(number: int, nice: int) -> int:
    """priority/basic: each submission comes after those before it."""
    return max(1, _FIRST_PRIORITY - number - nice)


def _has_one_of(features: tuple[str, ...], alternatives: tuple[tuple[str, ...], ...]) -> bool:
    return not alternatives or any(set(alternative) <= set(features) for alternative in alternatives)
