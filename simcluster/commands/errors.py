"""What a command says when it can't do what was asked."""

from __future__ import annotations

from typing import Any

import click
import docker.errors

from simcluster.errors import SimclusterError, SpecError

__all__ = ["Group"]


class Group(click.Group):
    """Errors as one sentence: exit 1, or 2 for what was asked wrongly."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SpecError as error:
            raise click.UsageError(str(error)) from error
        except SimclusterError as error:
            raise click.ClickException(str(error)) from error
        except docker.errors.DockerException as error:
            raise click.ClickException(f"the Docker engine refused: {error}") from error
