"""What needs nothing but builtins and the standard library is written anew; everything else stays unopened."""

import array
import collections
import datetime as dt
import decimal
import functools
import json
import operator
import os
import pathlib
import pickle
import re
import subprocess
import sys
import types
import uuid

import pytest
from clustrix_remote.wire import dumps, loads, rewrite
from hypothesis import given
from hypothesis import strategies as st

OLD, OWN = (3, 6), sys.version_info[:2]


class Mine:
    pass


class MineError(Exception):
    def __init__(self, code, *, hint):
        super().__init__("text of {}".format(code))
        self.code, self.hint = code, hint


class Doing:
    """Does something wherever it is rebuilt."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def as_written(value, target=OLD):
    written = rewrite(dumps(value), target)
    assert written is not None
    return loads(written)


simple = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
simple |= st.decimals(allow_nan=False) | st.datetimes() | st.uuids() | st.fractions()
values = st.recursive(
    simple,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(simple),
    max_leaves=10,
)


@given(value=values)
def test_plain_values_are_the_same_afterwards(value):
    assert as_written(value) == value


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"x"),
        [range(3), slice(1, 2), ..., NotImplemented, int, type(None), ValueError],
        collections.OrderedDict([("b", 1), ("a", 2)]),
        collections.defaultdict(list, a=[1]),
        collections.deque([1], maxlen=2),
        array.array("d", [1.5]),
        types.SimpleNamespace(a=1),
        decimal.Decimal("sNaN").copy_abs().as_tuple()[:2],
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "there")),
        [pathlib.Path("a/b"), pathlib.PureWindowsPath("c:\\x")],
        re.compile("a+(b)?", re.IGNORECASE),
        uuid.UUID(int=7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_the_standard_library_are_the_same_afterwards(value):
    assert as_written(value) == value
    assert as_written(value, OWN) == value


def test_what_is_shared_or_closed_stays_so():
    shared = [1]
    closed = {"shared": [shared, shared]}
    closed["me"] = closed
    back = as_written(closed)
    assert back["me"] is back
    assert back["shared"][0] is back["shared"][1]


def test_the_protocol_is_that_of_the_reader():
    assert rewrite(dumps([1]), OLD)[1] == 4
    assert rewrite(dumps([1]), OWN)[1] == (5 if sys.version_info >= (3, 8) else 4)


@pytest.mark.parametrize(
    "value",
    [Mine(), Mine, os.path.join, len, functools.partial(json.loads), operator.methodcaller("f", Mine())],
    ids=lambda value: type(value).__name__,
)
def test_what_needs_anything_else_stays_unopened(value):
    assert rewrite(dumps([1, {"deep": (value,)}]), OLD) is None


def test_arrays_of_numpy_stay_unopened_even_where_numpy_is():
    numpy = pytest.importorskip("numpy")
    for value in (numpy.arange(3), numpy.float32(1), numpy.random.RandomState(7)):
        assert rewrite(dumps(value), OLD) is None


def test_nothing_is_done_that_the_reader_would_do_again(tmp_path):
    made = str(tmp_path / "made")
    for doing in (Doing(os.mkdir, made), Doing(open, made, "w"), Doing(subprocess.Popen, ["mkdir", made])):
        assert rewrite(dumps(doing), OLD) is None
    assert rewrite(dumps([Doing(os.getpid)]), OLD) is None
    assert not os.path.exists(made)


def test_code_is_never_rebuilt():
    assert rewrite(b"\x80\x04ctypes\nCodeType\n.", OLD) is None


@pytest.mark.parametrize("data", [b"", b"not a pickle", dumps([1])[:-1]], ids=["nothing", "anything", "cut short"])
def test_what_cannot_be_read_stays_unopened(data):
    assert rewrite(data, OLD) is None


@pytest.mark.skipif(sys.version_info < (3, 9), reason="it is no value there")
def test_what_the_reader_lacks_stays_unopened():
    assert rewrite(dumps([list[int]]), OLD) is None


def failing():
    try:
        {}["first"]
    except KeyError as error:
        raise MineError(13, hint=Mine()) from error


def test_an_exception_stays_the_record_that_it_was_and_its_class_is_not_needed():
    try:
        failing()
    except MineError as error:
        data = dumps([error, {"same": error}])
    main, sys.modules[__name__] = sys.modules[__name__], types.ModuleType(__name__)
    try:
        written = rewrite(data, OLD)
    finally:
        sys.modules[__name__] = main
    error, other = loads(written)
    assert other["same"] is error
    assert (type(error), error.code, type(error.hint)) == (MineError, 13, Mine)
    assert type(error.__cause__) is KeyError
    assert "in failing" in str(error.__cause__.__cause__)


def test_a_set_of_exceptions_stays_one():
    back = as_written({ValueError("a"), KeyError("b")})
    assert sorted(map(repr, back)) == sorted(map(repr, [ValueError("a"), KeyError("b")]))


def test_the_rewritten_pickle_needs_this_library_as_the_first_one_did():
    with pytest.raises(pickle.UnpicklingError, match=r"wire\.loads"):
        pickle.loads(rewrite(dumps(ValueError("x")), OLD))
