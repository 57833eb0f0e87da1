"""The pool gives what a plain loop gives, in order, whatever becomes of its workers."""

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
from clustrix_remote import parallel
from clustrix_remote.parallel import Pool, WorkerDiedError
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel_workload import OwnError, ends_at_three, fails_at_three, kills_itself_at_three, square

METHODS = ["fork", "spawn"]
HERE = os.path.dirname(os.path.abspath(__file__))


def values(outcomes):
    return [outcome.result() for outcome in outcomes]


def wait_until(is_true):
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("method", METHODS)
def test_outcomes_are_those_of_a_plain_loop_in_its_order(method):
    with Pool(2, method) as pool:
        assert values(pool.run(square, range(3000))) == list(map(square, range(3000)))


@pytest.mark.parametrize("method", METHODS)
def test_an_iterable_is_read_lazily_and_not_far_ahead(method):
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield read[-1]

    with Pool(2, method) as pool:
        outcomes = pool.run(square, endless(), chunk_size=2)
        assert [next(outcomes).value for _ in range(10)] == list(map(square, range(10)))
        assert len(read) < 50


def test_a_forked_worker_has_what_no_pickle_takes():
    thing = {"lock": __import__("threading").Lock(), "more": 5}
    with Pool(2, "fork") as pool:
        assert values(pool.run(lambda item: item() + thing["more"], [lambda: 1, lambda: 2])) == [6, 7]


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_is_the_outcome_of_its_item_with_type_attributes_and_traceback(method):
    with Pool(2, method) as pool:
        outcomes = list(pool.run(fails_at_three, range(6)))
    assert [outcome.index for outcome in outcomes] == list(range(6))
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4, 5]
    assert type(outcomes[3].error) is OwnError
    assert (outcomes[3].error.code, outcomes[3].error.args) == (17, ("three",))
    assert "fails_at_three" in str(outcomes[3].error.__cause__)
    with pytest.raises(OwnError):
        outcomes[3].result()


def test_an_exception_of_a_class_without_a_name_is_of_that_class_in_the_parent_of_a_fork():
    class Local(Exception):
        pass

    def fails(number):
        raise Local(number)

    with Pool(2, "fork") as pool:
        (outcome,) = pool.run(fails, [4])
    assert type(outcome.error) is Local
    assert outcome.error.args == (4,)


@pytest.mark.parametrize(
    ("method", "function", "words"),
    [
        ("fork", ends_at_three, "exit status 7"),
        ("fork", kills_itself_at_three, "died of SIGKILL"),
        ("spawn", kills_itself_at_three, "died of SIGKILL"),
    ],
)
def test_a_worker_that_dies_is_an_error_that_names_the_item_and_others_go_on(method, function, words):
    with Pool(2, method) as pool:
        outcomes = list(pool.run(function, range(8), chunk_size=1))
    assert [outcome.index for outcome in outcomes if outcome.error] == [3]
    assert isinstance(outcomes[3].error, WorkerDiedError)
    assert words in str(outcomes[3].error)
    assert "item 3" in str(outcomes[3].error)
    assert [outcome.value for outcome in outcomes if not outcome.error] == [0, 1, 2, 4, 5, 6, 7]


def test_what_a_dead_worker_had_not_handed_over_is_an_error_that_says_so():
    with Pool(1, "fork") as pool:
        outcomes = list(pool.run(ends_at_three, range(6), chunk_size=6))
    assert [bool(outcome.error) for outcome in outcomes] == [True] * 4 + [False] * 2
    assert "item 1 was done, but its result not handed over" in str(outcomes[1].error)


def test_a_result_that_cannot_be_sent_is_an_error_that_names_the_item():
    with Pool(2, "fork") as pool:
        outcomes = list(pool.run(lambda item: open if item != 1 else iter(sys.stdout), range(3)))
    assert [outcome.value for outcome in outcomes] == [open, None, open]
    assert "result of item 1" in str(outcomes[1].error)


