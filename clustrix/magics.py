"""What a notebook gets by ``%load_ext clustrix``: ``%%cluster`` runs a cell as a job, ``%clustrix`` is the command line."""

from __future__ import annotations

import importlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from clustrix.cells import read_cell
from clustrix.cli import cli
from clustrix.commands.parameters import keywords_of, resources, told
from clustrix.config import configure, effective_config
from clustrix.decorator import cluster, runs_here
from clustrix.errors import ClustrixError, ConfigurationError
from clustrix.future import ClusterFuture
from clustrix.live_view import show
from clustrix.package_store import package_path
from clustrix.remote.cells import VALUE
from clustrix.resources import split_keywords

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to IPython's ``shell``, which calls this for ``%load_ext clustrix``."""

    def run_cell(line: str, cell: str) -> Any:
        __tracebackhide__ = True  # IPython looks for it
        return _run_cell(shell, line, cell)

    def run_command(line: str) -> None:
        __tracebackhide__ = True
        _run_command(line)

    run_cell.__doc__ = f"{_cell.help}\n\nSee %%cluster --help."
    run_command.__doc__ = "The command `clustrix` here: %clustrix jobs, %clustrix doctor, ...; %clustrix profile NAME takes another profile."
    shell.register_magic_function(run_cell, "cell", "cluster")
    shell.register_magic_function(run_command, "line", "clustrix")
    shows = shell.display_formatter.ipython_display_formatter
    for kind in (list, tuple):
        shows.for_type(kind, _show_futures)


def _show_futures(values: Sequence[Any]) -> None:
    """A list of futures as one view; IPython shows others itself."""
    if not values or not all(isinstance(value, ClusterFuture) for value in values):
        raise NotImplementedError
    show(values)


@click.command()
@resources
@click.option(
    "--submit",
    "name",
    metavar="NAME",
    help="Do not wait: NAME becomes the job's future, whose result() is a dictionary of the variables.",
)
def _cell(name: str | None, **wishes: Any) -> tuple[str | None, dict[str, Any]]:
    """Run the cell as a job, and bring the variables that it assigns back into the notebook.

    What it reads of the notebook is sent along. What it imports and defines is there in the notebook afterwards, too.
    """
    return name, keywords_of(wishes)


def _run_cell(shell: Any, line: str, text: str) -> Any:
    __tracebackhide__ = True
    parsed = _invoked(_cell, "%%cluster", line)
    if not isinstance(parsed, tuple):  # it was --help
        return None
    name, keywords = parsed
    try:
        config = effective_config(split_keywords(keywords)[1])
    except ConfigurationError as error:
        raise _usage_error(told(error)) from None
    if runs_here(config):
        if name is not None:
            raise _usage_error(
                "--submit: no cluster is configured, so the cell runs here; %clustrix profile NAME takes one"
            )
        return shell.run_cell(text).raise_error()
    if name is not None and not name.isidentifier():
        raise _usage_error(f"--submit {name}: expected is the name of a variable")
    empty = len(text) - len(text.lstrip())
    text = "\n" * text[:empty].count("\n") + shell.transform_cell(text)
    cell = read_cell(text, f"<%%cluster, cell {shell.execution_count}>", shell.user_ns)
    function = cluster(**{"stream": name is None, **keywords, "async_submit": False})(cell.function)
    if name is not None:
        shell.user_ns[name] = function.submit(**cell.arguments)
        return shell.user_ns[name]
    try:
        found = function(**cell.arguments)
    except Exception as error:
        cell.raise_in_place(error, package_path("", config.local_cache_dir).parent)
        if isinstance(error, ClustrixError):  # its message says it all
            raise error.with_traceback(None)  # noqa: B904 - it is that very error
        raise
    value = found.pop(VALUE, None)
    shell.user_ns.update(found)
    for words in cell.define(shell.user_ns):
        sys.stderr.write(f"clustrix: {words}\n")
    return value


def _run_command(line: str) -> None:
    __tracebackhide__ = True
    words = shlex.split(line)
    if words[:1] == ["profile"] and len(words) == 2:
        try:
            configure(profile=words[1])
        except ConfigurationError as error:
            raise _usage_error(told(error)) from None
        return
    if words == ["config"]:
        words.append("show")
    try:
        _invoked(cli, "%clustrix", shlex.join(words))
    except SystemExit as ended:  # the command has said what was wrong
        if ended.code:
            raise _usage_error(f"%clustrix {line}: status {ended.code}") from None


def _invoked(command: click.Command, name: str, line: str) -> Any:
    """What a command gives for that line."""
    __tracebackhide__ = True
    try:
        return command.main(shlex.split(line), prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        raise _usage_error(error.format_message()) from None
    except click.Abort:
        raise KeyboardInterrupt from None


def _usage_error(words: str) -> Exception:
    """An error that IPython shows as one sentence."""
    error: Exception = importlib.import_module("IPython.core.error").UsageError(words)
    return error
