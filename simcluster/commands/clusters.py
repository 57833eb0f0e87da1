"""Commands that start, list, enter and remove clusters."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from simcluster import start
from simcluster.backends import find_cluster, load_backend, running_clusters
from simcluster.commands.parameters import PartitionType, PythonsType
from simcluster.errors import SimclusterError
from simcluster.spec import BACKENDS, SCHEDULERS, VERSIONS, ClusterSpec

if TYPE_CHECKING:
    from pathlib import Path

    from simcluster.running import RunningCluster


__all__ = ["down", "list_", "run", "ssh", "up"]

_VERSIONS = "; ".join(f"{scheduler} {', '.join(versions)}" for scheduler, versions in VERSIONS.items() if versions)

_OF_SCHEDULERS = ("nodes", "cpus_per_node", "memory_per_node", "gpus_per_node", "partitions", "accounting")
"""Settings that a host without a scheduler has no use for."""


@click.command()
@click.argument("scheduler", type=click.Choice(SCHEDULERS), default=None, required=False)
@click.option("--backend", type=click.Choice(BACKENDS), help="What the cluster is made of.  [default: emulated]")
@click.option("--nodes", type=int, help="Compute nodes.  [default: 2]")
@click.option("--cpus", "--cpus-per-node", "cpus_per_node", type=int, help="Of each node.  [default: 4]")
@click.option("--memory", "--memory-per-node", "memory_per_node", metavar="SIZE", help="Of each node.  [default: 4GB]")
@click.option("--gpus", "--gpus-per-node", "gpus_per_node", type=int, help="Counted, not real.  [default: 0]")
@click.option(
    "--partition",
    "partitions",
    type=PartitionType(),
    multiple=True,
    help="Beside `debug`, such as short:node1,node2:30 or long::7-00:00:00; may be given again.",
)
@click.option("--pythons", type=PythonsType(), help="Versions to have; the oldest is python3.  [default: all]")
@click.option("--accounting/--no-accounting", default=None, help="Whether sacct works.  [default: it does]")
@click.option("--version", help=f"The scheduler's version: {_VERSIONS}.  [default: the first]")
@click.option(
    "--hide", type=click.Path(), multiple=True, help="A path that the cluster must not see; may be given again."
)
@click.option(
    "--internet/--no-internet", default=None, help="Whether its machines get out (docker).  [default: they do]"
)
@click.option("--seed", type=int, help="Of the random faults that `cluster.faults.chaos()` makes.")
@click.option("--spec", "spec_file", type=click.Path(exists=True, dir_okay=False), help="A ClusterSpec as YAML.")
@click.option("--name", help="What to call it.  [default: the scheduler and a number]")
def up(spec_file: str | None, name: str | None, **options: Any) -> None:
    """Start a cluster that stays up until `simcluster down`."""
    values = ClusterSpec.from_yaml(spec_file).to_dict() if spec_file else {}
    given = {option: value for option, value in options.items() if value is not None and value != ()}
    values |= given
    if "scheduler" not in values:
        raise click.UsageError(f"which scheduler? one of {', '.join(SCHEDULERS)}")
    if values["scheduler"] == "ssh" and (vain := [name for name in _OF_SCHEDULERS if name in given]):
        named = ", ".join(f"--{name.replace('_', '-')}" for name in vain)
        raise click.UsageError(f"{named}: ssh is one host, without nodes and without a scheduler; leave that out")
    with start(ClusterSpec.from_dict(values), keep=True, name=name) as cluster:
        directory = cluster.ssh.key_file.parent
        click.echo(f"{cluster.name} is up: {len(cluster.nodes)} nodes, Python {', '.join(cluster.pythons)}")
        click.echo(f"  log in      {shlex.join(_ssh_command(directory / 'ssh_config', cluster.name))}")
        click.echo(f"  ssh config  {directory / 'ssh_config'}")
        click.echo(f"  profile     {directory / 'profile.yaml'}")
        click.echo(f"  remove it   simcluster down {cluster.name}")


@click.command("ls")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """List the clusters that are up."""
    clusters = running_clusters()
    if as_json:
        click.echo(json.dumps([_as_json(cluster) for cluster in clusters], indent=2))
        return
    if not clusters:
        click.echo("no cluster is up", err=True)
    for cluster in clusters:
        running = sum(state == "running" for name, state in cluster.machines.items() if name in cluster.spec.node_names)
        belongs = f"process {cluster.owner.pid}" if cluster.owner else "kept"
        nodes = f"{running}/{len(cluster.spec.node_names)} nodes"
        made = f"{cluster.spec.scheduler:6} {cluster.spec.backend:9}"
        click.echo(f"{cluster.name:20} {made} {nodes:12} port {cluster.port or '-':<6} {belongs}")


@click.command()
@click.argument("name")
def ssh(name: str) -> None:
    """Log in to a cluster."""
    cluster = find_cluster(name)
    sys.exit(subprocess.run(_ssh_command(cluster.ssh_config, cluster.name), check=False).returncode)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, command: tuple[str, ...]) -> None:
    """Run a command on a cluster's login host, and exit as it does: simcluster run NAME -- sinfo -N.

    One word is a line for the remote shell ('squeue | wc -l'); several words are a command and its arguments.
    """
    cluster = find_cluster(name)
    line = command[0] if len(command) == 1 else shlex.join(command)
    sys.exit(subprocess.run([*_ssh_command(cluster.ssh_config, cluster.name), line], check=False).returncode)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every cluster that does not belong to a running process.")
def down(names: tuple[str, ...], everything: bool) -> None:
    """Remove clusters and all that they left."""
    if bool(names) == everything:
        raise click.UsageError("name the clusters, or say --all")
    for cluster in running_clusters() if everything else [find_cluster(name) for name in names]:
        if everything and cluster.owner:
            click.echo(f"{cluster.name} is left alone: it belongs to process {cluster.owner.pid}", err=True)
            continue
        load_backend(cluster.spec.backend).end(cluster)
        click.echo(f"{cluster.name} is gone")


def _ssh_command(config: Path, name: str) -> list[str]:
    if not shutil.which("ssh"):
        raise SimclusterError(
            "there is no ssh on this machine; install it (Debian and Ubuntu: apt-get install openssh-client)"
        )
    return ["ssh", "-F", str(config), name]


def _as_json(cluster: RunningCluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "run": cluster.run,
        "spec": cluster.spec.to_dict(),
        "port": cluster.port,
        "created": cluster.created,
        "owner_pid": cluster.owner.pid if cluster.owner else None,
        "machines": cluster.machines,
        "ssh_config": str(cluster.ssh_config),
        "profile": str(cluster.profile),
    }