def test_what_the_iterable_raises_comes_after_the_outcomes_before_it():
    def items():
        yield 1
        yield 2
        raise LookupError("no more")

    with Pool(2, "fork") as pool:
        outcomes = pool.run(square, items())
        assert [next(outcomes).value, next(outcomes).value] == [1, 4]
        with pytest.raises(LookupError, match="no more"):
            next(outcomes)


def pids_and_wait(directory):
    """Leave a mark with the numbers of this process and of one that it starts, and never return."""

    def wait_for_ever(_item):
        child = subprocess.Popen(["sleep", "1000"])
        path = os.path.join(directory, "%d" % os.getpid())
        with open(path + ".new", "w") as stream:
            stream.write("%d %d" % (os.getpid(), child.pid))
        os.rename(path + ".new", path)
        child.wait()

    return wait_for_ever


def pids_in(directory):
    found = []
    for name in os.listdir(directory):
        if not name.endswith(".new"):
            with open(os.path.join(directory, name)) as stream:
                found += map(int, stream.read().split())
    return found


def test_a_timeout_ends_the_workers_and_what_they_started(tmp_path):
    with Pool(2, "fork") as pool, pytest.raises(TimeoutError, match="item 0 of 2 was not done"):
        list(pool.run(pids_and_wait(str(tmp_path)), [1, 2], timeout=2))
    pids = pids_in(str(tmp_path))
    assert len(pids) == 4
    wait_until(lambda: not any(map(is_alive, pids)))


def test_closing_the_iterator_ends_what_is_behind(tmp_path):
    stay = pids_and_wait(str(tmp_path))
    with Pool(2, "fork") as pool:
        outcomes = pool.run(lambda item: stay(item) if item else item, [0, 1])
        assert next(outcomes).value == 0
        wait_until(lambda: len(pids_in(str(tmp_path))) == 2)
        outcomes.close()
    wait_until(lambda: not any(map(is_alive, pids_in(str(tmp_path)))))


# A test run in the background ignores SIGINT, and so would its children.
PARENT = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = {paths!r}
from clustrix_remote.parallel import Pool
from parallel_workload import stays
if __name__ == "__main__":
    with Pool(2, {method!r}) as pool:
        list(pool.run(stays, [{directory!r}] * 2))
"""


@pytest.fixture
def parent(tmp_path, request):
    """A program whose two workers compute for ever: the process, and their numbers."""
    script, marks = tmp_path / "parent.py", tmp_path / "marks"
    marks.mkdir()
    paths = [os.path.dirname(os.path.dirname(parallel.__file__)), HERE]
    script.write_text(PARENT.format(paths=paths, method=request.param, directory=str(marks)))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, start_new_session=True)
    with process:
        try:
            wait_until(lambda: len(pids_in(str(marks))) == 2)
            yield process, pids_in(str(marks))
        finally:
            process.kill()


STARTING = """
import signal, sys
sys.path[:0] = {paths!r}
signal.signal(signal.SIGINT, signal.default_int_handler)
from clustrix_remote.parallel import Pool
from time import sleep
if __name__ == "__main__":
    with Pool(6, {method!r}) as pool:
        list(pool.run(sleep, [0]))  # Python loses interrupts while it imports
        print("now", flush=True)
        list(pool.run(sleep, [1000] * 6))
