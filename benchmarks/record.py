"""What was measured, as it is kept: docs/benchmarks.json, and the tables that docs/comparison.md has of it.

A run replaces the parts that it measured. The others keep what was recorded, with their own date.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from typing import TYPE_CHECKING, NamedTuple

import plot

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BEGIN", "END", "Part", "Row", "keep", "markdown", "measured_now", "read_parts", "with_tables"]

BEGIN = "<!-- Made by nox -s bench -- --to docs, of benchmarks.json: change nothing here. -->"
END = "<!-- The end of what is made. -->"


class Row(NamedTuple):
    """One line of a table: two medians in milliseconds, the ratio that is aimed at (0: none), and the peer's version."""

    what: str
    ours: float
    peer: str
    theirs: float
    goal: float = 0
    version: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    def __str__(self) -> str:
        goal = f"{self.goal:.2f}" if self.goal else "-"
        return f"{self.what:44} {self.ours:9.2f} ms  {self.peer:32} {self.theirs:9.2f} ms  {self.ratio:6.3f}  {goal:>5}"


class Part(NamedTuple):
    """A table and what it was measured with; ``load`` is that of the machine before the run, None where nobody noted it."""

    about: str
    measured: str
    clustrix: str
    python: str
    cores: int
    load: float | None
    rows: list[Row]


def measured_now(about: str, load: float, rows: list[Row]) -> Part:
    import clustrix

    rows = [row._replace(ours=_digits(row.ours), theirs=_digits(row.theirs)) for row in rows]
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    return Part(
        about, today, clustrix.__version__, platform.python_version(), os.cpu_count() or 1, round(load, 2), rows
    )


def keep(directory: Path, new: dict[str, Part], order: list[str]) -> None:
    """Put the parts in place of their older ones in ``directory``: in the record, the picture and, if it is there, the page."""
    record, page = directory / "benchmarks.json", directory / "comparison.md"
    known = {**(read_parts(record) if record.exists() else {}), **new}
    parts = {name: known[name] for name in order if name in known}
    directory.mkdir(parents=True, exist_ok=True)
    record.write_text(_as_json(parts), encoding="utf-8")
    plot.draw(parts, directory / "benchmarks.svg")
    if page.exists():
        page.write_text(with_tables(page.read_text(encoding="utf-8"), parts), encoding="utf-8")


def read_parts(path: Path) -> dict[str, Part]:
    values = json.loads(path.read_text(encoding="utf-8"))
    return {name: Part(**{**part, "rows": [Row(**row) for row in part["rows"]]}) for name, part in values.items()}


def with_tables(page: str, parts: dict[str, Part]) -> str:
    """The page with these tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no place for tables: it needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{markdown(parts)}\n{END}{after}"


def markdown(parts: dict[str, Part]) -> str:
    return "\n".join(f"### {name.capitalize()}\n\n{_table(part)}" for name, part in parts.items())


def _table(part: Part) -> str:
    load = "load not noted" if part.load is None else f"load {part.load:.1f} before"
    lines = [
        part.about,
        "",
        f"Measured {part.measured}: clustrix {part.clustrix}, Python {part.python}, {part.cores} cores, {load}.",
        "",
        "| what | clustrix | beside it | takes | ratio | goal |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for row in part.rows:
        peer = f"{row.peer} {row.version}".rstrip()
        goal = f"{row.goal:.2f}" if row.goal else ""
        lines.append(
            f"| {row.what} | {_time(row.ours)} | {peer} | {_time(row.theirs)} | {plot.shown(row.ratio)} | {goal} |"
        )
    return "\n".join(lines) + "\n"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 999.5 else f"{milliseconds / 1000:.3g} s"


def _digits(milliseconds: float) -> float:
    """As many as a median of few rounds can have."""
    return float(f"{milliseconds:.4g}")


def _as_json(parts: dict[str, Part]) -> str:
    """A row a line, so that a difference between two runs can be read."""
    texts = []
    for name, part in parts.items():
        head = json.dumps({key: value for key, value in part._asdict().items() if key != "rows"}, ensure_ascii=False)
        rows = ",\n".join("  " + json.dumps(row._asdict(), ensure_ascii=False) for row in part.rows)
        texts.append(f'{json.dumps(name)}: {head[:-1]}, "rows": [\n{rows}\n]}}')
    return "{\n" + ",\n".join(texts) + "\n}\n"
