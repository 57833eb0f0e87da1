"""The matrix: what of it is an error, given the record, and what counts as proof."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture
def cells(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "matrix")
    return importlib.import_module("cells")


@pytest.fixture
def cell(cells):
    return cells.Cell("enum", "3.12", "3.6", cells.RIGHT, job="cxa", scheduler_id="7", node="node1")


def of(cells, *found):
    return cells.Matrix("2026-01-01", ["3.12"], ["3.6"], list(found))


def test_a_cell_that_was_right_and_is_not_is_an_error(cells, cell):
    for verdict in (cells.WRONG, cells.REFUSED):
        worse = replace(cell, verdict=verdict, reason="why")
        assert cells.regressions(of(cells, worse), of(cells, cell)) == [worse]


def test_a_cell_that_was_not_right_is_none(cells, cell):
    known = replace(cell, verdict=cells.REFUSED)
    assert cells.regressions(of(cells, replace(cell, verdict=cells.WRONG)), of(cells, known)) == []


@pytest.mark.parametrize("has_record", [True, False])
def test_what_the_record_does_not_have_should_be_right(cells, cell, has_record):
    wrong = replace(cell, use_case="new", verdict=cells.WRONG)
    record = of(cells, cell) if has_record else None
    assert cells.regressions(of(cells, wrong, cell), record) == [wrong]


def test_only_a_job_that_the_scheduler_knows_by_number_and_name_makes_a_cell_right(cells, cell):
    assert cells.proven([cell], {"7": "cxa"}) == [cell]
    for jobs in ({}, {"7": "another"}, {"8": "cxa"}):
        assert [found.verdict for found in cells.proven([cell], jobs)] == [cells.WRONG]


def test_what_was_written_is_read_again(cells, cell, tmp_path):
    matrix = of(cells, cell, replace(cell, use_case="ä", verdict=cells.REFUSED, job=None, reason='"why"\n'))
    matrix.write(tmp_path / "matrix.json")
    assert cells.read_matrix(tmp_path / "matrix.json") == matrix


def test_the_record_in_the_repository_is_whole(cells):
    record = cells.read_matrix(Path(__file__).parents[2] / "docs" / "matrix.json")
    assert len(record.clients) == 4
    assert len(record.clusters) == 8
    assert len(record.cells) == len(record.use_cases) * 32 == len(record.by_place())
    assert all(cell.job and cell.scheduler_id for cell in record.cells if cell.verdict == cells.RIGHT)
