"""Commands for jobs that were submitted before: listed, fetched, read, cancelled."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from clustrix.commands.output import moment, print_json, print_table
from clustrix.commands.parameters import as_json, profile
from clustrix.commands.results import print_outcome

if TYPE_CHECKING:
    from clustrix.executor import ClusterExecutor

__all__ = ["attach", "cancel", "jobs", "logs"]


@click.command()
@profile
@click.option("--offline", is_flag=True, help="Those that this computer remembers, without asking the cluster.")
@as_json
def jobs(as_json: bool, offline: bool) -> None:
    """List the jobs whose results nobody fetched yet."""
    executor = _executor()
    records = {record.job_id: record for record in executor.jobs()}
    if not offline:
        known = {record.job_id: record for record in executor.discover()}
        gone = {job_id: dataclasses.replace(record, state="GONE") for job_id, record in records.items()}
        records = {**gone, **known}
        executor.shutdown()
    rows = sorted(records.values(), key=lambda record: record.created)
    if as_json:
        print_json([dataclasses.asdict(record) for record in rows])
        return
    if not rows:
        click.echo("no job waits to be fetched", err=True)
    print_table(
        ("job", "scheduler's", "state", "submitted", "function"),
        [(r.job_id, r.scheduler_id or "-", r.state or "-", moment(r.created), r.function) for r in rows],
    )


@click.command()
@click.argument("job_id", metavar="ID")
@profile
@click.option("--keep", is_flag=True, help="Leave the result on the cluster, to be fetched again.")
@as_json
def attach(job_id: str, keep: bool, as_json: bool) -> None:
    """Wait for a job and print its value; its id, or the scheduler's number.

    Exits with 1 if the job failed.
    """
    from clustrix.executors import attach as attach_to

    print_outcome(attach_to(job_id, keep=keep), is_json=as_json)


@click.command()
@click.argument("job_id", metavar="ID")
@profile
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@as_json
def logs(job_id: str, follow: bool, as_json: bool) -> None:
    """Print what a job wrote. Its result stays where it is."""
    from clustrix.executors import attach as attach_to

    parts = attach_to(job_id, keep=True).logs(follow=follow)
    if as_json:
        print_json([part._asdict() for part in parts])
        return
    for part in parts:
        out = sys.stderr if part.stream == "stderr" else sys.stdout
        out.write(part.text)
        out.flush()


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@profile
def cancel(job_ids: tuple[str, ...]) -> None:
    """Cancel jobs. Their results, if there are any by then, are dropped."""
    from clustrix.executors import attach as attach_to

    for job_id in job_ids:
        future = attach_to(job_id)
        click.echo(f"{job_id} is cancelled" if future.cancel() else f"{job_id} had ended already")


def _executor() -> ClusterExecutor:
    from clustrix.config import get_config
    from clustrix.executor import ClusterExecutor

    return ClusterExecutor(get_config())
