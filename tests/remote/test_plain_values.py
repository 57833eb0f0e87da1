"""Which values are plain data, and which copies do for their originals."""

import collections
import datetime as dt
import os
import re
from fractions import Fraction

import numpy as np
import pytest
from clustrix_remote.plain_values import is_detached, is_plain

KEY, SHARED, SHELL, OWNED = -1, 0, 1, 2


class _Number(float):
    pass


class _Zone(dt.tzinfo):
    def utcoffset(self, moment):
        return dt.timedelta(0)


def test_data_is_plain_however_deep():
    circle = [1]
    circle.append(circle)
    for value in (
        1,
        "a",
        None,
        [1, (2.5, {"k": {3, 4}})],
        Fraction(1, 2),
        re.compile("a"),
        dt.date(2020, 1, 1),
        circle,
    ):
        assert is_plain(value), value


@pytest.mark.parametrize(
    "value",
    [
        iter([1]),
        (number for number in [1]),
        _Number(1),
        collections.defaultdict(list),
        len,
        os,
        object(),
        dt.datetime(2020, 1, 1, tzinfo=_Zone()),
        float("nan"),
    ],
)
def test_what_may_run_code_or_is_used_up_is_not_plain(value):
    assert not is_plain(value)
    assert not is_plain([{"a": (value,)}])


def test_a_set_is_plain_only_if_a_copy_has_its_order():
    assert is_plain({1, 2, 3})
    changed = set(range(1000))
    for number in range(990):
        changed.remove(number)
    assert not is_plain(changed)


def test_a_copy_does_for_what_cannot_be_changed_and_for_what_is_new():
    assert is_detached((1, ("a", None)), SHARED)
    assert not is_detached([1], SHARED)
    assert not is_detached((1, [1]), SHARED)
    assert is_detached([1, "a"], SHELL)
    assert not is_detached([[1]], SHELL)
    assert is_detached([[1]], OWNED)
    assert is_detached({"a": 1}, SHELL)
    assert not is_detached({"a": [1]}, SHELL)


def test_what_is_not_equal_to_itself_is_found_by_being_the_same_object():
    nan = float("nan")
    assert is_detached(nan, SHARED)
    assert not is_detached(nan, KEY)
    assert not is_detached((1, nan), KEY)
    assert not is_detached({nan: 1}, SHELL)
    assert is_detached({1: nan}, SHELL)


def test_arrays_are_plain_and_their_copies_do_if_they_are_new():
    array = np.zeros(3)
    assert is_plain(array)
    assert is_plain([array, np.float64(2)])
    assert not is_plain(np.array([object()]))
    assert is_detached(array, SHELL)
    assert not is_detached(array, SHARED)
    assert is_detached(np.float64(2), SHARED)
    assert not is_detached(np.zeros(2, dtype=[("x", int)])[0], SHARED)
    assert not is_detached(np.float64("nan"), KEY)
