"""Values come back as they were, and what can't be sent is named."""

import collections
import contextlib
import copyreg
import datetime as dt
import enum
import functools
import io
import pickle
import pickletools
import re
import socket
import sqlite3
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from clustrix_remote.wire import WireError, dumps, loads
from hypothesis import given
from hypothesis import strategies as st

PROTOCOLS = [protocol for protocol in (4, 5) if protocol <= pickle.HIGHEST_PROTOCOL]


class Point(NamedTuple):
    x: object
    y: object


class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("held",)


class Registered:
    pass


class Meta(type):
    pass


class OfMeta(metaclass=Meta):
    pass


class Colour(enum.Enum):
    RED = 1


class Dropping:
    """Has a lock that its own state leaves out."""

    def __init__(self, inner):
        self.lock = threading.Lock()
        self.inner = inner

    def __getstate__(self):
        return {"inner": self.inner}


def at_top():
    pass


def path_and_reason(value, **options):
    with pytest.raises(WireError) as caught:
        dumps(value, root="args[0]", **options)
    assert str(caught.value) == "{}: {}".format(caught.value.path, caught.value.reason)
    return caught.value.path, caught.value.reason


simple = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    simple,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(simple),
    max_leaves=10,
)


@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_values_come_back_equal(value, protocol):
    assert loads(dumps(value, protocol)) == value


@given(value=values)
def test_a_view_of_bytes_is_read_too(value):
    assert loads(memoryview(dumps(value))) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocol_is_the_one_asked_for(protocol):
    assert dumps([])[1] == 4
    assert dumps([], protocol)[1] == protocol


def test_what_plain_pickle_can_do_is_done_as_it_does_it():
    value = [
        Point(1, 2),
        Colour.RED,
        OfMeta,
        OfMeta(),
        re.compile("a+"),
        at_top,
        len,
        3j,
        NotImplemented,
        ...,
        type(None),
    ]
    value += [range(3), slice(1, 2), b"x", bytearray(b"y"), functools.partial(at_top), dt.timezone.utc, "a".upper]
    assert list(pickletools.genops(dumps(value))) == list(pickletools.genops(pickle.dumps(value, 4)))


def test_a_registered_reduction_is_used():
    copyreg.pickle(Registered, lambda _: "Registered")
    try:
        globals()["Registered"] = registered = Registered()
        assert loads(dumps([registered]))[0] is registered
    finally:
        del copyreg.dispatch_table[type(registered)]


def test_what_is_shared_stays_shared_and_what_is_closed_stays_closed():
    shared = Plain()
    shared.me = shared
    first, second = loads(dumps([shared, shared]))
    assert first is second is first.me


def test_no_pickle_names_the_modules_that_wrote_it():
    data = dumps([ValueError("x"), WireError("path", "reason")])
    assert b"clustrix_remote" not in data
    assert isinstance(loads(data)[1], WireError)


def test_a_pickle_of_ours_that_plain_pickle_reads_says_how_to_read_it():
    with pytest.raises(pickle.UnpicklingError, match=r"wire\.loads"):
        pickle.loads(dumps(ValueError("x")))


def test_the_path_leads_through_containers_and_attributes():
    model = Plain(_lock=threading.Lock())
    assert path_and_reason({"model": [model]}) == (
        'args[0]["model"][0]._lock',
        "cannot pickle '_thread.lock' object",
    )


def slotted(held):
    value = Slotted()
    value.held = held
    return value


@pytest.mark.parametrize(
    ("wrap", "step"),
    [
        (lambda lock: {1: lock}, "[1]"),
        (lambda lock: {'a"b': lock}, '["a\\"b"]'),
        (lambda lock: (0, lock), "[1]"),
        (lambda lock: Point(0, lock), ".y"),
        (lambda lock: collections.deque([lock]), "[0]"),
        (lambda lock: collections.OrderedDict(a=lock), '["a"]'),
        (lambda lock: collections.defaultdict(list, a=lock), '["a"]'),
        (lambda lock: Plain(a=Plain(b=lock)), ".a.b"),
        (slotted, ".held"),
        (Dropping, ".inner"),
        (lambda lock: functools.partial(at_top, lock), ".args[0]"),
        (lambda lock: functools.partial(at_top, k=lock), '.keywords["k"]'),
        (lambda lock: types.SimpleNamespace(a=lock), ".a"),
        (lambda lock: Plain(a=[lock]).__init__, ".__self__.a[0]"),
    ],
)
def test_every_kind_of_container_has_its_step(wrap, step):
    assert path_and_reason(wrap(threading.Lock())) == ("args[0]" + step, "cannot pickle '_thread.lock' object")


def test_a_key_that_cannot_be_sent_is_named_as_a_key():
    path, reason = path_and_reason({at_top: 1, (lambda: 0): 2})
    assert path.startswith("args[0].keys()[<function test_a_key")
    assert "<lambda>" in reason


