"""Large arrays cross in pieces of their own, with no copy of them made, by every protocol and on every Python."""

import os
import pickle
import subprocess
import sys

import pytest
from clustrix_remote.wire import WireError, dump_pieces, dumps, loads, rewrite
from hypothesis import given
from hypothesis import strategies as st

numpy = pytest.importorskip("numpy")

PROTOCOLS = [protocol for protocol in (4, 5) if protocol <= pickle.HIGHEST_PROTOCOL]
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
SIZE = 50000


def large_arrays():
    grid = numpy.arange(2.0 * SIZE).reshape(2, SIZE)
    return [
        grid,
        grid.T,
        grid[:, ::2],
        grid.astype(">f4"),
        numpy.arange(SIZE).astype("M8[ns]"),
        numpy.zeros(SIZE, dtype=[("a", "i4"), ("b", "f8")]),
        numpy.full(SIZE, "text"),
        numpy.ones(SIZE, dtype=bool),
        numpy.zeros((SIZE, 0, 3)),
        numpy.array(["x", None] * SIZE, dtype=object),
        numpy.arange(SIZE).reshape(10, 50, 100).transpose(1, 0, 2),
        numpy.ma.masked_less(numpy.arange(SIZE), 7),
        numpy.arange(3),
    ]


@each_protocol
def test_large_arrays_of_every_kind_come_back(protocol):
    wanted = large_arrays()
    for array, back in zip(wanted, loads(dumps(wanted, protocol))):
        assert type(back) is type(array)
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert numpy.array_equal(back, array)


@each_protocol
def test_an_array_is_written_as_a_view_of_its_own_memory(protocol):
    array = numpy.zeros((100, SIZE))
    pieces = dump_pieces({"a": array, "transposed": array.T, "part": array[3:5]}, protocol)
    views = [numpy.frombuffer(piece, dtype="u1") for piece in pieces if len(piece) >= SIZE]
    assert [numpy.shares_memory(view, array) for view in views] == [True] * 3


@each_protocol
def test_an_array_is_read_as_a_view_of_what_it_came_in(protocol):
    data = bytearray(dumps([numpy.arange(SIZE), numpy.arange(SIZE)], protocol))
    for array in loads(data):
        assert numpy.shares_memory(array, numpy.frombuffer(data, dtype="u1"))
        assert array.flags.aligned
        array[0] = 7


@each_protocol
def test_what_came_in_bytes_can_be_written_to_and_changes_nothing_there(protocol):
    data = dumps(numpy.arange(SIZE), protocol)
    array = loads(data)
    array[:] = 7
    assert loads(data)[3] == 3


@each_protocol
def test_an_array_that_is_there_twice_is_sent_once_and_stays_one(protocol):
    array = numpy.zeros(SIZE)
    data = dumps([array, {"again": array}], protocol)
    first, second = loads(data)
    assert len(data) < 2 * array.nbytes
    assert second["again"] is first


@each_protocol
def test_a_value_without_large_arrays_is_its_pickle(protocol):
    assert dumps([1, numpy.arange(3)], protocol)[:2] == bytes([0x80, protocol])


@each_protocol
def test_data_that_was_cut_short_is_refused_wherever_the_cut_is(protocol):
    data = dumps(numpy.arange(SIZE), protocol)
    for length in [*range(0, 400, 7), len(data) - 1]:
        with pytest.raises((pickle.UnpicklingError, EOFError)):
            loads(data[:length])


@given(data=st.binary(max_size=100))
def test_whatever_follows_the_magic_is_read_or_refused(data):
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        loads(b"\xf1clxarr\x01" + data + b"\xff" * 8)


def test_a_large_pickle_is_read_as_a_small_one_is():
    value = [bytes(3 << 20), "x" * (1 << 20), list(range(100000)), {"k": numpy.arange(SIZE)}]
    back = loads(bytearray(dumps(value)))
    assert back[:3] == value[:3]
    assert back[3]["k"][-1] == SIZE - 1
    assert loads(pickle.dumps([1 << 5000] * 1000, 0)) == [1 << 5000] * 1000  # in lines


@each_protocol
def test_what_can_never_be_sent_is_found_beside_large_arrays(protocol):
    with pytest.raises(WireError) as caught:
        dumps({"a": numpy.zeros(SIZE), "b": [lambda: 0]}, protocol, root="args[0]")
    assert caught.value.path == 'args[0]["b"][0]'


def test_an_environment_without_the_libraries_passes_it_on_unopened():
    assert rewrite(dumps({"a": numpy.zeros(SIZE)}), (3, 6)) is None


MEASURE = """
import re, sys
sys.path.insert(0, sys.argv[1])
import numpy
from clustrix_remote.paths import read_whole
from clustrix_remote.wire import dump_pieces, loads, seal, unseal

def peak():
    return int(re.search("VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)) * 1024

if sys.argv[2] == "write":
    value = numpy.ones(200 << 17).reshape(1024, -1)
    before = peak()
    with open(sys.argv[3], "wb") as stream:
        seal(stream, bytes(32), {}, dump_pieces({"a": value}, int(sys.argv[4])))
else:
    before = peak()
    array = loads(unseal(bytes(32), read_whole(sys.argv[3]), {})[1])["a"]
    assert array.shape[0] == 1024 and array.sum() == array.size
    array += 1
print((peak() - before) / (200 << 20))
"""


@each_protocol
def test_a_large_array_takes_no_more_than_itself_in_memory_on_either_side(protocol, tmp_path):
    far_side = os.path.dirname(
        os.path.dirname(os.path.dirname(os.path.abspath(sys.modules[dumps.__module__].__file__)))
    )
    extra = []
    for action in ("write", "read"):
        command = [sys.executable, "-c", MEASURE, far_side, action, str(tmp_path / "result"), str(protocol)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        extra.append(float(done.stdout.decode()))
    assert extra[0] < 0.3
    assert extra[1] < 1.3
