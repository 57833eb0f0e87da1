"""`simcluster images`."""

from __future__ import annotations

from contextlib import closing

import click

from simcluster.commands.parameters import PythonsType
from simcluster.docker.engine import connect
from simcluster.docker.images import build_image
from simcluster.docker.recipe import ImageRecipe
from simcluster.docker.schedulers import site_of
from simcluster.spec import PYTHONS, SCHEDULERS, ClusterSpec

__all__ = ["images"]


@click.group()
def images() -> None:
    """The images that clusters run on."""


@images.command()
@click.argument("scheduler", type=click.Choice(SCHEDULERS), default="slurm")
@click.option(
    "--base",
    type=click.Choice(["debian:bookworm-slim", "debian:trixie-slim"]),
    default="debian:bookworm-slim",
    help="The base image; with Slurm: 22.05 or 24.11.",
    show_default=True,
)
@click.option("--pythons", type=PythonsType(), help="Versions to put in.  [default: all]")
@click.option("--accounting/--no-accounting", default=None, help="Slurm: only the image with, or without, slurmdbd.")
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
    checked = ClusterSpec(scheduler=scheduler, pythons=tuple(pythons or PYTHONS)).pythons or PYTHONS
    kinds = (False, True) if accounting is None else (accounting,)
    name = site_of(ClusterSpec(scheduler, "docker")).recipe(ClusterSpec(scheduler, "docker")).name
    with closing(connect()) as client:
        for with_accounting in kinds if scheduler == "slurm" else (False,):
            recipe = ImageRecipe(name, base, checked, with_accounting, mirror)
            image = build_image(client, recipe, click.echo, log=click.echo if verbose else None, again=again)
            click.echo(f"{recipe.tag}  {image.attrs['Size'] / 1e6:.0f} MB")
