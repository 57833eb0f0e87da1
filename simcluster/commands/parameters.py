"""How the parts of a ClusterSpec are written on a command line."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["PartitionType", "PythonsType"]


class PythonsType(click.ParamType[Any]):
    """Versions separated by commas."""

    name = "3.X,3.Y"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> Any:
        return value.split(",") if isinstance(value, str) else value


class PartitionType(click.ParamType[Any]):
    """A partition's name, its nodes and its longest time, of which those at the end may be left out."""

    name = "NAME[:NODE,NODE[:TIME]]"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        nodes, _, max_time = rest.partition(":")
        made: dict[str, Any] = {"name": name}
        if nodes:
            made["nodes"] = tuple(nodes.split(","))
        if max_time:
            made["max_time"] = max_time
        return made
