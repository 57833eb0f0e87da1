"""Captured values: literals are written as source, others tell what they refer to."""

from __future__ import annotations

import ast
import collections
import datetime as dt
import threading
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrix.captured_values import literal_source, references_in

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
LITERALS = st.recursive(
    HASHABLE, lambda inner: st.lists(inner) | st.dictionaries(HASHABLE, inner) | st.tuples(inner), max_leaves=20
)


@given(LITERALS)
def test_a_literals_source_gives_the_value_back(value: Any) -> None:
    source = literal_source(value)
    assert source is not None
    back = eval(source)
    assert back == value
    assert repr(type(back)) == repr(type(value))


@given(LITERALS)
def test_a_literals_source_is_ascii_and_one_expression(value: Any) -> None:
    source = literal_source(value)
    assert source is not None
    assert source.isascii()
    ast.parse(source, mode="eval")


@given(st.permutations(["a", "b", 1, (2, 3), b"x"]))
def test_equal_sets_have_equal_source(items: list[Any]) -> None:
    assert literal_source(set(items)) == literal_source({"a", "b", 1, (2, 3), b"x"})


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Fraction(1),
        collections.OrderedDict(),
        float("nan"),
        [object()],
        itself(),
        [[]] * 2,
        "x" * 100_000,
        range(3),
    ],
)
def test_other_values_have_none(value: Any) -> None:
    assert literal_source(value) is None


def test_a_value_tells_the_classes_and_functions_in_it() -> None:
    found = references_in({"a": [Fraction(1), dt.date], "f": test_other_values_have_none}).names
    assert ("fractions", "Fraction") in found
    assert ("datetime", "date") in found
    assert (__name__, "test_other_values_have_none") in found


def test_what_cant_be_pickled_is_no_error_here() -> None:
    assert ("fractions", "Fraction") in references_in([Fraction(1), threading.Lock()]).names
