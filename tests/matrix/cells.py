"""The cells of the matrix: what became of one call, from one client Python to one Python of the cluster."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["REFUSED", "RIGHT", "WRONG", "Cell", "Matrix", "proven", "read_matrix", "regressions"]

RIGHT, WRONG, REFUSED = "right", "wrong", "refused"


@dataclass(frozen=True)
class Cell:
    """``job`` is the job that ran it, ``scheduler_id`` the scheduler's number of it; what was refused has neither.

    ``reason`` is why it is not right.
    """

    use_case: str
    client: str
    cluster: str
    verdict: str
    job: str | None = None
    scheduler_id: str | None = None
    node: str | None = None
    reason: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.use_case, self.client, self.cluster


@dataclass(frozen=True)
class Matrix:
    """A run that ended at ``made``; Pythons and cells in the order of the table."""

    made: str
    clients: list[str]
    clusters: list[str]
    cells: list[Cell]

    @property
    def use_cases(self) -> list[str]:
        return list(dict.fromkeys(cell.use_case for cell in self.cells))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(client, cluster) for client in self.clients for cluster in self.clusters]

    def by_place(self) -> dict[tuple[str, str, str], Cell]:
        return {cell.place: cell for cell in self.cells}

    def count(self, verdict: str) -> int:
        return sum(cell.verdict == verdict for cell in self.cells)

    def write(self, path: Path) -> None:
        """As JSON, a cell a line, so that a difference between two runs can be read."""
        cells = ",\n".join("  " + json.dumps(asdict(cell), ensure_ascii=False) for cell in self.cells)
        head = json.dumps({"made": self.made, "clients": self.clients, "clusters": self.clusters}, ensure_ascii=False)
        path.write_text(f'{head[:-1]}, "cells": [\n{cells}\n]}}\n', encoding="utf-8")


def read_matrix(path: Path) -> Matrix:
    values = json.loads(path.read_text(encoding="utf-8"))
    return Matrix(**{**values, "cells": [Cell(**cell) for cell in values["cells"]]})


def proven(cells: Iterable[Cell], jobs: Mapping[str, str]) -> list[Cell]:
    """The cells as the scheduler knows them: ``jobs`` are the names of its jobs by number. What it never ran is not right."""
    return [
        cell
        if cell.verdict != RIGHT or (cell.scheduler_id is not None and jobs.get(cell.scheduler_id) == cell.job)
        else replace(cell, verdict=WRONG, reason=f"the scheduler knows no job {cell.scheduler_id} named {cell.job}")
        for cell in cells
    ]


def regressions(matrix: Matrix, record: Matrix | None) -> list[Cell]:
    """The cells that are not right, but for those which the record has as not right."""
    known = {cell.place for cell in record.cells if cell.verdict != RIGHT} if record else set()
    return [cell for cell in matrix.cells if cell.verdict != RIGHT and cell.place not in known]
