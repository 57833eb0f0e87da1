"""The command `simcluster`: a front door that can also open when the extra is not installed."""

from __future__ import annotations

import sys

__all__ = ["cli"]


def cli() -> None:
    """Run the command line."""
    try:
        from simcluster.commands import cli as commands  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f'simcluster needs {error.name}, which comes with: pip install "clustrix[simcluster]"')
    commands(prog_name="simcluster")
