"""Commands that tell what happened on a cluster: its timeline, its log."""

from __future__ import annotations

import click

from simcluster.backends import find_cluster, load_backend
from simcluster.timeline import write_timeline

__all__ = ["logs", "timeline"]


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(dir_okay=False), default="timeline.html", show_default=True)
def timeline(name: str, output: str) -> None:
    """Draw who ran where and when: one HTML page that needs nothing else."""
    cluster = find_cluster(name)
    history = load_backend(cluster.spec.backend).history_of(cluster)
    try:
        click.echo(write_timeline(output, [history]))
    except OSError as error:
        raise click.ClickException(f"can't write {output}: {error.strerror}") from error


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the cluster ends or Ctrl-C.")
def logs(name: str, follow: bool) -> None:
    """Show what a cluster's scheduler and machines log."""
    cluster = find_cluster(name)
    for line in load_backend(cluster.spec.backend).log_of(cluster, follow=follow):
        click.echo(line)
