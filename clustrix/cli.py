"""The command ``clustrix``."""

from __future__ import annotations

import click

from clustrix.commands.configuration import config
from clustrix.commands.doctor import doctor
from clustrix.commands.environments import env
from clustrix.commands.files import du, find, ls, stat
from clustrix.commands.init import init
from clustrix.commands.jobs import attach, cancel, jobs, logs
from clustrix.commands.packages import clean, inspect
from clustrix.commands.parameters import Group, profile
from clustrix.commands.run import run

__all__ = ["cli"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clustrix")
@profile
def cli() -> None:
    """Run Python functions on a cluster, and look after its jobs, files and environments.

    Which cluster: the configuration's, or that of --profile. `clustrix init` makes a profile.
    """


for _command in (init, doctor, run, jobs, attach, logs, cancel, ls, find, stat, du, env, inspect, clean, config):
    cli.add_command(_command)
