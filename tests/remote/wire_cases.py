"""A program, run by one Python to write values and by another to read and judge them. See tests/unit/test_wire_pairs.py.

    wire_cases.py FAR_SIDE write DIRECTORY           writes a file for each case and protocol
    wire_cases.py FAR_SIDE call DIRECTORY            the same, as the only argument of a call
    wire_cases.py FAR_SIDE read DIRECTORY RESULT     reads them; RESULT is JSON: {case: "ok" or what is wrong};
                                                     more pairs may follow

FAR_SIDE is the directory that has `clustrix_remote` in it. A case is a function without arguments that gives the
value; the reader calls it, too, and compares, unless there is a function `same_<case>` to judge it.
"""

import array
import asyncio
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import os
import pathlib
import queue
import random
import re
import sys
import threading
import traceback
import types
import uuid
from typing import NamedTuple

try:
    import numpy as np
except ImportError:
    np = None
try:
    import pandas as pd
except ImportError:
    pd = None


class Point(NamedTuple):
    x: int
    y: str


class Slotted:
    __slots__ = ("a", "b")

    def __eq__(self, other):
        return (self.a, self.b) == (other.a, other.b)

    __hash__ = None


class Colour(enum.Enum):
    RED = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Number(enum.IntEnum):
    ONE = 1


class OwnInit(ValueError):
    def __init__(self, first, second):
        super().__init__("text")
        self.first, self.second = first, second


class Keyed(KeyError):
    __slots__ = ("code",)


def case_builtins():
    return [None, True, 1 << 100, 1.5, 2j, "ä\U0001f600", b"\0", bytearray(b"x"), {"a": (1, {2}, frozenset([3]))}, ...]


def case_types():
    return [int, type(None), dict, len, collections.OrderedDict, os.path.join, range(3), slice(1, None)]


def case_dates():
    zone = dt.timezone(dt.timedelta(hours=2), "there")
    return [
        dt.date(2024, 2, 29),
        dt.datetime(2024, 1, 1, 12, 30, 1, 5, tzinfo=zone, fold=1),
        dt.time(1, 2, tzinfo=dt.timezone.utc),
        dt.timedelta(1, 2, 3),
    ]


def case_numbers():
    return [decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=7)]


def case_collections():
    return [
        collections.OrderedDict([("b", 1), ("a", 2)]),
        collections.Counter("hello"),
        collections.deque([1, 2], maxlen=3),
        collections.defaultdict(list, a=[1]),
        array.array("d", [1.5]),
        types.SimpleNamespace(a=1),
    ]


def case_classes_of_main():
    slotted = Slotted()
    slotted.a, slotted.b = 1, [2]
    return [Point(1, "b"), Colour.RED, Access.READ | Access.WRITE, Number.ONE, Slotted, slotted]


def case_patterns():
    return [re.compile("a+(b)?", re.IGNORECASE), re.compile(b"x", re.DOTALL)]


def case_paths():
    return [
        pathlib.Path("a/b"),
        pathlib.Path("/a"),
        pathlib.PurePosixPath("x"),
        pathlib.PureWindowsPath("c:\\x"),
        pathlib.Path,
    ]


def case_random():
    source = random.Random(7)
    source.gauss(0, 1)
    return source


def same_random(value):
    source = case_random()
    return [value.gauss(0, 1), value.random()] == [source.gauss(0, 1), source.random()]


def case_partial():
    return functools.partial(int, "11", base=2)


def same_partial(value):
    return value() == 3


