"""A notebook's cell as a function: which of the notebook's values are sent along, and where its lines are."""

import inspect
import math

import pytest

from clustrix.cells import read_cell


def helper(x):
    return x


NOTEBOOK = {"number": 1, "items": [1], "table": {"a": 1}, "math": math, "helper": helper, "__name__": "__main__"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = number + 1", {"number": 1}),
        ("number = 5\nx = number", {}),
        ("number += 1", {"number": 1}),
        ("if items:\n    number = 2\nx = number", {"items": [1], "number": 1}),
        ("for number in items:\n    pass", {"items": [1]}),
        ("x = [number for number in (1, 2)]", {}),
        ("def f():\n    return number\nx = f()", {"number": 1}),
        ("x = helper(math.pi)", {}),
        ("helper = helper(3)", {"helper": helper}),
        ("import math\nx = math.pi", {}),
        ("table['b'] = 2", {"table": {"a": 1}}),
        ("", {}),
    ],
)
def test_only_what_is_read_before_it_is_assigned_goes_along(text, expected):
    assert read_cell(text, "<a cell>", dict(NOTEBOOK)).arguments == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x = y = 1\nfor z in items: pass", ["x", "y", "z"]),
        ("items.append(2)\ntable['b'] = 2\nhelper(1);", ["items", "table"]),
        ("math.tau = 7", []),
        ("import sys\ndef f(): q = 1\nsys.path", ["_"]),
    ],
)
def test_what_is_assigned_and_changed_comes_back(text, names):
    source = inspect.getsource(read_cell(text, "<a cell>", dict(NOTEBOOK)).function)
    assert [line.split("'")[1] for line in source.splitlines() if line.startswith("    try: _clustrix_found[")] == names


def test_lines_stay_where_they_are_and_texts_as_they_are():
    cell = read_cell("\nx = '''a\n  b\nc'''\ny = (x +\n'd')\n", "<a cell>", {})
    lines = inspect.getsource(cell.function).splitlines()
    assert lines[:7] == ["def notebook_cell():", "", "    x = '''a", "  b", "c'''", "    y = (x +", "    'd')"]


def test_other_values_are_the_same_function():
    texts = {inspect.getsource(read_cell("x = number", "<a cell>", {"number": value}).function) for value in (1, "two")}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("x = 1\nreturn x", "'return' outside function", 3),
        ("x = 1\nget_ipython().system('ls')", "work in the notebook alone", 3),
        ("display(3)", "let what is to be shown be the cell's last line", 2),
        ("x = (", "was never closed", 2),
    ],
)
def test_what_no_job_can_run_is_a_syntax_error_at_its_line(text, words, line):
    with pytest.raises(SyntaxError, match=words) as caught:
        read_cell(text, "<a cell>", {})
    assert (caught.value.filename, caught.value.lineno) == ("<a cell>", line)
