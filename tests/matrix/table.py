"""The matrix in a terminal: a line for each use case, a character for each cell; below, why cells are not right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cells import REFUSED, RIGHT, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cells import Cell, Matrix

__all__ = ["MARKS", "print_reasons", "print_table", "totals"]

MARKS = {RIGHT: "+", WRONG: "X", REFUSED: "-"}


def print_table(matrix: Matrix) -> None:
    width = max(map(len, matrix.use_cases))
    cells, column = matrix.by_place(), 5
    print(" " * width, *(f"client {client}".ljust(column * len(matrix.clusters)) for client in matrix.clients))
    print(" " * width, *("".join(cluster.ljust(column) for cluster in matrix.clusters) for _ in matrix.clients))
    for use_case in matrix.use_cases:
        rows = (
            "".join(MARKS[cells[use_case, client, cluster].verdict].ljust(column) for cluster in matrix.clusters)
            for client in matrix.clients
        )
        print(use_case.ljust(width), *rows)
    print("\n" + totals(matrix))


def totals(matrix: Matrix) -> str:
    return ", ".join(f"{MARKS[verdict]} {matrix.count(verdict)} {verdict}" for verdict in MARKS)


def print_reasons(cells: Iterable[Cell]) -> None:
    """For each use case and reason the pairs of Pythons it holds for, and one of the jobs."""
    found: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        reason = cell.reason.partition("\n")[0]
        if cell.job:
            reason = reason.replace(cell.job, "JOB")
        found.setdefault((cell.use_case, cell.verdict, reason), []).append(cell)
    for (use_case, verdict, reason), same in found.items():
        job = f" (job {same[0].job})" if same[0].job else ""
        print(f"  {use_case}, {verdict} from {_pairs(same)}{job}\n    {reason}")


def _pairs(cells: Iterable[Cell]) -> str:
    """As "3.10 to 3.6 3.7, 3.11 to 3.6"."""
    clusters: dict[str, list[str]] = {}
    for cell in cells:
        clusters.setdefault(cell.client, []).append(cell.cluster)
    return ", ".join(f"{client} to {' '.join(found)}" for client, found in clusters.items())