def test_a_member_of_a_set_is_named():
    path, _ = path_and_reason({1, lambda: 0})
    assert path.startswith("args[0]{<function test_a_member")


def test_a_closed_structure_has_an_end():
    outer, inner = [], []
    outer.append(inner)
    inner.append(outer)
    outer.append({"here": threading.Lock()})
    assert path_and_reason(outer)[0] == 'args[0][1]["here"]'


def generator():
    yield


def test_what_can_never_be_sent_is_named(tmp_path):
    with (tmp_path / "file").open("w") as file, socket.socket() as sock:
        assert path_and_reason([file]) == ("args[0][0]", "cannot pickle '_io.TextIOWrapper' object")
        assert path_and_reason([sock]) == ("args[0][0]", "cannot pickle 'socket.socket' object")
    assert path_and_reason([generator()]) == ("args[0][0]", "cannot pickle 'generator' object")
    assert path_and_reason([threading.RLock()]) == ("args[0][0]", "cannot pickle '_thread.RLock' object")
    assert path_and_reason([sys]) == ("args[0][0]", "cannot pickle 'module' object")
    assert path_and_reason([memoryview(b"")]) == ("args[0][0]", "cannot pickle 'memoryview' object")
    with ThreadPoolExecutor(1) as pool:
        path, reason = path_and_reason({"pool": pool})
    assert path.startswith('args[0]["pool"]._')
    assert reason.startswith("cannot pickle '")
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        assert path_and_reason([database]) == ("args[0][0]", "cannot pickle 'sqlite3.Connection' object")


def made_in_a_function():
    class Local:
        pass

    return Local()


def test_an_instance_of_a_function_s_class_is_refused_by_the_class():
    path, reason = path_and_reason({"model": made_in_a_function()})
    assert path == 'args[0]["model"].__class__'
    assert "made_in_a_function.<locals>.Local" in reason
    assert "define it at the top of its module" in reason


def test_what_leads_into_itself_for_ever_is_an_error():
    assert path_and_reason([Endless()])[0].startswith("args[0]")


class Endless:
    def __reduce__(self):
        return Endless, (Endless(),)


def test_functions_and_classes_without_a_name_are_named():
    def local():
        pass

    class Local:
        pass

    where = "{}.test_functions_and_classes_without_a_name_are_named.<locals>".format(__name__)
    assert path_and_reason([local])[1] == (
        "cannot pickle the local function '{}.local': define it at the top of its module".format(where)
    )
    assert path_and_reason([Local])[1] == (
        "cannot pickle the local class '{}.Local': define it at the top of its module".format(where)
    )
    assert path_and_reason([lambda: 0])[1] == (
        "cannot pickle the lambda '{}.<lambda>': it has no name to find it by".format(where)
    )
    assert path_and_reason([Local()])[0] == "args[0][0].__class__"


def test_a_value_that_refuses_for_itself_is_quoted():
    class_path = "args[0][0]"
    assert path_and_reason([Refusing()]) == (
        class_path,
        "cannot pickle 'test_wire_pickler.Refusing' object: RuntimeError: not me",
    )


