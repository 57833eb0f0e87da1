"""A program, run by one Python to write values and by another to read and judge them. See tests/unit/test_wire_pairs.py.

    wire_cases.py FAR_SIDE write DIRECTORY           writes a file for each case and protocol
    wire_cases.py FAR_SIDE call DIRECTORY            the same, as the only argument of a call
    wire_cases.py FAR_SIDE read DIRECTORY RESULT     reads them; RESULT is JSON: {case: "ok" or what is wrong}

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
import traceback
import types
import uuid
from typing import NamedTuple

try:
    import numpy as np
except ImportError:
    np = None


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


SKIP = object()


def cases():
    for name, case in sorted(globals().items()):
        if name.startswith("case_") and (np is not None or not name.startswith("case_numpy")):
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
        if is_readable and (name in known or not name.startswith("numpy")):
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
        read(wire, directory, sys.argv[4])


if __name__ == "__main__":
    main()
