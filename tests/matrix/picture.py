"""The matrix as a PNG, for pages that show no tables of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cells import REFUSED, RIGHT, WRONG
from PIL import Image, ImageDraw, ImageFont
from table import MARKS, totals

if TYPE_CHECKING:
    from pathlib import Path

    from cells import Matrix

__all__ = ["draw"]

# Each differs from the others in lightness, too, and carries a mark.
COLOURS = {RIGHT: "#b7e1c0", WRONG: "#c9342b", REFUSED: "#f0c674"}
INK = "#1f2328"
SCALE = 2  # pixels for each of the units below, so that text stays sharp
CELL, ROW, GAP, MARGIN, TEXT = 30, 19, 10, 12, 12


def draw(matrix: Matrix, path: Path) -> None:
    font = ImageFont.load_default(TEXT * SCALE)
    labels = max(font.getlength(use_case) for use_case in matrix.use_cases) / SCALE
    block = CELL * len(matrix.clusters) + GAP
    left, top = MARGIN + labels + GAP, MARGIN + 3 * ROW
    size = (left + block * len(matrix.clients) + MARGIN, top + ROW * len(matrix.use_cases) + MARGIN)
    image = Image.new("RGB", tuple(round(SCALE * length) for length in size), "white")
    canvas = ImageDraw.Draw(image)

    def write(x: float, y: float, text: str, anchor: str, colour: str = INK) -> None:
        canvas.text((SCALE * x, SCALE * y), text, font=font, anchor=anchor, fill=colour)

    write(MARGIN, MARGIN + ROW / 2, f"{totals(matrix)}   ({matrix.made[:10]})", "lm")
    write(left - GAP, MARGIN + 2.5 * ROW, "Python of the cluster", "rm")
    cells = matrix.by_place()
    for number, client in enumerate(matrix.clients):
        start = left + block * number
        write(start + (block - GAP) / 2, MARGIN + 1.5 * ROW, f"client {client}", "mm")
        for column, cluster in enumerate(matrix.clusters):
            x = start + CELL * column
            write(x + CELL / 2, MARGIN + 2.5 * ROW, cluster, "mm")
            for line, use_case in enumerate(matrix.use_cases):
                verdict, y = cells[use_case, client, cluster].verdict, top + ROW * line
                corners = (SCALE * x, SCALE * y, SCALE * (x + CELL - 1) - 1, SCALE * (y + ROW - 1) - 1)
                canvas.rectangle(corners, fill=COLOURS[verdict])
                write(
                    x + (CELL - 1) / 2,
                    y + (ROW - 1) / 2,
                    MARKS[verdict],
                    "mm",
                    "white" if verdict == WRONG else INK,
                )
    for line, use_case in enumerate(matrix.use_cases):
        write(left - GAP, top + ROW * (line + 0.5), use_case, "rm")
    image.save(path, optimize=True)
