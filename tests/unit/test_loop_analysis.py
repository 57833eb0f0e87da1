"""Which loops are proven independent, and what the reason names where they are not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import loop_corpus
import pytest

from clustrix.loop_analysis import (
    LoopInfo,
    SafeRangeEvaluator,
    detect_loops_in_function,
    estimate_work_size,
    find_parallelizable_loops,
)

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
            if _LINES[node.lineno - 1].endswith("# helper"):
                continue
            refused = [(line, mark[1].strip()) for line, mark in marks if mark]
            yield node.name, refused


_CASES = dict(_cases())
_PROVEN = [name for name, refused in _CASES.items() if not refused]
_REFUSED = [name for name, refused in _CASES.items() if refused]


def _first_loop(name: str) -> LoopInfo:
    found = detect_loops_in_function(getattr(loop_corpus, name))
    return next((item for item in found if item.loop_type == "for"), found[0])


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
    [found] = find_parallelizable_loops(loop_corpus.a_fractal_with_a_while_in_it, (), {})
    assert (found.variable, found.iterable, found.nested_level) == ("y", "range(h)", 0)
    assert [item.nested_level for item in detect_loops_in_function(loop_corpus.a_fractal_with_a_while_in_it)] == [
        0,
        1,
        2,
    ]


def test_sizes_are_known_from_arguments():
    [found] = find_parallelizable_loops(loop_corpus.a_seed_for_each, (12,), {})
    assert found.range_info == {"start": 0, "stop": 12, "step": 1}
    assert estimate_work_size(found) == 12
    assert estimate_work_size(LoopInfo("for", "x", "xs")) == 100
    assert found.to_dict()["is_parallelizable"]


def test_a_corpus_is_large_enough():
    assert len(_PROVEN) >= 60
    assert len(_REFUSED) >= 120


def test_a_name_that_means_something_else_is_judged_anew(monkeypatch):
    assert _first_loop("a_helper_with_loops").is_parallelizable
    monkeypatch.setattr(loop_corpus, "collatz", loop_corpus.noisy)
    assert "noisy" in _first_loop("a_helper_with_loops").reason


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("range(10)", (0, 10, 1)),
        ("range(2, n)", (2, 7, 1)),
        ("range(n - 1, -1, -2)", (6, -1, -2)),
        ("range(len(xs) // 2)", (0, 2, 1)),
        ("range(min(n, 3) * 4 + 1)", (0, 13, 1)),
        ("range(len((1, 2)), len('abc'))", (2, 3, 1)),
        ("range(m)", None),
        ("range(n, step=2)", None),
        ("range(1.5)", None),
        ("range(0, 5, 0)", None),
        ("range(n // 0)", None),
        ("range(9 ** 9 ** 9)", None),
        ("range(odd)", None),
        ("range(True)", None),
        ("xs", None),
        ("range(*xs)", None),
        ("range(f())", None),
        ("range(__import__('os').getpid())", None),
    ],
)
def test_ranges_are_told_without_running_anything(text, numbers):
    class Odd:
        def __len__(self):
            raise AssertionError("it was asked")

        __index__ = __len__

    evaluator = SafeRangeEvaluator({"n": 7, "xs": [1, 2, 3, 4], "odd": Odd()})
    found = evaluator.evaluate(ast.parse(text, mode="eval").body)
    assert found == (dict(zip(("start", "stop", "step"), numbers, strict=True)) if numbers else None)


def test_what_is_no_function_of_python_has_no_loops():
    assert detect_loops_in_function(len) == []
    assert detect_loops_in_function(lambda xs: [x * 2 for x in xs]) == []