def case_errors():
    return [
        asyncio.CancelledError(),
        asyncio.TimeoutError(),
        asyncio.InvalidStateError("x"),
        asyncio.IncompleteReadError(b"ab", 3),
        queue.Empty(),
        queue.Full(),
        re.error("bad", "a(", 1),
        json.JSONDecodeError("bad", "doc", 1),
        KeyError("k"),
        FileNotFoundError(2, "none", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SystemExit(3),
        StopIteration(4),
        SyntaxError("bad", ("file.py", 1, 2, "text")),
        OwnInit(1, 2),
    ]


def same_errors(values):
    # Two of asyncio's were those of concurrent.futures up to 3.7, and one is the builtin from 3.11.
    names = [type(value).__name__ for value in values]
    assert names == [type(value).__name__ for value in case_errors()]
    for value, wanted in zip(values, case_errors()):
        if type(value).__module__ != "concurrent.futures._base" and type(value) is not TimeoutError:
            assert type(value) is type(wanted), type(value)
        assert (value.args, str(value)) == (wanted.args, str(wanted)), repr(value)
    assert values[9].filename == "name"
    assert values[10].object == b"\xff"
    assert (values[11].code, values[12].value, values[14].second) == (3, 4, 2)
    return True


def case_chain():
    try:
        try:
            try:
                raise Keyed("k")
            except KeyError as inner:
                inner.code = 7
                raise OwnInit(inner, [inner]) from inner
        except ValueError:
            raise RuntimeError("outer")  # noqa: B904 - the context is what is tested
    except RuntimeError as error:
        return [error]


def same_chain(values):
    outer = values[0]
    middle = outer.__context__
    inner = middle.__cause__
    assert (type(outer), type(middle), type(inner)) == (RuntimeError, OwnInit, Keyed)
    assert (outer.__cause__, outer.__suppress_context__, middle.__suppress_context__) == (None, False, True)
    assert (middle.first, middle.second[0], inner.code) == (inner, inner, 7)
    text = "".join(traceback.format_exception(type(outer), outer, None))
    assert text.count('raise RuntimeError("outer")') == text.count('raise Keyed("k")') == 1
    return True


def case_unknown_class():
    module = types.ModuleType("only_where_this_was_written")
    exec("class Lost(IndexError):\n def __init__(self, a, b):\n  self.a, self.b = a, b", module.__dict__)
    sys.modules[module.__name__] = module
    return [module.Lost(1, "b")]


def same_unknown_class(values):
    from clustrix_remote import wire

    (lost,) = values
    assert isinstance(lost, IndexError)
    assert isinstance(lost, wire.RemoteErrorBase)
    assert (lost.type_name, lost.a, lost.b) == ("only_where_this_was_written.Lost", 1, "b")
    return str(lost) == "(1, 'b')"


def case_group():
    if sys.version_info < (3, 11):
        return SKIP
    return [ExceptionGroup("outer", [KeyError("k"), ExceptionGroup("inner", [OwnInit(1, 2)])])]


def same_group(values):
    (outer,) = values
    assert (type(outer).__name__, outer.message) == ("ExceptionGroup", "outer")
    assert isinstance(outer, Exception)
    if sys.version_info >= (3, 11):
        assert type(outer) is ExceptionGroup
    key_error, inner = outer.exceptions
    assert (type(key_error), type(inner).__name__, inner.exceptions[0].second) == (KeyError, "ExceptionGroup", 2)
    return True


def case_numpy_arrays():
    return [
        np.arange(6).reshape(2, 3).T,
        np.array(["a", "bc"]),
        np.array([b"a"]),
        np.array([True]),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2024-01-01"], dtype="M8[ns]"),
        np.array([1 + 2j]),
        np.zeros((0, 3), dtype="f4"),
        np.arange(100000.0),
    ]


def same_numpy_arrays(values):
    wanted = case_numpy_arrays()
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(values, wanted))


def case_numpy_objects():
    return [
        np.array([1, "x", None, Point(1, "y")], dtype=object),
        np.array([np.arange(3), None], dtype=object),
    ]


def same_numpy_objects(values):
    first, second = values
    return first.tolist() == case_numpy_objects()[0].tolist() and second[0].tolist() == [0, 1, 2]


def case_numpy_scalars():
    return [np.float64(1.5), np.int8(3), np.bool_(True), np.str_("x"), np.datetime64(1, "D")]


def same_numpy_scalars(values):
    wanted = case_numpy_scalars()
    return values == wanted and [type(value) for value in values] == [type(value) for value in wanted]


def case_numpy_types():
    return [np.bool_, np.float64, np.int32, np.str_, np.ndarray, np.dtype("f8"), np.recarray]


def case_numpy_subclasses():
    record = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray)
    return [record, record[0], np.ma.array([1, 2], mask=[True, False]), np.poly1d([1, 2])]


def same_numpy_subclasses(values):
    record, row, masked, polynomial = values
    assert [type(value) for value in values] == [type(value) for value in case_numpy_subclasses()]
    assert (record.a[0], row.b, masked.sum(), polynomial(3)) == (1, 2.5, 2, 5)
    return True


def case_numpy_functions():
    return [np.sum, np.add, np.linalg.norm]


def case_numpy_random_state():
    source = np.random.RandomState(7)
    source.standard_normal()
    return source


