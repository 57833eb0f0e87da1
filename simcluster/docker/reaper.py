"""Removes what a run made: containers, networks, volumes and its private directory."""

from __future__ import annotations

import contextlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors

from simcluster.access import MARKER
from simcluster.errors import SimclusterError
from simcluster.ownership import DIRECTORY, RUN, Owner, is_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


__all__ = ["Resource", "abandoned_runs", "list_resources", "reap", "remove_run"]

_GIVE_UP = 60.0


@dataclass(frozen=True)
class Resource:
    """Something in the engine that carries a run's label."""

    kind: str
    id: str
    labels: dict[str, str]
    remove: Callable[[], None]


def list_resources(client: docker.DockerClient, run: str | None = None) -> list[Resource]:
    """Everything that simcluster made, of one run or of all; containers first, as they must be removed first."""
    filters = {"label": f"{RUN}={run}" if run else RUN}
    # By the low-level calls: the objects' own listing asks again for each one, which fails for what just went away.
    api = client.api
    remove_container = partial(api.remove_container, v=True, force=True)
    containers = api.containers(all=True, filters=filters)
    networks = api.networks(filters=filters)
    volumes = api.volumes(filters=filters)["Volumes"] or ()
    return [
        *(Resource("container", c["Id"], c["Labels"], partial(remove_container, c["Id"])) for c in containers),
        *(Resource("network", n["Id"], n["Labels"], partial(api.remove_network, n["Id"])) for n in networks),
        *(
            Resource("volume", v["Name"], v["Labels"], partial(api.remove_volume, v["Name"], force=True))
            for v in volumes
        ),
    ]


def remove_run(client: docker.DockerClient, run: str) -> None:
    """Remove all that the run made. Others may be removing the same: what is gone already is no error."""
    deadline = time.monotonic() + _GIVE_UP
    while resources := list_resources(client, run):
        for kind in ("container", "network", "volume"):
            _remove_together([resource for resource in resources if resource.kind == kind])
        _remove_directories(resource.labels.get(DIRECTORY) for resource in resources)
        if time.monotonic() > deadline:
            left = ", ".join(f"{resource.kind} {resource.id[:20]}" for resource in resources)
            raise SimclusterError(f"run {run}: {left} could not be removed; try `docker rm -f`, `docker network rm`")
        time.sleep(0.05)


def abandoned_runs(resources: Iterable[Resource], here: Owner) -> set[str]:
    """The runs whose owner is dead."""
    return {resource.labels[RUN] for resource in resources if is_abandoned(Owner.from_labels(resource.labels), here)}


def reap(client: docker.DockerClient) -> set[str]:
    """Remove what dead owners left behind; the runs that were removed."""
    runs = abandoned_runs(list_resources(client), Owner.this_process())
    for run in runs:
        remove_run(client, run)
    return runs


def _remove_together(resources: list[Resource]) -> None:
    if not resources:
        return
    with ThreadPoolExecutor(len(resources)) as pool:
        for _ in pool.map(_remove, resources):
            pass


def _remove(resource: Resource) -> None:
    # Gone already, on its way (409), or still held by something that is on its way (403): the next round looks again.
    with contextlib.suppress(docker.errors.APIError):
        resource.remove()


def _remove_directories(directories: Iterable[str | None]) -> None:
    for directory in {Path(name) for name in directories if name}:
        if (directory / MARKER).is_file():
            shutil.rmtree(directory, ignore_errors=True)
