"""The command that examines a profile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clustrix.commands.output import print_json
from clustrix.commands.parameters import as_json, profile

if TYPE_CHECKING:
    from clustrix.doctor import Finding

__all__ = ["described", "doctor", "print_finding"]

_SIGNS = {"good": ("✓", "green"), "odd": ("!", "yellow"), "bad": ("✗", "red")}


@click.command()
@profile
@click.option("--wait", default=120.0, show_default=True, metavar="SECONDS", help="For a small job; 0 runs none.")
@as_json
def doctor(wait: float, as_json: bool) -> None:
    """Examine the configuration on its cluster: ✓ is well, ! works but, ✗ does not; each with what to do.

    Exits with 1 if there is a ✗.
    """
    from clustrix.doctor import examine

    findings = []
    for finding in examine(job_seconds=wait):
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    if any(finding.verdict == "bad" for finding in findings):
        sys.exit(1)


def print_finding(finding: Finding) -> None:
    """One line with its sign, and below it what to do."""
    click.echo(described(finding))


def described(finding: Finding) -> str:
    """What `print_finding` prints."""
    sign, color = _SIGNS[finding.verdict]
    text = f"{click.style(sign, fg=color)} {finding.what}: {finding.text}"
    return f"{text}\n    {finding.fix}" if finding.fix else text
