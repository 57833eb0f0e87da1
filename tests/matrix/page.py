"""The matrix as one HTML page that needs nothing else: the table, and the job of every cell."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from table import MARKS, totals

if TYPE_CHECKING:
    from pathlib import Path

    from cells import Cell, Matrix

__all__ = ["write_page"]

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #1f2328; }
table { border-collapse: collapse; }
th { font-weight: normal; padding: 2px 6px; }
th[scope=row] { text-align: left; }
td { padding: 2px 6px; text-align: center; border: 1px solid #fff; }
.first { border-left: 8px solid #fff; }
.right { background: #b7e1c0; } .wrong { background: #e5534b; color: #fff; } .refused { background: #f0c674; }
.jobs td { text-align: left; border-bottom: 1px solid #d0d7de; vertical-align: top; }
"""


def write_page(matrix: Matrix, path: Path) -> None:
    cells = matrix.by_place()
    squares = {
        use_case: "".join(_square(cells[(use_case, *pair)], matrix) for pair in matrix.pairs)
        for use_case in matrix.use_cases
    }
    clients = "".join(f'<th colspan="{len(matrix.clusters)}">client {client}</th>' for client in matrix.clients)
    clusters = "".join(f"<th>{cluster}</th>" for _, cluster in matrix.pairs)
    rows = "".join(f'<tr><th scope="row">{escape(use_case)}</th>{row}</tr>\n' for use_case, row in squares.items())
    jobs = "".join(_line(cell) for cell in matrix.cells)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>What works, from which Python to which</title><style>{_STYLE}</style>
<h1>What works, from which Python to which</h1>
<p>{escape(totals(matrix))}. Made {escape(matrix.made)}. Pointing at a cell shows the job that ran it.</p>
<table><thead><tr><th></th>{clients}</tr><tr><th scope="row">Python of the cluster</th>{clusters}</tr></thead>
<tbody>{rows}</tbody></table>
<details><summary>The job of every cell</summary><table class="jobs"><tr><th>use case</th><th>client</th><th>cluster</th><th></th>
<th>job</th><th>scheduler's number</th><th>node</th><th></th></tr>
{jobs}</table></details></html>
""",
        encoding="utf-8",
    )


def _square(cell: Cell, matrix: Matrix) -> str:
    first = " first" if cell.cluster == matrix.clusters[0] else ""
    title = escape(f"{cell.verdict} {cell.job or ''} {cell.reason}".strip())
    return f'<td class="{cell.verdict}{first}" title="{title}">{MARKS[cell.verdict]}</td>'


def _line(cell: Cell) -> str:
    values = cell.use_case, cell.client, cell.cluster, cell.verdict, cell.job, cell.scheduler_id, cell.node, cell.reason
    return "".join(["<tr>", *(f"<td>{escape(value or '')}</td>" for value in values), "</tr>\n"])