def same_numpy_random_state(value):
    return (value.standard_normal(5) == case_numpy_random_state().standard_normal(5)).all()


def case_numpy_generators():
    kinds = [np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64]
    return [np.random.Generator(kind(7)) for kind in kinds] + [kinds[1](3), np.random.SeedSequence(5)]


def same_numpy_generators(values):
    for value, wanted in zip(values[:-2], case_numpy_generators()):
        assert (value.bytes(16)) == wanted.bytes(16)
    assert values[-2].random_raw() == np.random.PCG64(3).random_raw()
    return values[-1].spawn(1)[0].entropy == 5


def case_numpy_polynomial():
    return np.polynomial.Polynomial([1, 2, 3])


def same_numpy_polynomial(value):
    return value(2) == 17 and str(value * 2) == str(case_numpy_polynomial() * 2)


def pandas_is(*version):
    return tuple(int(part) for part in pd.__version__.split(".")[:2]) >= version


def alike(value, wanted):
    """Whether these are equal as pandas judges, with types, names, frequencies and, where both have them, dtypes."""
    if isinstance(wanted, (list, tuple)):
        assert len(value) == len(wanted)
        return all(alike(*pair) for pair in zip(value, wanted))
    if isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(value, wanted, check_freq=True)
    elif isinstance(wanted, pd.Series):
        pd.testing.assert_series_equal(value, wanted, check_freq=True)
    elif isinstance(wanted, pd.Index):
        pd.testing.assert_index_equal(value, wanted, exact=True)
        assert getattr(value, "freq", None) == getattr(wanted, "freq", None)
    elif isinstance(wanted, pd.api.extensions.ExtensionArray):
        pd.testing.assert_extension_array_equal(value, wanted)
    else:
        assert type(value) is type(wanted), (value, wanted)
        assert value is wanted or value == wanted, (value, wanted)
    return True


def nanoseconds(values):
    """Dates in the one unit that every pandas has."""
    return np.array(values, dtype="M8[ns]")


def case_pandas_frames():
    dates = pd.DatetimeIndex(nanoseconds(["2024-01-01", "2024-01-02", "NaT"]))
    mixed = pd.DataFrame(
        {
            "b": np.array([1, 2, 3], dtype="i4"),
            "a": [1.5, np.nan, 3],
            "dates": dates,
            "there": dates.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "kinds": pd.Categorical(["x", "y", "x"], categories=pd.Index(["y", "x"], dtype=object), ordered=True),
            "flag": [True, False, True],
        }
    )
    mixed["any"] = pd.Series([1, None, (2,)], dtype=object)
    mixed.columns = pd.Index(list(mixed.columns), dtype=object)
    mixed.attrs["source"] = {"unit": "mm"}
    doubled = pd.DataFrame([[1, 2.5, 3]], columns=pd.Index(["x", "x", "y"], dtype=object))
    wide = pd.DataFrame(
        np.arange(6.0).reshape(2, 3), index=pd.Index([3, 4], name="n"), columns=[("a", 1), ("a", 2), "b"]
    )
    return [mixed, doubled, wide, mixed.iloc[:0], mixed[[]], mixed.iloc[::2, ::-1]]


def same_pandas_frames(values):
    mixed, doubled = values[0], values[1]
    assert mixed.attrs == {"source": {"unit": "mm"}}
    assert [str(kind) for kind in doubled.dtypes] == ["int64", "float64", "int64"]
    mixed.loc[0, "b"] = 7  # it is not read-only
    assert mixed["b"].tolist() == [7, 2, 3]
    mixed.loc[0, "b"] = 1
    wanted = case_pandas_frames()
    for frame in (values[0], values[3], values[5], wanted[0], wanted[3], wanted[5]):
        assert str(frame["there"].dtype) == "datetime64[ns, Europe/Berlin]"
        frame["there"] = frame["there"].dt.tz_convert("UTC")  # different pandas take different libraries for a zone
    return alike(values, wanted)


def case_pandas_large():
    one = pd.DataFrame(np.arange(300000.0).reshape(100000, 3), columns=pd.Index(["a", "b", "c"], dtype=object))
    one["a"] = one["a"].astype("i8")
    one["at"] = pd.DatetimeIndex(np.arange(100000).astype("M8[ns]"))
    return [one, one[["b", "c"]], one["a"], pd.Series(np.arange(100000) % 2 == 1)]


