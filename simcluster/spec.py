"""What a cluster is made of, checked before anything is started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from simcluster.errors import SpecError

__all__ = [
    "BACKENDS",
    "PYTHONS",
    "SCHEDULERS",
    "SLURM_VERSIONS",
    "VERSIONS",
    "ClusterSpec",
    "Partition",
    "checked_name",
]

SCHEDULERS = ("slurm", "pbs", "sge", "ssh")
BACKENDS = ("emulated", "native", "docker")
PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
SLURM_VERSIONS = ("22.05", "24.11")
VERSIONS = {"slurm": SLURM_VERSIONS, "pbs": ("23.06",), "sge": ("8.1",), "ssh": ()}
STATES = ("UP", "DOWN", "DRAIN", "INACTIVE")

_UNITS = {
    "": 1,
    "M": 1,
    "MB": 1,
    "MIB": 1,
    "G": 1024,
    "GB": 1024,
    "GIB": 1024,
    "T": 1 << 20,
    "TB": 1 << 20,
    "TIB": 1 << 20,
}


@dataclass(frozen=True)
class Partition:
    """A partition beside the default one, which is called `debug` and has every node.

    `nodes` are names ("node1"); None is all of them. `max_time` is as in slurm.conf: "30" (minutes), "2:00:00",
    "1-00:00:00" or "INFINITE". With PBS it is a queue beside `workq`, or workq itself, and more can be said of it:
    `state` is as in slurm.conf too ("DOWN" starts no jobs, "DRAIN" takes none, "INACTIVE" neither), and `max_cpus` is
    the most that one job may have.
    """

    name: str
    nodes: tuple[str, ...] | None = None
    max_time: str = "INFINITE"
    state: str = "UP"
    max_cpus: int | None = None

    def __post_init__(self) -> None:
        _one_of(f"partition {self.name}: state", self.state, STATES)
        if self.max_cpus is not None:
            _whole_number(f"partition {self.name}: max_cpus", self.max_cpus, at_least=1)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", self.name) or self.name in {"debug", "DEFAULT"}:
            raise SpecError(
                f"partition name {self.name!r}: letters, digits, '-' and '_', and neither debug nor DEFAULT"
            )
        if not re.fullmatch(r"INFINITE|(\d+-)?\d+(:\d+){0,2}", self.max_time):
            raise SpecError(
                f"partition {self.name}: max_time {self.max_time!r} is not minutes, H:MM:SS, D-HH:MM:SS or INFINITE"
            )
        if self.nodes is not None:
            object.__setattr__(self, "nodes", tuple(self.nodes))

    @property
    def max_seconds(self) -> int | None:
        """`max_time` in seconds; None is no limit."""
        if self.max_time == "INFINITE":
            return None
        days, _, rest = self.max_time.rpartition("-")
        parts = [int(part) for part in rest.split(":")]
        # D-H:M:S from the left; else minutes, M:S or H:M:S.
        units = (3600, 60, 1) if days or len(parts) == 3 else (60, 1)
        return int(days or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units, strict=False))


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster to be: the arguments of `simcluster.start`, checked.

    `pythons=None` is every version that the backend has. `version` is the scheduler's (Slurm's "22.05" or
    "24.11", PBS's "23.06"), None the backend's default. A GB is 1024 MB, as schedulers count. `partitions` takes names, mappings or `Partition`s.
    `accounting=None` is where it can be had: always, but on native only if slurmdbd and MariaDB are installed.
    `seed` is what `faults.chaos()` takes if it is given none. `hide` are paths of this machine that the cluster must not see either (emulated, native).
    Without `internet` nothing gets from the cluster's machines to anywhere but each other; who is here still logs in (docker).
    """

    scheduler: str = "slurm"
    backend: str = "emulated"
    nodes: int = 2
    cpus_per_node: int = 4
    memory_per_node: str = "4GB"
    gpus_per_node: int = 0
    pythons: tuple[str, ...] | None = None
    partitions: tuple[Partition, ...] = ()
    accounting: bool | None = None
    version: str | None = None
    hide: tuple[str, ...] = ()
    internet: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        _one_of("scheduler", self.scheduler, SCHEDULERS)
        _one_of("backend", self.backend, BACKENDS)
        if self.version is not None:
            _one_of("version", self.version, VERSIONS[self.scheduler])
        _whole_number("nodes", self.nodes, at_least=1)
        _whole_number("cpus_per_node", self.cpus_per_node, at_least=1)
        _whole_number("gpus_per_node", self.gpus_per_node, at_least=0)
        if self.seed is not None:
            _whole_number("seed", self.seed, at_least=0)
        object.__setattr__(self, "pythons", _sorted_pythons(self.pythons))
        object.__setattr__(self, "partitions", _as_partitions(self.partitions))
        object.__setattr__(self, "hide", _as_paths(self.hide))
        if self.scheduler != "pbs" and any(each.state != "UP" or each.max_cpus for each in self.partitions):
            raise SpecError('partitions: state and max_cpus are for scheduler="pbs"')
        if not self.internet and self.backend != "docker":
            raise SpecError(
                f'internet=False: backend="{self.backend}" is on this machine\'s own network; backend="docker" can'
            )
        if self.backend == "native":
            self._check_native()
        elif self.accounting is None:
            object.__setattr__(self, "accounting", True)
        if self.memory_mb < self.cpus_per_node:
            raise SpecError(f"memory_per_node={self.memory_per_node!r} is less than a megabyte for each CPU")
        for partition in self.partitions:
            unknown = sorted(set(partition.nodes or ()) - set(self.node_names))
            if unknown:
                raise SpecError(
                    f"partition {partition.name} names {', '.join(unknown)}; the nodes are {', '.join(self.node_names)}"
                )

    @property
    def memory_mb(self) -> int:
        """Memory of a node in MB."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(self.memory_per_node).strip())
        if not match or match[2].upper() not in _UNITS:
            raise SpecError(f"memory_per_node={self.memory_per_node!r} is not a size; write for example 4GB or 512MB")
        return int(float(match[1]) * _UNITS[match[2].upper()])

    @property
    def node_names(self) -> tuple[str, ...]:
        """node1 to nodeN; a host without a scheduler has none."""
        if self.scheduler == "ssh":
            return ()
        return tuple(f"node{number}" for number in range(1, self.nodes + 1))

    def _check_native(self) -> None:
        if self.scheduler != "slurm":
            raise SpecError(
                f'scheduler={self.scheduler!r}: backend="native" is this machine\'s Slurm, and nothing else'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClusterSpec:
        """A spec from plain values, as YAML or JSON has them; unknown names are errors."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise SpecError(f"unknown settings {', '.join(unknown)}; a cluster has {', '.join(known)}")
        return cls(**values)

    @classmethod
    def from_yaml(cls, path: str | Path) -> ClusterSpec:
        """A spec from a YAML file with the names of `simcluster.start`'s arguments."""
        import yaml  # noqa: PLC0415 - in a container of its own the emulated scheduler has none

        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise SpecError(f"{path} is not YAML: {error}") from error
        if not isinstance(values, Mapping):
            raise SpecError(f"{path}: expected a mapping such as 'scheduler: slurm'")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """The plain values that `from_dict` takes."""
        return asdict(self)


