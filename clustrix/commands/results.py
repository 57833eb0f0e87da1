"""How the value or the error of a job is told on the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clustrix.commands.output import print_json
from clustrix.commands.parameters import told

if TYPE_CHECKING:
    import concurrent.futures

__all__ = ["print_outcome"]


def print_outcome(future: concurrent.futures.Future[Any], *, is_json: bool) -> None:
    """Wait, print the value, and exit with 1 if there is none. Ctrl-C cancels the job, a second one leaves it running."""
    from clustrix.future import ClusterFuture
    from clustrix.interrupts import cancel_unless_again

    try:
        value = future.result()
    except KeyboardInterrupt:
        if isinstance(future, ClusterFuture):
            cancel_unless_again(future)
        raise click.Abort from None
    except Exception as error:  # noqa: BLE001 - also the function's own, whatever it is
        _fail(future, error, is_json=is_json)
    if is_json:
        print_json({**_facts(future), **_as_data(value)})
    elif value is not None:
        click.echo(str(value))


def _fail(future: Any, error: Exception, *, is_json: bool) -> NoReturn:
    from clustrix.errors import ClustrixError

    if is_json:
        more = {"help_url": error.help_url} if isinstance(error, ClustrixError) else {}
        print_json({**_facts(future), "error": {"type": type(error).__name__, "message": str(error), **more}})
    else:
        click.echo(f"Error: {told(error)}" if isinstance(error, ClustrixError) else _traceback(error), err=True)
    sys.exit(1)


def _traceback(error: BaseException) -> str:
    """The function's own exception as Python tells it: what this side adds to its traceback is nobody's concern."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, None)).rstrip()


def _facts(future: Any) -> dict[str, Any]:
    return {name: getattr(future, name, None) for name in ("job_id", "scheduler_id", "node", "python")}


def _as_data(value: Any) -> dict[str, Any]:
    """The value as JSON has it; what JSON has not, as text."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return {"value": None, "text": str(value)}
    return {"value": value}
