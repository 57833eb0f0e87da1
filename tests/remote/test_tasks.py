"""The arguments of a map in one file, and the log of an element."""

import contextlib
import io
import os

import pytest
from clustrix_remote import wire
from clustrix_remote.tasks import BEGAN, CLAIMED, LEFT, RESULT, Arguments, Log, entries, pack_arguments
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = b"k" * 32
VALUES = st.one_of(st.integers(), st.text(max_size=5), st.binary(max_size=5))


def written(path, tasks, columns, shared):
    own = [wire.dump_pieces(tuple(each)) for each in tasks]
    common = {column: wire.dump_pieces(value) for column, value in shared.items()}
    path.write_bytes(b"".join(pack_arguments(own, columns, common)))
    return contextlib.closing(Arguments(str(path)))


@given(st.integers(0, 3).flatmap(lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=9)))
@settings(deadline=None, max_examples=40)
def test_every_task_has_its_own_arguments(tmp_path_factory, tasks):
    with written(tmp_path_factory.mktemp("map") / "args", tasks, len(tasks[0]), {}) as arguments:
        for number, values in reversed(list(enumerate(tasks))):
            assert arguments.of(number, wire.loads) == tuple(values)


def test_what_all_tasks_share_is_in_the_file_once_and_each_gets_its_own(tmp_path):
    large = [list(range(1000))]
    with written(tmp_path / "args", [[n] for n in range(100)], 3, {0: large, 2: None}) as arguments:
        assert os.path.getsize(str(tmp_path / "args")) < 10 * len(wire.dumps(large))
        first, second = arguments.of(7, wire.loads), arguments.of(8, wire.loads)
        assert (first, second) == ((large, 7, None), (large, 8, None))
        first[0].append(1)
        assert second[0] == large
        assert arguments.of(7, wire.loads)[0] == large


@pytest.fixture
def log(tmp_path):
    with contextlib.closing(Log(str(tmp_path / "tasks.1"))) as log:
        yield log


def sealed(value):
    return lambda stream: wire.seal(stream, KEY, {"task": value}, [wire.dumps(value)])


def read(tmp_path):
    return (tmp_path / "tasks.1").read_bytes()


def test_a_log_reads_back_as_it_was_written(log, tmp_path):
    log.note(CLAIMED, 3, 6)
    log.note(BEGAN, 3, 4)
    log.result(3, sealed("three"))
    log.result(4, sealed("four"))
    log.note(LEFT)
    assert log.sync() == len(read(tmp_path))
    found = list(entries(read(tmp_path)))
    assert [each[:2] for each in found] == [(CLAIMED, 3), (BEGAN, 3), (RESULT, 3), (RESULT, 4), (LEFT, 0)]
    for each, value in zip(found[2:], ("three", "four")):
        _, body = wire.unseal(KEY, each.result_in(memoryview(read(tmp_path))), {"task": value})
        assert wire.loads(body) == value


def test_whatever_was_logged_is_in_the_file_at_once(log, tmp_path):
    log.note(CLAIMED, 0, 2)
    log.result(0, sealed("zero"))
    assert len(list(entries(read(tmp_path)))) == 2


def test_a_log_that_is_cut_anywhere_gives_its_whole_entries(log, tmp_path):
    log.note(CLAIMED, 0, 9)
    log.result(0, sealed("zero"))
    log.note(LEFT)
    whole = read(tmp_path)
    ends = [each.end for each in entries(whole)]
    for length in range(len(whole) + 1):
        assert [each.end for each in entries(whole[:length])] == [end for end in ends if end <= length]


def test_a_result_that_is_still_being_written_is_none_yet(log, tmp_path):
    seen = []

    def write(stream):
        stream.write(b"x" * (1 << 20))
        stream.flush()
        seen.extend(entries(read(tmp_path)))

    log.result(0, write)
    assert seen == []
    assert [each.first for each in entries(read(tmp_path))] == [0]


def test_an_element_of_the_same_name_never_writes_over_a_log(log, tmp_path):
    log.note(CLAIMED, 0, 9)
    with pytest.raises(FileExistsError):
        Log(str(tmp_path / "tasks.1"))
    assert len(read(tmp_path)) == 17


def test_a_seal_stands_wherever_the_stream_is():
    stream = io.BytesIO(b"before")
    stream.seek(6)
    sealed("x")(stream)
    assert wire.unseal(KEY, stream.getvalue()[6:], {"task": "x"})
