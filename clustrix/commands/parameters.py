"""What the commands share: --profile and --json, and how they say what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Group", "as_json", "profile"]


class Group(click.Group):
    """Errors as one sentence: exit 1, or 2 for what was asked wrongly."""

    def invoke(self, context: click.Context) -> Any:
        from clustrix.errors import ClustrixError, ConfigurationError

        try:
            return super().invoke(context)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
        except (ClustrixError, OSError) as error:
            raise click.ClickException(str(error)) from error


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
