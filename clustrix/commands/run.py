"""The command that runs a function as a job."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from clustrix.commands.output import print_json
from clustrix.commands.parameters import (
    as_json,
    keywords_of,
    literal,
    profile,
    resources,
    split_word,
    tell_if_here,
    told,
)
from clustrix.commands.results import print_outcome

__all__ = ["run"]


@click.command()
@click.argument("function", metavar="MODULE:FUNCTION")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1)
@profile
@resources
@click.option("--stream", is_flag=True, default=None, help="Show what the job writes as it comes.")
@click.option("--submit", "is_submitted", is_flag=True, help="Print the job's id, and do not wait for it.")
@click.option("--explain", "is_explained", is_flag=True, help="Print what would be done, and send nothing.")
@as_json
def run(
    *,
    function: str,
    arguments: tuple[str, ...],
    is_submitted: bool,
    is_explained: bool,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Run a function on the cluster and print its value.

    MODULE is a module's name or a script's path (analysis.py:main). ARGS are Python literals, or else words: 3 '[1, 2]' data.csv
    limit=10. What begins with a dash comes after `--`.
    """
    decorated = _find(function, keywords_of(wishes))
    args = [literal(word) for word in arguments if not _is_keyword(word)]
    kwargs = dict(split_word(word, "ARGS") for word in arguments if _is_keyword(word))
    if is_explained:
        click.echo(str(decorated.explain(*args, **kwargs)))
        return
    future = decorated.submit(*args, **kwargs)
    if not is_submitted:
        if not hasattr(future, "job_id"):
            tell_if_here("the function runs on this computer")
        print_outcome(future, is_json=as_json)
        return
    if not hasattr(future, "job_id"):
        raise click.UsageError("--submit: without a cluster the function runs here, and nothing outlives this command")
    future.detach()
    if as_json:
        print_json({"job_id": future.job_id, "scheduler_id": future.scheduler_id})
    else:
        click.echo(future.job_id)


def _find(name: str, keywords: dict[str, Any]) -> Any:
    """The function of that name with ``@cluster`` in front of it, and the keywords over those that it has."""
    import importlib
    from pathlib import Path

    from clustrix.decorator import ClusterFunction, cluster

    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise click.UsageError(f"{name}: a function is named as module:function or script.py:function")
    directory = Path()
    if module_name.endswith(".py"):
        script = Path(module_name)
        if not script.is_file():
            raise click.UsageError(f"{name}: there is no file {module_name} in {Path.cwd()}")
        directory, module_name = script.parent, script.stem
    sys.path.insert(0, str(directory.resolve()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            _fail(error)
        raise click.UsageError(
            f"{name}: there is no module {error.name} in {Path.cwd()} or on Python's path"
        ) from error
    except Exception as error:  # noqa: BLE001 - whatever the user's own lines raise
        _fail(error)
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise click.UsageError(f"{name}: {found!r} has no {attribute}")
        found = getattr(found, attribute)
    if isinstance(found, ClusterFunction):
        return found.options(**keywords)
    if not callable(found):
        raise click.UsageError(f"{name} is no function, but {found!r}")
    return cluster(**keywords)(found)


def _fail(error: Exception) -> NoReturn:
    """Tell what the user's module raised as it was imported: from its own first line on, and not how that was come to."""
    import importlib
    import traceback

    from clustrix.errors import ClustrixError

    frames = error.__traceback__
    while frames is not None and _is_import(frames.tb_frame.f_code.co_filename, (__file__, importlib.__file__)):
        frames = frames.tb_next
    if isinstance(error, ClustrixError) and frames is not None:
        place = f"{frames.tb_frame.f_code.co_filename}, line {frames.tb_lineno}"
        raise click.ClickException(f"{place}: {told(error)}") from error
    click.echo("".join(traceback.format_exception(type(error), error, frames)).rstrip(), err=True)
    sys.exit(1)


def _is_import(file: str, ways: tuple[str, ...]) -> bool:
    return file in ways or file.startswith("<frozen importlib")


def _is_keyword(word: str) -> bool:
    name, sign, _ = word.partition("=")
    return bool(sign) and name.isidentifier()
