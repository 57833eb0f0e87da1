"""`simcluster pythons`."""

from __future__ import annotations

import click

from simcluster.pythons import find_pythons

__all__ = ["pythons"]


@click.command()
def pythons() -> None:
    """List the Pythons of this machine that emulated clusters can have."""
    for version, interpreter in find_pythons().items():
        click.echo(f"{version:6} {interpreter.path}  ({interpreter.source})")
