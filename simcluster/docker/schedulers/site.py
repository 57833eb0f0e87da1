"""What differs between the schedulers of clusters in containers."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

from simcluster.cluster import Job
from simcluster.history import JobHistory, NodeHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simcluster.docker.recipe import ImageRecipe
    from simcluster.spec import ClusterSpec

__all__ = ["Breakdown", "NodesAndJobs", "Root", "Site", "as_jobs", "history_of", "said"]


NodesAndJobs = tuple[tuple[NodeHistory, ...], tuple[JobHistory, ...]]


class Root(Protocol):
    """The login host's root."""

    def __call__(self, command: list[str]) -> str:
        """What a command prints on its stdout."""
        ...


@dataclass(frozen=True)
class Breakdown:
    """The faults of the scheduler: bash for root on the login host, and what can't be had, each with the reason.

    `commands` are those that troubles are put before, from the directory `programs`. `reject` is the bash by which those that
    submit refuse a job with a message, `unreachable` that by which any of them fails as if nobody answered; both know the command as
    $name. `timeout` ends a job as if its time was over.
    """

    stop: str = ""
    go_on: str = ""
    commands: tuple[str, ...] = ()
    programs: str = "/usr/bin"
    reject: Callable[[str], str] = str
    unreachable: str = ""
    timeout: Callable[[str], str] = str
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """A scheduler as the backend knows it. `name` is what it is called, honestly, where clusters and images have names.

    `settings` are the files that every machine finds in /run/simcluster; they are made once for a cluster. `ready` is bash for
    the user on the login host that returns when all nodes take jobs. `jobs` and `history` ask root. In Docker's DNS machines
    have another name by address than by name; where the scheduler minds, `needs_hosts` has them write down each other.
    """

    name: str
    recipe: Callable[[ClusterSpec], ImageRecipe]
    settings: Callable[[ClusterSpec], dict[str, str]]
    ready: Callable[[ClusterSpec], str]
    jobs: Callable[[ClusterSpec, Root], list[Job]]
    history: Callable[[ClusterSpec, Root, str], NodesAndJobs]
    breakdown: Breakdown
    login_arguments: Callable[[ClusterSpec], list[str]] = lambda _spec: []
    node_capabilities: tuple[str, ...] = ()
    needs_hosts: bool = False


def as_jobs(histories: Iterable[JobHistory], directory: Callable[[str], str | None]) -> list[Job]:
    """The jobs of a history, each with the directory that is known for its id."""
    return [
        Job(
            id=each.id,
            name=each.name,
            state=each.state,
            node=",".join(each.runs[-1].nodes) if each.runs else None,
            submit=_moment(each.submitted),
            start=_moment(each.runs[-1].start) if each.runs else None,
            end=_moment(each.ended),
            exit_code=each.exit_code,
            directory=directory(each.id),
        )
        for each in histories
    ]


def history_of(records: Callable[[Root], Iterable[JobHistory]]) -> Callable[[ClusterSpec, Root, str], NodesAndJobs]:
    """The history of a scheduler that keeps no record of when a node was down: its jobs' `records`."""

    def history(spec: ClusterSpec, root: Root, _log: str) -> NodesAndJobs:
        nodes = tuple(NodeHistory(name, spec.cpus_per_node) for name in spec.node_names)
        return nodes, tuple(records(root))

    return history


def said(*lines: str, code: int) -> str:
    """The bash by which a command says these lines on its stderr, and fails."""
    return f"printf '%s\\n' {' '.join(map(shlex.quote, lines))} >&2; exit {code}"


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
