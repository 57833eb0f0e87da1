"""The commands of `simcluster`, a file for each group of them."""

from __future__ import annotations

import click

from simcluster.commands.clusters import down, list_, run, ssh, up
from simcluster.commands.demo import demo
from simcluster.commands.errors import Group
from simcluster.commands.faults import fault
from simcluster.commands.images import images
from simcluster.commands.pythons import pythons
from simcluster.commands.records import logs, timeline

__all__ = ["cli"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clustrix")
def cli() -> None:
    """Disposable clusters: a login host, a scheduler, compute nodes, many Pythons."""


for _command in (up, list_, ssh, run, fault, timeline, logs, down, pythons, images, demo):
    cli.add_command(_command)
