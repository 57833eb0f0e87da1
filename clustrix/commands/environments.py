"""Commands for the environments on the cluster."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from clustrix.commands.output import moment, print_json, print_table, size
from clustrix.commands.parameters import as_json, profile

if TYPE_CHECKING:
    from clustrix.environment_inventory import Environment, EnvironmentInventory, Room

__all__ = ["env"]


@click.group()
def env() -> None:
    """Environments that jobs run in: listed, shown, built in advance, removed."""


@env.command("list")
@profile
@as_json
def list_(as_json: bool) -> None:
    """List the environments, the latest used first."""
    with _inventory() as inventory:
        environments, room = inventory.environments(), inventory.room()
    if as_json:
        print_json([dataclasses.asdict(item) for item in environments])
        return
    rows = [
        (item.key, item.python, _state(item), str(len(item.packages)), size(item.size), moment(item.used))
        for item in environments
    ]
    print_table(("environment", "python", "state", "packages", "size", "last used"), rows)
    click.echo(_room(room), err=True)


@env.command()
@click.argument("key", metavar="ENVIRONMENT")
@profile
@as_json
def show(key: str, as_json: bool) -> None:
    """Show one with its packages, and the end of its build's log if that failed."""
    with _inventory() as inventory:
        _print(inventory.show(key), is_json=as_json)


@env.command()
@click.argument("requirements", nargs=-1, required=True)
@profile
@click.option("--python", metavar="VERSION", help="Such as 3.6.  [default: the nearest to this one]")
@as_json
def build(requirements: tuple[str, ...], python: str | None, as_json: bool) -> None:
    """Build the environment that a job with these requirements gets; a requirements.txt, pyproject.toml or such may be named."""
    from pathlib import Path

    with _inventory() as inventory:
        one = requirements[0]
        wanted: Any = Path(one) if len(requirements) == 1 and Path(one).is_file() else list(requirements)
        _print(inventory.build(wanted, python=python), is_json=as_json)


@env.command()
@click.argument("keys", metavar="ENVIRONMENT...", nargs=-1, required=True)
@profile
def rm(keys: tuple[str, ...]) -> None:
    """Remove environments; what a job needs that has not ended stays."""
    with _inventory() as inventory:
        for key in keys:
            inventory.remove(key)
            click.echo(f"{key} is removed")


def _inventory() -> EnvironmentInventory:
    from clustrix.environment_inventory import EnvironmentInventory

    return EnvironmentInventory()


def _state(item: Environment) -> str:
    return "ready" if item.is_ready else "being built" if item.is_building else "failed"


def _print(item: Environment, *, is_json: bool) -> None:
    if is_json:
        print_json(dataclasses.asdict(item))
        return
    facts = [
        ("environment", item.key),
        ("state", _state(item)),
        ("python", f"{item.python} on {item.platform}"),
        ("interpreter", item.interpreter),
        ("size", size(item.size)),
        ("built", moment(item.built)),
        ("last used", moment(item.used)),
        ("failed", item.failed),
    ]
    for name, value in facts:
        if value:
            click.echo(f"{name:12} {value}")
    for name, version in sorted(item.packages.items()):
        click.echo(f"  {name}=={version}")
    if item.failed and item.log:
        click.echo(item.log)


def _room(room: Room) -> str:
    words = [f"{size(room.free)} of {size(room.total)} are free"]
    for quota in room.quotas:
        limit = size(quota.limit) if quota.limit is not None else "no limit"
        words.append(f"quota on {quota.file_system}: {size(quota.used)} of {limit}")
    return "; ".join(words)