def same_pandas_large(values):
    for value in values[:2]:
        value.iloc[0, 0] = 5
    values[2].iloc[0] = 5
    for value, wanted in zip(values, case_pandas_large()):
        assert value.iloc[1:].equals(wanted.iloc[1:])
    return values[0].iloc[0, 0] == values[1].iloc[0, 0] == values[2].iloc[0] == 5


def case_pandas_series():
    named = pd.Series([1.5, 2.5], index=pd.Index(["a", "b"], dtype=object, name="i"), name=("x", 1))
    named.attrs["k"] = 1
    return [
        named,
        pd.Series(["a", None], dtype=object),
        pd.Series([], dtype="f8"),
        pd.Series(pd.array([1, None], dtype="Int64")),
    ]


def same_pandas_series(values):
    assert values[0].attrs == {"k": 1}
    return alike(values, case_pandas_series())


def case_pandas_indexes():
    days = pd.DatetimeIndex(nanoseconds(["2024-01-01", "2024-01-02", "2024-01-03"]), freq="D", name="d")
    return [
        pd.RangeIndex(2, 10, 3, name="r"),
        pd.Index([1, 2], dtype="i8"),
        pd.Index([1.5, np.nan]),
        pd.Index(["a", 1, None], dtype=object, name="o"),
        days,
        days.tz_localize("UTC"),
        days.tz_localize("America/New_York"),
        days.tz_localize(dt.timezone(dt.timedelta(hours=2))),
        pd.TimedeltaIndex(np.array([0, 3600 * 10**9], dtype="m8[ns]"), freq=pd.offsets.Hour(), name="t"),
        pd.MultiIndex.from_product([pd.Index([1, 2]), pd.Index(["x", "y"], dtype=object)], names=["n", None]),
        pd.MultiIndex.from_arrays([days, [1, 1, 2]]),
        pd.CategoricalIndex(
            pd.Categorical.from_codes([0, -1, 1], categories=pd.Index(["b", "a"], dtype=object)), name="c"
        ),
        pd.PeriodIndex(["2024-01", "NaT"], freq="M", name="p"),
        pd.IntervalIndex.from_breaks([0, 1, 2], closed="left", name="v"),
        pd.IntervalIndex.from_breaks(days.rename(None)),
    ]


def same_pandas_indexes(values):
    wanted = case_pandas_indexes()
    offset = dt.timedelta(hours=-5)
    assert values[6][0].utcoffset() == offset
    for index in (values[6], values[7], wanted[6], wanted[7]):
        index.freq = None  # not every pandas keeps it in such zones
    # And they take different libraries for the same zone.
    values[6], wanted[6] = values[6].tz_convert("UTC"), wanted[6].tz_convert("UTC")
    return alike(values, wanted)


def case_pandas_scalars():
    return [
        pd.Timestamp(np.datetime64("2024-01-01T12:30:00.123456789", "ns")),
        pd.Timestamp(1704110400123456789, tz="UTC"),
        pd.Timedelta(np.timedelta64(90000000001, "ns")),
        pd.NaT,
        pd.NA,
        pd.Period("2024-03", freq="M"),
        pd.Interval(0, 1, closed="both"),
        pd.offsets.MonthEnd(2),
        pd.offsets.Week(weekday=3),
        pd.DateOffset(months=1, days=2),
        pd.offsets.CustomBusinessDay(weekmask="Mon Tue"),
        pd.offsets.Hour(3),
    ]


def same_pandas_scalars(values):
    assert (values[3], values[4]) == (pd.NaT, pd.NA) or (values[3] is pd.NaT and values[4] is pd.NA)
    return alike(values, case_pandas_scalars())


def case_pandas_arrays():
    return [
        pd.array([1, None, 3], dtype="Int64"),
        pd.array([1, None], dtype="UInt8"),
        pd.array([True, None], dtype="boolean"),
        pd.array(["a", None, "c"], dtype="string")
        if not pandas_is(1, 3)
        else pd.array(["a", None, "c"], dtype="string[python]"),
        pd.Categorical.from_codes([0, 1], categories=pd.Index([3, 2])),
        pd.arrays.SparseArray([0, 0, 1.5], fill_value=0),
        pd.arrays.IntervalArray.from_breaks([0, 1, 2]),
        pd.PeriodIndex(["2024-01-01"], freq="D").array,
    ]


def same_pandas_arrays(values):
    values[0][0] = 1
    return alike(values, case_pandas_arrays())


