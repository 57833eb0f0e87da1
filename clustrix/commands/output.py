"""What the commands print: tables for people, the same with tabs for other programs, and JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["moment", "print_json", "print_name", "print_table", "size"]


def print_json(value: Any) -> None:
    """``value`` as JSON."""
    click.echo(json.dumps(value, indent=2))


def print_name(name: str) -> None:
    """A file's name as the bytes that it is."""
    _print_bytes(name)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns, in a terminal and a notebook; elsewhere lines with tabs and no headings."""
    from clustrix.display import kind_of_display

    if not sys.stdout.isatty() and kind_of_display() != "notebook":
        for row in rows:
            _print_bytes("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def size(count: float) -> str:
    """Bytes as people read them: powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def moment(seconds: float) -> str:
    """Unix seconds as local date and time; nothing for 0."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def _print_bytes(text: str) -> None:
    """A line as the bytes that it is; a notebook takes text alone."""
    data = os.fsencode(text)
    click.echo(data if hasattr(sys.stdout, "buffer") else data.decode(errors="replace"))
