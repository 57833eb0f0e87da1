"""The record of benchmarks: what a run replaces, and that table and picture tell what it has."""

import importlib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def record(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("record")


@pytest.fixture
def part(record):
    rows = [record.Row("a call", 20.0, "a < b", 1000.0, goal=0.5, version="1.2"), record.Row("a map", 3000.0, "c", 2.0)]
    return record.Part("Of calls.", "2026-01-01", "0.1.0", "3.12.1", 2, None, rows)


def test_a_run_replaces_what_it_measured_and_keeps_the_rest_with_its_date(record, part, tmp_path):
    record.keep(tmp_path, {"calls": part, "maps": part}, ["maps", "calls"])
    newer = part._replace(measured="2026-02-02", load=0.25, rows=part.rows[:1])
    record.keep(tmp_path, {"calls": newer}, ["maps", "calls"])
    kept = record.read_parts(tmp_path / "benchmarks.json")
    assert list(kept.items()) == [("maps", part), ("calls", newer)]


def test_the_page_has_the_tables_between_its_marks_alone(record, part, tmp_path):
    page = tmp_path / "comparison.md"
    page.write_text(f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n", encoding="utf-8")
    record.keep(tmp_path, {"calls": part}, ["calls"])
    lines = page.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert "Measured 2026-01-01: clustrix 0.1.0, Python 3.12.1, 2 cores, load not noted." in lines
    assert "| a call | 20 ms | a < b 1.2 | 1 s | 0.02 | 0.50 |" in lines
    assert "| a map | 3 s | c | 2 ms | 1500 |  |" in lines


def test_a_page_without_marks_is_left_as_it_is(record, part):
    with pytest.raises(ValueError, match="no place for tables"):
        record.with_tables("text", {"calls": part})


def test_a_picture_has_a_mark_on_the_axis_for_each_row_and_each_goal(record, part, tmp_path):
    missed = part.rows[0]._replace(ours=600.0)
    record.keep(tmp_path, {"calls": part._replace(rows=[*part.rows, missed])}, ["calls"])
    kinds = [element.get("class") for element in ET.parse(tmp_path / "benchmarks.svg").iter()]
    # One each for a row, and one of the legend.
    assert [kinds.count(kind) for kind in ("met", "free", "missed")] == [2, 2, 2]
    assert kinds.count("goal") == 3
    width = float(ET.parse(tmp_path / "benchmarks.svg").getroot().get("width"))
    circles = ET.parse(tmp_path / "benchmarks.svg").iter("{http://www.w3.org/2000/svg}circle")
    assert all(0 < float(circle.get("cx")) < width for circle in circles)


def test_the_page_and_the_picture_in_the_repository_are_those_of_the_record(record, tmp_path):
    parts = record.read_parts(DOCS / "benchmarks.json")
    page = (DOCS / "comparison.md").read_text(encoding="utf-8")
    assert record.with_tables(page, parts) == page
    importlib.import_module("plot").draw(parts, tmp_path / "new.svg")
    assert (tmp_path / "new.svg").read_text(encoding="utf-8") == (DOCS / "benchmarks.svg").read_text(encoding="utf-8")