def test_a_failure_deeper_than_the_search_can_go_is_still_an_error():
    value = threading.Lock()
    for _ in range(sys.getrecursionlimit() // 5):
        value = [value]
    path, _ = path_and_reason(value)
    assert path.startswith("args[0]")


def test_a_container_that_cannot_be_walked_through_ends_the_path():
    class Broken(dict):
        def items(self):
            raise RuntimeError("no items")

    assert path_and_reason([Broken(a=threading.Lock())])[0] == "args[0][0]"


class Refusing:
    def __reduce__(self):
        raise RuntimeError("not me")


def test_nesting_without_end_is_said_to_be_that():
    value = []
    for _ in range(100000):
        value = [value]
    assert path_and_reason(value) == ("args[0]", "it is nested too deeply to be pickled")
    while value:  # the interpreter would free it by recursion, too
        value = value.pop()


def test_the_error_keeps_what_the_pickler_said():
    with pytest.raises(WireError) as caught:
        dumps(threading.Lock())
    assert isinstance(caught.value.__cause__, TypeError)
    assert caught.value.path == "value"


needs_3_8 = pytest.mark.skipif(sys.version_info < (3, 8), reason="the client writes this, and is newer")


@needs_3_8
def test_the_main_module_is_called_main_on_the_wire():
    value = [Plain(a=1), Point(1, 2), at_top, Colour.RED, Plain]
    data = dumps(value, main_module=__name__)
    assert __name__.encode() not in data
    back = loads(data, main_module=__name__)
    assert back[0].a == 1
    assert back[1:] == value[1:]
    with pytest.raises(AttributeError):
        loads(data)


@needs_3_8
def test_what_cannot_be_sent_is_named_with_another_main_module_too():
    assert path_and_reason([lambda: 0], main_module=__name__)[1].startswith("cannot pickle the lambda")


@pytest.mark.skipif(sys.version_info >= (3, 8), reason="possible there")
def test_another_main_module_is_refused_where_it_cannot_be_written():
    with pytest.raises(WireError, match=r"needs Python 3\.8"):
        dumps(at_top, main_module=__name__)


@pytest.mark.skipif(sys.version_info < (3, 9), reason="there is no zoneinfo")
def test_a_time_zone_is_refused_for_readers_without_zoneinfo():
    import zoneinfo

    try:
        noon = dt.datetime(2024, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zone data")
    assert path_and_reason([noon], target=(3, 8)) == (
        "args[0][0].tzinfo",
        "zoneinfo.ZoneInfo needs Python 3.9, and what reads this is older",
    )
    assert loads(dumps(noon, target=(3, 9))) == noon


@pytest.mark.skipif(sys.version_info < (3, 9), reason="it is no value there")
def test_a_parametrised_builtin_is_refused_for_older_readers():
    assert path_and_reason({"type": list[int]}, target=(3, 8)) == (
        'args[0]["type"]',
        "types.GenericAlias needs Python 3.9, and what reads this is older",
    )
    assert loads(dumps(list[int], target=(3, 9))) == list[int]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="it is no value there")
def test_a_union_is_refused_for_older_readers():
    path, reason = path_and_reason({"type": int | str}, target=(3, 9))
    assert path == 'args[0]["type"]'
    assert reason.endswith("needs Python 3.10, and what reads this is older")


def test_a_table_of_dicts_costs_no_call_of_python_for_each():
    calls = []
    value = [Plain(number=number) for number in range(1000)]
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        data = dumps(value)
        back = loads(data)
    finally:
        sys.setprofile(None)
    assert len(calls) < 100
    assert len(back) == 1000


def random_sources(numpy):
    sources = [numpy.random.RandomState(7)]
    if hasattr(numpy.random, "Generator"):
        kinds = [numpy.random.MT19937, numpy.random.PCG64, numpy.random.Philox, numpy.random.SFC64]
        sources += [numpy.random.Generator(kind(7)) for kind in kinds]
        sources.append(numpy.random.RandomState(numpy.random.PCG64(7)))
    return sources


def test_numpys_random_sources_go_on_where_they_were():
    numpy = pytest.importorskip("numpy")
    for source in random_sources(numpy):
        source.standard_normal()
        data = dumps([source, source])
        back, same = loads(data)
        assert same is back
        assert type(back) is type(source)
        assert (back.standard_normal(10) == source.standard_normal(10)).all()
        assert b"numpy.random" not in data


def test_a_random_generator_still_has_children():
    numpy = pytest.importorskip("numpy")
    if not hasattr(numpy.random, "SeedSequence"):
        pytest.skip("numpy is older than 1.17")
    seed = numpy.random.SeedSequence(7)
    generator = numpy.random.Generator(numpy.random.PCG64(seed))
    seed.spawn(2)
    back, back_seed = loads(dumps([generator, seed]))
    assert back_seed.spawn(1)[0].generate_state(4).tolist() == seed.spawn(1)[0].generate_state(4).tolist()
    if hasattr(generator, "spawn"):
        seed_of_back = back.bit_generator.seed_seq
        assert seed_of_back.entropy == 7
        assert seed_of_back.n_children_spawned == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back(protocol):
    numpy = pytest.importorskip("numpy")
    arrays = [
        numpy.arange(12).reshape(3, 4).T,
        numpy.array(["a", "bc"]),
        numpy.array([1, "x", None], dtype=object),
        numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.array(["2024-01-01"], dtype="M8[ns]"),
        numpy.float32(1.5),
        numpy.bool_(True),
        numpy.zeros(0),
    ]
    for array, back in zip(arrays, loads(dumps(arrays, protocol))):
        assert type(back) is type(array)
        assert back.dtype == array.dtype
        assert numpy.array_equal(back, array)


def test_an_array_of_new_strings_is_refused_for_pythons_whose_numpy_lacks_them():
    numpy = pytest.importorskip("numpy")
    if not hasattr(getattr(numpy, "dtypes", None), "StringDType"):
        pytest.skip("numpy is older than 2")
    strings = numpy.array(["a", "bc"], dtype=numpy.dtypes.StringDType())
    assert "numpy.dtypes.StringDType needs Python 3.9" in path_and_reason([strings], target=(3, 8))[1]
    assert loads(dumps(strings)).tolist() == ["a", "bc"]


def test_an_open_buffer_of_bytes_is_a_value():
    assert loads(dumps(io.BytesIO(b"abc"))).read() == b"abc"
