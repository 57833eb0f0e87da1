"""`simcluster demo`: a cluster, a few jobs, and what became of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simcluster import start
from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from simcluster.cluster import Cluster

__all__ = ["demo"]

_DEADLINE = 120.0
_SUBMISSIONS = (
    "sbatch --job-name=prepare --ntasks=2 --wrap='sleep 1'",
    "sbatch --job-name=work --array=1-8 --dependency=afterok:1 --wrap='sleep 1; hostname'",
    "sbatch --job-name=breaks --wrap='exit 3'",
    "sbatch --job-name=wide --nodes=2 --ntasks-per-node=2 --wrap='sleep 2'",
    "sbatch --job-name=report --dependency=afterok:2 --wrap='cat slurm-2_*.out'",
)


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), default="simcluster-demo.html", show_default=True)
def demo(output: str) -> None:
    """Start a cluster, run a few jobs on it, and draw what happened. Takes some seconds; nothing stays but the picture."""
    began = time.monotonic()
    with start("slurm", nodes=2, cpus_per_node=4) as cluster:
        click.echo(f"A Slurm cluster of two nodes is up after {time.monotonic() - began:.1f} s: {cluster.name}.")
        click.echo(f"Its Pythons: {', '.join(cluster.pythons)}.\n")
        for line in ("sinfo", *_SUBMISSIONS, "squeue"):
            _show(cluster, line)
        _wait(cluster)
        _show(cluster, "sacct -X --format=JobID,JobName,State,NodeList,Elapsed,ExitCode")
        path = cluster.timeline(output)
    click.echo(f"""\
The cluster is gone. What happened on it is drawn in {path}; open {Path(path).resolve().as_uri()}

Go on with a cluster of your own:
  simcluster up slurm --name mine     start one that stays up
  simcluster ssh mine                 log in; sbatch, squeue and the others are there
  simcluster timeline mine            draw what happened
  simcluster down mine                remove it
In a test: with simcluster.start("slurm") as cluster: cluster.run("sinfo")""")


def _show(cluster: Cluster, line: str) -> None:
    done = cluster.run(line)
    click.echo(f"$ {line}\n{done.stdout}{done.stderr}")


def _wait(cluster: Cluster) -> None:
    """Wait until every job has ended."""
    deadline = time.monotonic() + _DEADLINE
    while any(job.ended is None for job in cluster.history().jobs):
        if time.monotonic() > deadline:
            raise SimclusterError(
                f"the jobs did not end within {_DEADLINE:.0f} s; is this machine very busy? try again"
            )
        time.sleep(0.05)
