"""Commands that tell what happened on a cluster: its timeline, its log."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import click

from simcluster.commands.lookup import find_cluster
from simcluster.timeline import write_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcluster.history import History
    from simcluster.running import RunningCluster

__all__ = ["logs", "timeline"]


class _Backend(Protocol):
    """What each backend's module `backend` knows of a cluster that is up."""

    def history_of(self, cluster: RunningCluster) -> History: ...
    def log_of(self, cluster: RunningCluster, *, follow: bool) -> Iterator[str]: ...


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(dir_okay=False), default="timeline.html", show_default=True)
def timeline(name: str, output: str) -> None:
    """Draw who ran where and when: one HTML page that needs nothing else."""
    cluster = find_cluster(name)
    click.echo(write_timeline(output, [_backend(cluster).history_of(cluster)]))


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the cluster ends or Ctrl-C.")
def logs(name: str, follow: bool) -> None:
    """Show what a cluster's scheduler and machines log."""
    cluster = find_cluster(name)
    for line in _backend(cluster).log_of(cluster, follow=follow):
        click.echo(line)


def _backend(cluster: RunningCluster) -> _Backend:
    return cast("_Backend", import_module(f"simcluster.{cluster.spec.backend}.backend"))
