"""Commands that make a profile, and show the configuration in force."""

from __future__ import annotations

from typing import Any

import click

from clustrix.commands.output import print_json, print_table
from clustrix.commands.parameters import as_json, profile

__all__ = ["config"]


@click.group()
def config() -> None:
    """The configuration in force."""


@config.command()
@profile
@as_json
def show(as_json: bool) -> None:
    """Show every field of the configuration in force; what is not a default is marked. Passwords are never shown."""
    from clustrix.config import ClusterConfig, get_config

    values, defaults = get_config().public_dict(), ClusterConfig().public_dict()
    if as_json:
        print_json(values)
        return
    rows = [(name, _text(value), "" if value == defaults[name] else "set") for name, value in values.items()]
    print_table(("field", "value", ""), rows)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
