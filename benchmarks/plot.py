"""The ratios of all rows as one picture: an SVG that follows the reader's colours, light or dark."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from record import Part, Row

__all__ = ["draw", "shown"]

# The second of each is for dark pages. What is met and what is missed differ in shape, too.
STYLE = """
.page { fill: #ffffff } .rule { stroke: #dfe3e9 } .one { stroke: #566072; stroke-width: 1.5 } text { fill: #1a2230 }
.quiet { fill: #566072 } .head { font-weight: 600 } .met { fill: #1e7a57 } .missed { fill: #bf3427 } .free { fill: #1d68b3 }
.stem { stroke: #b4bcc8; stroke-width: 2 } .goal { stroke: #1a2230; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  .page { fill: #12161d } .rule { stroke: #2c3442 } .one { stroke: #a3adbd } text { fill: #e6eaf1 } .quiet { fill: #a3adbd }
  .met { fill: #55b894 } .missed { fill: #f28b7d } .free { fill: #69aef0 } .stem { stroke: #4a5568 } .goal { stroke: #e6eaf1 }
}
"""
ROW, MARGIN, PLOT, LETTER = 20, 16, 420, 6.3  # pixels; a letter of the labels is seldom wider


def draw(parts: dict[str, Part], path: Path) -> None:
    rows = [row for part in parts.values() for row in part.rows]
    labels = LETTER * max(len(f"{_what(row)}  {row.peer}") for row in rows)
    axis = _Axis(rows, MARGIN + labels + 12)
    width = axis.left + PLOT + 60
    body, y = [], MARGIN + ROW
    for name, part in parts.items():
        body.append(_text(axis.left - 12, y, name.capitalize(), "head", "end"))
        body.append(_text(axis.left + 6, y, part.measured, "quiet"))
        for number, row in enumerate(part.rows, start=1):
            body.append(_line(row, axis, y + ROW * number))
        y += ROW * (len(part.rows) + 1) + ROW / 2
    height = y + 3 * ROW
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="clustrix beside other programs: ratios of times" font-family="system-ui, sans-serif" font-size="12">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="10"/>\n'
        + "\n".join([*axis.drawn(MARGIN + ROW / 2, y - ROW / 2), *_legend(axis, y + ROW * 1.6), *body])
        + "\n</svg>\n",
        encoding="utf-8",
    )


def shown(ratio: float) -> str:
    """Two digits that count."""
    return f"{ratio:.2f}" if 0.095 <= ratio < 9.95 else f"{float(f'{ratio:.2g}'):g}"


class _Axis:
    """Ratios by their logarithms, from one power of ten to another."""

    def __init__(self, rows: list[Row], left: float) -> None:
        found = [0.5, 2.0, *(row.ratio for row in rows), *(row.goal for row in rows if row.goal)]
        self.left = left
        self.low, self.high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))

    def at(self, ratio: float) -> float:
        return self.left + PLOT * (math.log10(ratio) - self.low) / (self.high - self.low)

    def drawn(self, top: float, bottom: float) -> list[str]:
        lines = []
        for power in range(self.low, self.high + 1):
            x, kind = self.at(10.0**power), "rule" if power else "one"
            lines.append(f'<path class="{kind}" d="M{x:.1f} {top}V{bottom}"/>')
            lines.append(_text(x, bottom + 14, f"{10.0**power:g}", "quiet", "middle"))
        return lines


def _line(row: Row, axis: _Axis, y: float) -> str:
    x, one, middle = axis.at(row.ratio), axis.at(1), y - 4
    kind = "free" if not row.goal else "met" if row.ratio <= row.goal else "missed"
    label = f'{escape(_what(row))} <tspan class="quiet">{escape(row.peer)}</tspan>'
    drawn = [
        f'<text x="{axis.left - 12:.1f}" y="{y}" text-anchor="end">{label}</text>',
        f'<path class="stem" d="M{one:.1f} {middle}H{x:.1f}"/>',
    ]
    if row.goal:
        drawn.append(f'<path class="goal" d="M{axis.at(row.goal):.1f} {middle - 7}v14"/>')
    drawn += [_mark(kind, x, middle), _text(axis.left + PLOT + 50, y, shown(row.ratio), "", "end")]
    return "".join(drawn)


def _legend(axis: _Axis, y: float) -> list[str]:
    words = [("free", "no goal"), ("met", "goal met"), ("missed", "goal missed")]
    drawn = []
    for number, (kind, word) in enumerate(words):
        x = axis.left + 90 * number
        drawn += [_mark(kind, x, y - 4), _text(x + 10, y, word, "quiet")]
    x = axis.left + 90 * len(words) + 10
    drawn += [f'<path class="goal" d="M{x:.1f} {y - 11}v14"/>', _text(x + 8, y, "goal", "quiet")]
    return [*drawn, _text(axis.left - 12, y, "time of clustrix / time of what is beside it", "quiet", "end")]


def _mark(kind: str, x: float, y: float) -> str:
    if kind == "missed":
        return f'<path class="missed" d="M{x:.1f} {y - 6}l6 6-6 6-6-6z"/>'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="5"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _what(row: Row) -> str:
    # What a table adds in brackets is too long for a picture.
    return row.what.partition(" (")[0]
