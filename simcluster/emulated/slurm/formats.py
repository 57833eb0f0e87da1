"""Tables: `-o "%.18i %t"` and `-O JobID:10,State` as squeue and sinfo read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Column", "parse_fields", "parse_format", "parse_width", "render"]

_WIDEST = 10_000

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """`width` 0 is as wide as the value; `text` is for a piece that stands in every line as it is."""

    title: str
    value: Callable[[Row], str]
    width: int = 0
    is_right: bool = False
    before: str = ""
    after: str = ""

    def fill(self, text: str) -> str:
        """The text cut or padded to the width, and what stands around it."""
        if self.width:
            text = text[: self.width].rjust(self.width) if self.is_right else text[: self.width].ljust(self.width)
        return f"{self.before}{text}{self.after}"


def parse_format(
    form: str, letters: Mapping[str, tuple[str, Callable[[Row], str]]]
) -> tuple[list[Column[Row]], list[str]]:
    """Columns of a `-o` format, and the letters in it that mean nothing."""
    columns: list[Column[Row]] = []
    unknown: list[str] = []
    position = 0
    for match in re.finditer(r"%(\.?)(\d*)(.)", form):
        before, position = form[position : match.start()], match.end()
        known = letters.get(match[3])
        if known is None:
            unknown.append(match[3])
            text = match[0]
            columns.append(Column(text, _always(text), before=before))
            continue
        columns.append(Column(known[0], known[1], parse_width(match[2] or "0"), bool(match[1]), before))
    columns.append(Column("", _always(""), before=form[position:]))
    return columns, unknown


def parse_fields(
    form: str, names: Mapping[str, tuple[str, Callable[[Row], str]]]
) -> tuple[list[Column[Row]], list[str]]:
    """Columns of a `-O` format: 20 wide unless it says `:N`, `:.N` or `:TEXT` for what follows the value."""
    columns: list[Column[Row]] = []
    unknown: list[str] = []
    for piece in form.split(","):
        name, separator, rest = piece.partition(":")
        known = names.get(name.strip().lower())
        if known is None:
            unknown.append(name)
            continue
        match = re.fullmatch(r"(\.?)(\d*)(.*)", rest, re.DOTALL)
        dot, width, after = match.groups() if match else ("", "", "")
        size = parse_width(width) if width else (0 if separator else 20)
        columns.append(Column(known[0], known[1], size, bool(dot), after=after))
    return columns, unknown


def parse_width(text: str) -> int:
    """A column's width, negative for one that begins at the left; what is wider than any table is cut."""
    return max(-_WIDEST, min(int(text), _WIDEST))


def _always(text: str) -> Callable[[object], str]:
    return lambda _: text


def render(columns: list[Column[Row]], rows: Iterable[Row], *, with_header: bool) -> str:
    """The table's text."""
    lines = ["".join(column.fill(column.title) for column in columns)] if with_header else []
    lines += ["".join([column.fill(column.value(row)) for column in columns]) for row in rows]
    return "".join(f"{line}\n" for line in lines)
