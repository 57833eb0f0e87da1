"""The commands of `simcluster`."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import click
import docker.errors

from simcluster import start
from simcluster.docker.engine import connect
from simcluster.docker.images import build_image
from simcluster.docker.inventory import list_clusters
from simcluster.docker.reaper import reap, remove_run
from simcluster.docker.recipe import ImageRecipe
from simcluster.emulated import backend as emulated
from simcluster.errors import BackendUnavailableError, SimclusterError, SpecError
from simcluster.pythons import find_pythons
from simcluster.spec import BACKENDS, PYTHONS, SCHEDULERS, SLURM_VERSIONS, ClusterSpec

if TYPE_CHECKING:
    from pathlib import Path

    from simcluster.running import RunningCluster


__all__ = ["cli"]


class _Group(click.Group):
    """Errors as one sentence: exit 1, or 2 for what was asked wrongly."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SpecError as error:
            raise click.UsageError(str(error)) from error
        except SimclusterError as error:
            raise click.ClickException(str(error)) from error
        except docker.errors.DockerException as error:
            raise click.ClickException(f"the Docker engine refused: {error}") from error


class _Pythons(click.ParamType[Any]):
    """Versions separated by commas."""

    name = "3.X,3.Y"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> Any:
        return value.split(",") if isinstance(value, str) else value


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clustrix")
def cli() -> None:
    """Disposable clusters: a login host, a scheduler, compute nodes, many Pythons."""


@cli.command()
@click.argument("scheduler", type=click.Choice(SCHEDULERS), default=None, required=False)
@click.option("--backend", type=click.Choice(BACKENDS), help="What the cluster is made of.  [default: emulated]")
@click.option("--nodes", type=int, help="Compute nodes.  [default: 2]")
@click.option("--cpus-per-node", type=int, help="[default: 4]")
@click.option("--memory-per-node", metavar="SIZE", help="[default: 4GB]")
@click.option("--gpus-per-node", type=int, help="Counted, not real.  [default: 0]")
@click.option("--pythons", type=_Pythons(), help="Versions to have; the oldest is python3.  [default: all]")
@click.option("--accounting/--no-accounting", default=None, help="Whether sacct works.  [default: it does]")
@click.option("--version", type=click.Choice(SLURM_VERSIONS), help="The scheduler's version.")
@click.option("--spec", "spec_file", type=click.Path(exists=True, dir_okay=False), help="A ClusterSpec as YAML.")
@click.option("--name", help="What to call it.  [default: the scheduler and a number]")
def up(spec_file: str | None, name: str | None, **options: Any) -> None:
    """Start a cluster that stays up until `simcluster down`."""
    values = ClusterSpec.from_yaml(spec_file).to_dict() if spec_file else {}
    values |= {option: value for option, value in options.items() if value is not None}
    if "scheduler" not in values:
        raise click.UsageError(f"which scheduler? one of {', '.join(SCHEDULERS)}")
    with start(ClusterSpec.from_dict(values), keep=True, name=name) as cluster:
        directory = cluster.ssh.key_file.parent
        click.echo(f"{cluster.name} is up: {len(cluster.nodes)} nodes, Python {', '.join(cluster.pythons)}")
        click.echo(f"  log in      {shlex.join(_ssh_command(directory / 'ssh_config', cluster.name))}")
        click.echo(f"  ssh config  {directory / 'ssh_config'}")
        click.echo(f"  profile     {directory / 'profile.yaml'}")
        click.echo(f"  remove it   simcluster down {cluster.name}")


@cli.command("ls")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """List the clusters that are up."""
    clusters = _clusters()
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


@cli.command()
@click.argument("name")
def ssh(name: str) -> None:
    """Log in to a cluster."""
    cluster = _find(name)
    sys.exit(subprocess.run(_ssh_command(cluster.ssh_config, cluster.name), check=False).returncode)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, command: tuple[str, ...]) -> None:
    """Run a command on a cluster's login host, and exit as it does: simcluster run NAME -- sinfo -N.

    One word is a line for the remote shell ('squeue | wc -l'); several words are a command and its arguments.
    """
    cluster = _find(name)
    line = command[0] if len(command) == 1 else shlex.join(command)
    sys.exit(subprocess.run([*_ssh_command(cluster.ssh_config, cluster.name), line], check=False).returncode)


@cli.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every cluster that does not belong to a running process.")
def down(names: tuple[str, ...], everything: bool) -> None:
    """Remove clusters and all that they left."""
    if bool(names) == everything:
        raise click.UsageError("name the clusters, or say --all")
    for cluster in _clusters() if everything else [_find(name) for name in names]:
        if everything and cluster.owner:
            click.echo(f"{cluster.name} is left alone: it belongs to process {cluster.owner.pid}", err=True)
            continue
        if cluster.spec.backend == "emulated":
            emulated.end(cluster.name)
        else:
            with closing(connect()) as client:
                remove_run(client, cluster.run)
        click.echo(f"{cluster.name} is gone")


@cli.command()
def pythons() -> None:
    """List the Pythons of this machine that emulated clusters can have."""
    for version, interpreter in find_pythons().items():
        click.echo(f"{version:6} {interpreter.path}  ({interpreter.source})")


@cli.group()
def images() -> None:
    """The images that clusters run on."""


@images.command()
@click.argument("scheduler", type=click.Choice(["slurm"]), default="slurm")
@click.option(
    "--base",
    type=click.Choice(["debian:bookworm-slim", "debian:trixie-slim"]),
    default="debian:bookworm-slim",
    help="The base image: Slurm 22.05 or 24.11.",
    show_default=True,
)
@click.option("--pythons", type=_Pythons(), help="Versions to put in.  [default: all]")
@click.option("--accounting/--no-accounting", default=None, help="Only the image with, or without, slurmdbd.")
@click.option("--mirror", default="", metavar="URL", help="A Debian mirror.  [default: the base image's own]")
@click.option("--again", is_flag=True, help="Even if nothing in the recipe has changed.")
@click.option("-v", "--verbose", is_flag=True, help="Show the builder's output.")
def build(
    *,
    scheduler: str,
    base: str,
    pythons: list[str] | None,
    accounting: bool | None,
    mirror: str,
    again: bool,
    verbose: bool,
) -> None:
    """Build the images; `simcluster up` and `simcluster.start` do it by themselves when one is missing."""
    checked = ClusterSpec(scheduler=scheduler, pythons=tuple(pythons or PYTHONS)).pythons
    with closing(connect()) as client:
        for with_accounting in (False, True) if accounting is None else (accounting,):
            recipe = ImageRecipe(scheduler, base, checked or PYTHONS, with_accounting, mirror)
            image = build_image(client, recipe, click.echo, log=click.echo if verbose else None, again=again)
            click.echo(f"{recipe.tag}  {image.attrs['Size'] / 1e6:.0f} MB")


def _find(name: str) -> RunningCluster:
    clusters = _clusters()
    for cluster in clusters:
        if name == cluster.name:
            return cluster
    names = ", ".join(cluster.name for cluster in clusters)
    raise SimclusterError(f"no cluster {name!r}; {'up are ' + names if names else 'none is up: simcluster up slurm'}")


def _clusters() -> list[RunningCluster]:
    """All clusters that are up; those in containers as far as there is an engine."""
    clusters = emulated.list_clusters()
    with suppress(BackendUnavailableError), closing(connect()) as client:
        reap(client)
        clusters += list_clusters(client)
    return sorted(clusters, key=lambda cluster: cluster.created)


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