def case_pandas_dtypes():
    return [
        pd.CategoricalDtype(pd.Index(["b", "a"], dtype=object), ordered=True),
        pd.Int64Dtype(),
        pd.BooleanDtype(),
        pd.DatetimeTZDtype(tz="UTC"),
        pd.PeriodDtype("D"),
        pd.DataFrame,
        pd.Timestamp,
    ]


def case_pandas_refusals():
    """The way to what can't be sent, which the one that writes finds."""
    from clustrix_remote import wire

    frame = pd.DataFrame({"a": [1, 2], "held": pd.Series([None, threading.Lock()], dtype=object)})
    named = pd.Series([1], name="s")
    named.attrs["lock"] = threading.Lock()

    def way(value):
        try:
            wire.dumps({"x": value}, root="args[0]")
        except wire.WireError as error:
            return error.path

    values = [frame, named, pd.Index([threading.Lock()], dtype=object), np.array([[1, threading.Lock()]])]
    return [way(value) for value in values]


def same_pandas_refusals(ways):
    way = 'args[0]["x"]'
    return ways == [way + '["held"].iloc[1]', way + '.attrs["lock"]', way + "[0]", way + "[0, 1]"]


def case_pandas_units():
    """What older ones have only as nanoseconds, or as objects, or not at all."""
    if not pandas_is(2, 0):
        return SKIP
    days = pd.DatetimeIndex(np.array(["2024-01-01", "2024-01-02"], dtype="M8[s]"))
    frame = pd.DataFrame({"s": days, "ms": days.as_unit("ms") - days[0]})
    text = pd.Series(["a", None], dtype="str" if pandas_is(3, 0) else "object")
    return [
        frame,
        pd.Timestamp(np.datetime64(5, "s")),
        pd.Index([1, 2], dtype="i4"),
        pd.array([1.5, None], dtype="Float64"),
        text,
    ]


def same_pandas_units(values):
    frame, stamp, index, floats, text = values
    if pandas_is(2, 0):
        assert [str(kind) for kind in frame.dtypes] == ["datetime64[s]", "timedelta64[ms]"]
        assert (stamp.unit, str(index.dtype), str(floats.dtype)) == ("s", "int32", "Float64")
    assert frame["s"].tolist() == pd.to_datetime(["2024-01-01", "2024-01-02"]).tolist()
    assert frame["ms"].tolist() == [pd.Timedelta(0), pd.Timedelta(days=1)]
    assert (stamp, index.tolist(), text[0]) == (pd.Timestamp(5000000000), [1, 2], "a")
    assert floats[0] == 1.5
    assert pd.isna(floats[1])
    return bool(text.isna()[1])


SKIP = object()


def cases():
    for name, case in sorted(globals().items()):
        library = {"numpy": np, "pandas": pd}.get(name[len("case_") :].partition("_")[0], SKIP)
        if name.startswith("case_") and library is not None:
            yield name[len("case_") :], case


def write(wire, directory, is_call):
    for name, case in cases():
        value = case()
        for protocol in (4, 5):
            if value is not SKIP and (protocol == 4 or sys.version_info >= (3, 8)):
                with open(os.path.join(directory, "{}.{}".format(name, protocol)), "wb") as file:
                    file.write(wire.dumps(((value,), {}) if is_call else value, protocol))


def judged(wire, path, name):
    try:
        with open(path, "rb") as file:
            value = wire.loads(file.read())
        same = globals().get("same_" + name)
        is_same = same(value) if same else value == globals()["case_" + name]()
    except Exception:  # noqa: BLE001 - the verdict is the result
        return traceback.format_exc()
    return "ok" if is_same else "got {!r}".format(value)


def read(wire, directory, result):
    verdicts = {}
    known = dict(cases())
    for entry in sorted(os.listdir(directory)):
        name, _, protocol = entry.partition(".")
        is_readable = protocol == "4" or sys.version_info >= (3, 8)
        if is_readable and (name in known or not name.startswith(("numpy", "pandas"))):
            verdicts[entry] = judged(wire, os.path.join(directory, entry), name)
    with open(result, "w") as file:
        json.dump(verdicts, file)


def main():
    far_side, action, directory = sys.argv[1:4]
    sys.path.insert(0, far_side)
    from clustrix_remote import wire

    if action in ("write", "call"):
        write(wire, directory, action == "call")
    else:
        for place in range(3, len(sys.argv), 2):
            read(wire, *sys.argv[place : place + 2])


if __name__ == "__main__":
    main()
