"""`simcluster pythons`, and how versions are written on a command line."""

from __future__ import annotations

from typing import Any

import click

from simcluster.pythons import find_pythons

__all__ = ["Pythons", "pythons"]


class Pythons(click.ParamType[Any]):
    """Versions separated by commas."""

    name = "3.X,3.Y"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> Any:
        return value.split(",") if isinstance(value, str) else value


@click.command()
def pythons() -> None:
    """List the Pythons of this machine that emulated clusters can have."""
    for version, interpreter in find_pythons().items():
        click.echo(f"{version:6} {interpreter.path}  ({interpreter.source})")
