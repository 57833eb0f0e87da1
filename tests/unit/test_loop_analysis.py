"""Which loops are proven independent, and what the reason names where they are not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import loop_corpus
import pytest

from clustrix.loop_analysis import LoopInfo, detect_loops_in_function, estimate_work_size, find_parallelizable_loops

_LINES = Path(loop_corpus.__file__).read_text(encoding="utf-8").splitlines()
_MARK = re.compile(r"# no: (.*)$")


def _cases():
    """Each function of the corpus with a loop; and the line and name that stand against it, or None."""
    tree = ast.parse("\n".join(_LINES))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            isinstance(item, ast.For | ast.While | ast.AsyncFor) for item in ast.walk(node)
        ):
            marks = [(line, _MARK.search(_LINES[line - 1])) for line in range(node.lineno, (node.end_lineno or 0) + 1)]
            refused = [(line, mark[1].strip()) for line, mark in marks if mark]
            yield node.name, refused


_CASES = dict(_cases())
_PROVEN = [name for name, refused in _CASES.items() if not refused]
_REFUSED = [name for name, refused in _CASES.items() if refused]


def _first_loop(name: str) -> LoopInfo:
    return detect_loops_in_function(getattr(loop_corpus, name))[0]


@pytest.mark.parametrize("name", _PROVEN)
def test_independent_loops_are_proven(name):
    assert _first_loop(name).reason == ""
    assert _first_loop(name).is_parallelizable


@pytest.mark.parametrize("name", _REFUSED)
def test_others_are_refused_with_line_and_name(name):
    found = _first_loop(name)
    assert not found.is_parallelizable
    [(line, about)] = _CASES[name]
    assert found.reason.startswith(f"line {line}: "), found.reason
    assert about in found.reason


def test_the_outermost_provable_loop_is_taken():
    [found] = find_parallelizable_loops(loop_corpus.product_of_matrices, (), {})
    assert (found.variable, found.iterable, found.nested_level) == ("i", "range(n)", 0)
    assert [item.nested_level for item in detect_loops_in_function(loop_corpus.product_of_matrices)] == [0, 1, 2]


def test_sizes_are_known_from_arguments():
    [found] = find_parallelizable_loops(loop_corpus.every_kind_of_effect, (12,), {})
    assert found.range_info == {"start": 0, "stop": 12, "step": 1}
    assert estimate_work_size(found) == 12
    assert estimate_work_size(LoopInfo("for", "x", "xs")) == 100
    assert found.to_dict()["is_parallelizable"]