"""


@pytest.mark.parametrize("parent", METHODS, indirect=True)
def test_workers_end_when_their_parent_is_killed(parent):
    process, workers = parent
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("parent", METHODS, indirect=True)
def test_ctrl_c_ends_the_workers_and_only_the_parent_tells_of_it(parent):
    process, workers = parent
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 1)
    assert errors.count(b"Traceback") == 1, errors.decode()
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert not any(map(is_alive, workers))


@pytest.mark.parametrize("delay", [0, 2, 4, 6, 8, 10, 13, 16, 20, 30])
@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_while_workers_are_being_started_is_the_parents_alone(tmp_path, method, delay):
    script = tmp_path / "parent.py"
    paths = [os.path.dirname(os.path.dirname(parallel.__file__)), HERE]
    script.write_text(STARTING.format(paths=paths, method=method))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, **pipes)
    with process:
        assert process.stdout.readline() == b"now\n"
        time.sleep(delay / 1000)
        os.killpg(process.pid, signal.SIGINT)
        try:
            # Workers hold these pipes, too.
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    # What it interrupts may be the handling of another exception, of which Python tells, too. And the helpers of "spawn" complain.
    if method == "fork":
        assert errors.count(b"KeyboardInterrupt") == 1, errors.decode()
    assert process.returncode in (-signal.SIGINT, 1)


def test_idle_workers_take_what_a_busy_one_has_not_begun(tmp_path):
    """Item 0 ends only when all others are done, which are in its worker's own chunk."""
    marks = str(tmp_path)

    def wait_for_others(item):
        open(os.path.join(marks, "%d" % item), "w").close()
        wait_until(lambda: item or len(os.listdir(marks)) == 8)
        return item

    with Pool(2, "fork") as pool:
        assert values(pool.run(wait_for_others, range(8), chunk_size=8)) == list(range(8))


def test_a_pool_in_a_worker_has_one_worker():
    def inner(item):
        with Pool() as pool:
            return pool.workers, parallel.cores(), values(pool.run(square, [item]))

    with Pool(2, "fork") as pool:
        assert values(pool.run(inner, [3, 4])) == [(1, 1, [9]), (1, 1, [16])]


def test_native_libraries_of_a_worker_share_the_cores():
    with Pool(2, "fork") as pool:
        (found,) = values(pool.run(lambda name: os.environ[name], ["OMP_NUM_THREADS"]))
    assert int(found) == max(1, parallel.cores() // 2)


def test_large_results_and_items_arrive_whole():
    size = 5000000
    with Pool(2, "fork") as pool:
        assert values(pool.run(lambda item: bytes([item]) * size, [1, 2])) == [b"\1" * size, b"\2" * size]
        assert values(pool.run(lambda item: (len(item), item[-1]), iter([b"\3" * size]))) == [(size, 3)]


@pytest.mark.skipif(pickle.HIGHEST_PROTOCOL < 5, reason="arrays have no buffers of their own before protocol 5")
def test_arrays_that_arrive_can_be_written_to_even_many_of_them():
    numpy = pytest.importorskip("numpy")
    with Pool(2, "fork") as pool:
        arrays = values(pool.run(lambda item: numpy.full(200000, item), range(300), chunk_size=1))
    for item, array in enumerate(arrays):
        array[-1] += 1
        assert (array[0], array[-1]) == (item, item + 1)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-5, 20)), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 4)), st.booleans())
def test_any_loop_of_any_chunks(numbers, workers, chunk_size, is_lazy):
    def function(number):
        if number < 0:
            raise ValueError(number)
        return number * 2

    items = iter(numbers) if is_lazy else numbers
    with Pool(workers, "fork") as pool:
        got = [
            outcome.value if outcome.error is None else outcome.error.args
            for outcome in pool.run(function, items, chunk_size)
        ]
    assert got == [number * 2 if number >= 0 else (number,) for number in numbers]


def test_threads_keep_order_errors_and_laziness():
    with Pool(3, threads=True) as pool:
        outcomes = list(pool.run(fails_at_three, iter(range(50))))
        assert [outcome.value for outcome in outcomes] == [n if n != 3 else None for n in range(50)]
        assert type(outcomes[3].error) is OwnError
        with pytest.raises(TimeoutError, match="item 0"):
            list(pool.run(__import__("threading").Event().wait, [30], timeout=0.1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"workers": 0}, "at least one worker"), ({"start_method": "forkserver"}, "'fork' or 'spawn'")],
)
def test_what_makes_no_pool_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Pool(**arguments)
