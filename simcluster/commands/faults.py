"""The command that breaks clusters on purpose."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

from simcluster.backends import find_cluster, load_backend

if TYPE_CHECKING:
    from simcluster.faults import Faults

__all__ = ["fault"]

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Duration(click.ParamType[float]):
    """Seconds, or 500ms, 10s, 5m, 1h."""

    name = "DURATION"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smh]?)", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration; write for example 10s", parameter, context)
        return float(match[1]) * _SECONDS[match[2]]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("kind", metavar="[FAULT]", required=False)
@click.argument("words", metavar="[ARGUMENT]...", nargs=-1)
@click.option("--for", "duration", type=_Duration(), help="Mend it after so long, or at Ctrl-C.")
@click.option("--undo", is_flag=True, help="Mend that fault, or without one all that are on.")
@click.option("--list", "shows", is_flag=True, help="Show which are on, and which there are.")
def fault(
    name: str, kind: str | None, words: tuple[str, ...], *, duration: float | None, undo: bool, shows: bool
) -> None:
    """Break a cluster: simcluster fault NAME node.kill node1. It stays so until --undo, or as long as --for says."""
    with load_backend((found := find_cluster(name)).spec.backend).attach(found) as cluster:
        faults = cluster.faults
        if shows:
            _show(faults)
        elif undo:
            _undo(faults, kind)
        elif kind is None:
            raise click.UsageError("which fault? --list shows which there are")
        else:
            one = faults.named(kind, words).start()
            if duration is not None:
                try:
                    time.sleep(duration)
                finally:
                    one.stop()


def _show(faults: Faults) -> None:
    for entry in faults.active():
        since = time.strftime("%H:%M:%S", time.localtime(entry.start))
        click.echo(f"on since {since}   {entry.name} {entry.detail}".rstrip())
    for name in faults.available():
        click.echo(f"available           {name}")
    for name, reason in faults.refusals().items():
        click.echo(f"not available       {name}: {reason}")


def _undo(faults: Faults, kind: str | None) -> None:
    if kind is None:
        faults.undo_all()
    elif not faults.undo(kind):
        raise click.UsageError(f"{kind} is not on; --list shows what is")
