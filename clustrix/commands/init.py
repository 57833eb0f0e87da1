"""The command that makes a profile: asks, connects, proposes what the cluster has, tries it with a job."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clustrix.commands.doctor import print_finding

if TYPE_CHECKING:
    from clustrix.config import ClusterConfig

__all__ = ["init"]


@click.command()
@click.option("--host", help="The login node, or its name in ~/.ssh/config.")
@click.option("--port", type=int, help="Of its SSH server.  [default: 22]")
@click.option("--user", help="Your name there.  [default: as ssh has it]")
@click.option("--key-file", type=click.Path(dir_okay=False), help="Your private key.  [default: as ssh has it]")
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False),
    help="A file with a configuration to begin with, such as the profile.yaml of `simcluster up`.",
)
@click.option("--name", help="What to call the profile.  [default: the host's first name, or the simulated cluster's]")
@click.option("-y", "--yes", "is_quick", is_flag=True, help="Ask nothing: take what is given and what is proposed.")
def init(
    *,
    host: str | None,
    port: int | None,
    user: str | None,
    key_file: str | None,
    file: str | None,
    name: str | None,
    is_quick: bool,
) -> None:
    """Make a profile: where the cluster is, what it has, what jobs ask for; and try it with a small job.

    A password is asked for when it is needed, and kept nowhere.
    """
    from clustrix.config import ClusterConfig, ProfileManager
    from clustrix.doctor import examine

    config = ClusterConfig.load_from_file(file) if file else ClusterConfig()
    config.cluster_host = host or config.cluster_host or (None if is_quick else click.prompt("Login node"))
    if config.cluster_host is None:
        raise click.UsageError("which host? name it with --host, or in a file with --from")
    config.cluster_port = port or config.cluster_port
    config.key_file = key_file or config.key_file
    config.username = user or config.username or (None if is_quick else _asked("User name there", "as ssh has it"))
    facts = _connected(config, is_quick=is_quick)
    _choose_scheduler(config, facts, is_quick=is_quick)
    _choose_queue(config, facts, is_quick=is_quick)
    profiles = ProfileManager()
    name = name or _proposed("Name of the profile", _proposed_name(config.cluster_host, file), is_quick=is_quick)
    profiles.save(name, config)
    if profiles.active is None or _agreed(f"Use {name} unless another profile is named?", is_quick=is_quick):
        profiles.active = name
    click.echo(f"{profiles.path} has the profile {name}")
    if not _agreed("Try it with a small job?", is_quick=is_quick):
        return
    is_well = True
    for finding in examine(config):
        print_finding(finding)
        is_well = is_well and finding.verdict != "bad"
    if not is_well:
        sys.exit(1)


def _connected(config: ClusterConfig, *, is_quick: bool) -> dict[str, Any]:
    """What the login node says of itself; an unknown host's key is shown, and taken if the user says so."""
    from clustrix.doctor import login_facts
    from clustrix.errors import HostKeyError

    click.echo(f"connecting to {config.cluster_host}", err=True)
    try:
        return login_facts(config)
    except HostKeyError as error:
        if is_quick:
            raise
        click.echo(str(error), err=True)
        if not click.confirm("Is that the fingerprint which the site publishes?"):
            raise click.Abort from None
    return login_facts(dataclasses.replace(config, host_key_policy="accept-new"))


def _choose_scheduler(config: ClusterConfig, facts: dict[str, Any], *, is_quick: bool) -> None:
    there = [site["scheduler"] for site in facts.get("schedulers", [])]
    proposed = config.cluster_type if config.cluster_type in there else (there or ["ssh"])[0]
    choices = click.Choice(["slurm", "pbs", "sge", "ssh"])
    config.cluster_type = _proposed("Scheduler (ssh: none)", proposed, is_quick=is_quick, type=choices)


def _choose_queue(config: ClusterConfig, facts: dict[str, Any], *, is_quick: bool) -> None:
    """The partition or queue, if none is the default there; and defaults of jobs that fit into it."""
    from clustrix.doctor import fitting

    site = next((site for site in facts.get("schedulers", []) if site["scheduler"] == config.cluster_type), None)
    if site is None or not site["queues"]:
        return
    field = "default_partition" if config.cluster_type == "slurm" else "default_queue"
    queues = {queue["name"]: queue for queue in site["queues"]}
    chosen = getattr(config, field) or next((name for name, queue in queues.items() if queue["is_default"]), None)
    if chosen not in queues and config.cluster_type == "slurm":
        chosen = _proposed("Partition", next(iter(queues)), is_quick=is_quick, type=click.Choice(list(queues)))
        setattr(config, field, chosen)
    for name, value in fitting(queues[chosen], config).items() if chosen in queues else ():
        click.echo(f"{name}={value!r}, which is what {chosen} has for a job", err=True)
        setattr(config, name, value)


def _proposed_name(host: str, file: str | None) -> str:
    """What a profile of that host may be called.

    An address has no better name than itself, unless the file that it came from lies in a directory of the cluster's name, as
    that of `simcluster up` does.
    """
    if not re.fullmatch(r"[\d.:]+", host):
        first = host.partition(".")[0]
    else:
        first = (Path(file).resolve().parent.name if file else "") or host
    return re.sub(r"[^\w.+-]", "-", first)


def _asked(what: str, otherwise: str) -> str | None:
    return click.prompt(f"{what} (empty: {otherwise})", default="", show_default=False) or None


def _proposed(what: str, value: str, *, is_quick: bool, **more: Any) -> str:
    return value if is_quick else str(click.prompt(what, default=value, **more))


def _agreed(question: str, *, is_quick: bool) -> bool:
    return is_quick or click.confirm(question, default=True)
