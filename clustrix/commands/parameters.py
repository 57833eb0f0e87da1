"""What the commands share: --profile, --json and what a job asks for, and how they say what went wrong."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable

    from clustrix.errors import ClustrixError

__all__ = ["Group", "as_json", "keywords_of", "literal", "profile", "resources", "split_word", "tell_if_here", "told"]


class Group(click.Group):
    """Errors as one sentence: exit 1, or 2 for what was asked wrongly."""

    def invoke(self, context: click.Context) -> Any:
        from clustrix.errors import ClustrixError, ConfigurationError

        try:
            return super().invoke(context)
        except ConfigurationError as error:
            raise click.UsageError(told(error)) from error
        except ClustrixError as error:
            raise click.ClickException(told(error)) from error
        except BrokenPipeError:  # whoever reads has seen enough, and click ends without a word
            raise
        except OSError as error:
            raise click.ClickException(str(error)) from error


def told(error: ClustrixError) -> str:
    """What the command line says of an error: its message, and where more stands."""
    return f"{error}\nSee {error.help_url}"


def tell_if_here(words: str) -> None:
    """Say that what is asked of the cluster is done on this computer, if nobody has named a cluster."""
    from clustrix.config import get_config
    from clustrix.decorator import runs_here

    config = get_config()
    if runs_here(config) and not config.cluster_host:
        click.echo(f"clustrix: {words}, for no cluster is configured: `clustrix init` makes a profile of one", err=True)


class _Profile(click.ParamType[str]):
    name = "profile"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click calls it so
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from clustrix.config import ProfileManager
        from clustrix.errors import ConfigurationError

        try:
            names = ProfileManager().names()
        except (ConfigurationError, OSError):
            return []  # in the middle of a line there is no place for an error
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _use(context: click.Context, _parameter: click.Parameter, name: str | None) -> None:  # noqa: ARG001 - as above
    if name is not None:
        from clustrix.config import configure

        configure(profile=name)


def profile(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --profile; the configuration in force is that profile's then."""
    return click.option(
        "--profile",
        metavar="NAME",
        type=_Profile(),
        callback=_use,
        expose_value=False,
        help="Which profile of the configuration.  [default: the active one]",
    )(command)


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


_RESOURCES = (
    click.option("--cores", type=int, help="Of the job."),
    click.option("--memory", metavar="SIZE", help="Such as 16GB."),
    click.option("--time", metavar="TIME", help="Such as 02:00:00."),
    click.option("--partition", help="Of Slurm."),
    click.option("--queue", help="Of PBS and Grid Engine."),
    click.option("--python", metavar="VERSION", help="Such as 3.6.  [default: the nearest to this one]"),
    click.option(
        "-o",
        "--option",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any other keyword of @cluster, such as -o gpus=1; may be given again.",
    ),
)


def resources(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options for what a job asks for; ``keywords_of`` reads them."""
    for option in reversed(_RESOURCES):
        command = option(command)
    return command


def keywords_of(wishes: dict[str, Any]) -> dict[str, Any]:
    """The keywords of ``@cluster`` that the options of ``resources`` stand for."""
    keywords = {name: value for name, value in wishes.items() if name != "options" and value is not None}
    return {**keywords, **dict(split_word(option, "-o") for option in wishes["options"])}


def split_word(word: str, where: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; ``where`` such a word belongs."""
    name, sign, value = word.partition("=")
    if not sign:
        raise click.UsageError(f"{where} {word}: expected is NAME=VALUE")
    return name, literal(value)


def literal(word: str) -> Any:
    """What the word is as a Python literal, else the word."""
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word