def checked_name(name: str) -> str:
    """The name of a cluster, which becomes a directory's name and a host in an ssh config."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise SpecError(f"name {name!r}: use letters, digits, '-' and '_'")
    return name


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"{name}={value!r}: this version of simcluster has {', '.join(allowed)}")


def _whole_number(name: str, value: object, at_least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise SpecError(f"{name}={value!r}: expected a whole number, at least {at_least}")


def _sorted_pythons(pythons: Any) -> tuple[str, ...] | None:
    if pythons is None:
        return None
    if isinstance(pythons, str):
        raise SpecError(f'pythons={pythons!r}: expected a list of versions, such as ["{pythons}"]')
    wanted = []
    for version in pythons:
        if not isinstance(version, str):
            raise SpecError(
                f"pythons: write versions as text in quotes, for {version!r} would make 3.10 and 3.1 the same"
            )
        _one_of("pythons", version, PYTHONS)
        wanted.append(version)
    if not wanted:
        raise SpecError(f"pythons is empty: name at least one of {', '.join(PYTHONS)}")
    return tuple(sorted(set(wanted), key=PYTHONS.index))


def _as_paths(paths: Any) -> tuple[str, ...]:
    if isinstance(paths, (str, Path)):
        raise SpecError(f"hide={str(paths)!r}: expected a list of paths")
    made = tuple(str(Path(path).expanduser().absolute()) for path in paths)
    if "/" in made:
        raise SpecError("hide: / can't be hidden, for nothing would be left to run")
    return made


def _as_partitions(partitions: Any) -> tuple[Partition, ...]:
    if isinstance(partitions, (str, Mapping)):
        raise SpecError(f"partitions={partitions!r}: expected a list of names or of mappings with a name")
    made = []
    for item in partitions or ():
        if isinstance(item, Partition):
            made.append(item)
        elif isinstance(item, str):
            made.append(Partition(item))
        else:
            try:
                made.append(Partition(**item))
            except TypeError as error:
                raise SpecError(f"partition {item!r}: expected name, nodes and max_time") from error
    names = [partition.name for partition in made]
    if len(set(names)) != len(names):
        raise SpecError(f"partitions: a name is there twice in {', '.join(names)}")
    return tuple(made)
