"""Draws what is under way: below what was written in a terminal, or in the output of a notebook's cell."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

__all__ = ["Drawing", "NotebookDrawing", "Row", "drawing", "kind_of_display", "load_all"]

MOST_ROWS = 8
NOTEBOOK_WIDTH = 100  # characters


class Row(NamedTuple):
    """One job: its function's ``name``; what is under way, ``done`` of ``total`` (0: nobody knows), ``failed`` of these; for how many seconds."""

    name: str
    words: str
    done: int
    total: int
    failed: int
    seconds: float


class Drawing(Protocol):
    """What is drawn now. ``is_in_the_way`` says that nothing can be written while it is."""

    is_in_the_way: bool

    def update(self, rows: Sequence[Row]) -> None:
        """Draw ``rows`` instead."""

    def close(self) -> None:
        """Draw nothing any more."""


def kind_of_display() -> str:
    """The text "terminal" or "notebook", or an empty one where nothing can be drawn."""
    if _kernel() is not None:
        return "notebook"
    try:
        return "terminal" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
    except (ValueError, AttributeError):  # closed, or none at all
        return ""


def load_all() -> None:
    """Import what drawing needs: a tenth of a second and more, which whoever waits for nothing long is spared."""
    for name in ("console", "live", "progress_bar", "table", "text"):
        importlib.import_module("rich." + name)


def drawing() -> Drawing:
    """Nothing as yet, on the display that there is."""
    return NotebookDrawing() if _kernel() is not None else _InTerminal()


def _kernel() -> Any:
    """The kernel that runs a notebook's cells in this process, if any."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None)


class _InTerminal:
    is_in_the_way = True

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - see load_all
        from rich.live import Live  # noqa: PLC0415

        class _Console(Console):
            def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
                """Never hidden: a process that is killed would leave a terminal without one."""
                return False

        # What anybody prints meanwhile comes above; but a file that stdout leads to stays as it is.
        self._live = Live(
            console=_Console(file=sys.stderr),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._live.start()

    def update(self, rows: Sequence[Row]) -> None:
        self._live.update(_table(rows), refresh=True)

    def close(self) -> None:
        self._live.stop()


class NotebookDrawing:
    """A Drawing in the output of the cell that runs when it is first drawn."""

    is_in_the_way = False

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, rows: Sequence[Row], log: str = "") -> None:
        """Draw ``rows`` instead, and below them the end of a job's log."""
        from rich.console import Console  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(file=io.StringIO(), record=True, width=NOTEBOOK_WIDTH, force_jupyter=False)
        console.print(_table(rows))
        if log:
            console.print(Text.from_ansi(log))
        html = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>", clear=False)
        self._show({"text/plain": console.export_text().rstrip(), "text/html": html})

    def close(self) -> None:
        """Draw nothing any more."""
        if self._handle is not None:
            self._show({"text/plain": "", "text/html": ""})

    def _show(self, texts: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = importlib.import_module("IPython.display").display(texts, raw=True, display_id=True)
        else:
            self._handle.update(texts, raw=True)


def _table(rows: Sequence[Row]) -> Table:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    for row in rows[:MOST_ROWS]:
        words = Text(row.words)
        if row.failed:
            words.append(f", {row.failed} failed", style="red")
        bar = ProgressBar(row.total, row.done, width=24) if row.total else ""
        table.add_row(Text(row.name), words, bar, _passed(row.seconds))
    if len(rows) > MOST_ROWS:
        table.add_row("", f"and {len(rows) - MOST_ROWS} more")
    return table


def _passed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
