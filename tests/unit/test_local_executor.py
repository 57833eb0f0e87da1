"""LocalExecutor: values, order and errors of plain calls, by processes or threads; which of the two suits a call."""

import asyncio
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import clustrix
from clustrix import LocalExecutor, choose_executor_type, create_local_executor

KINDS = pytest.mark.parametrize("use_threads", [False, True], ids=["processes", "threads"])


def add(first, second=0):
    return first + second


def fails(number, at):
    if number >= at:
        raise LookupError("not found", number)
    return number


def chunks_of(numbers):
    return [{"args": (number,), "kwargs": {"second": 1}} for number in numbers]


@KINDS
def test_results_are_in_order(use_threads):
    with LocalExecutor(2, use_threads) as executor:
        assert executor.execute_parallel(add, chunks_of(range(200))) == list(range(1, 201))
        assert executor.execute_parallel(add, [{"args": (1,)}, {"args": (2,), "kwargs": {}}]) == [1, 2]
        assert executor.execute_parallel(add, []) == []
        assert executor.execute_single(add, (1,), {"second": 4}) == 5


@KINDS
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_a_loop_calls_the_function_with_its_variable(use_threads, chunk_size):
    with LocalExecutor(2, use_threads) as executor:
        results = executor.execute_loop_parallel(add, "second", iter(range(50)), (10,), chunk_size=chunk_size)
        assert results == list(range(10, 60))
        assert executor.execute_loop_parallel(add, "first", [1, 2], func_kwargs={"second": 5}) == [6, 7]


@KINDS
def test_lambdas_closures_and_bound_methods_run(use_threads):
    offset = 100
    with LocalExecutor(2, use_threads) as executor:
        assert executor.execute_loop_parallel(lambda item: item + offset, "item", [1, 2]) == [101, 102]
        assert executor.execute_parallel("a-b".replace, [{"args": ("-", "+")}]) == ["a+b"]
        (double,) = executor.execute_parallel(lambda factor: lambda number: number * factor, [{"args": (2,)}])
        assert double(4) == 8


def test_processes_are_others_and_threads_are_not():
    assert LocalExecutor(1).execute_single(os.getpid) != os.getpid()
    assert LocalExecutor(1, use_threads=True).execute_single(os.getpid) == os.getpid()


@KINDS
def test_the_first_failure_in_the_order_of_the_work_is_raised_as_it_is_with_its_item(use_threads):
    with LocalExecutor(2, use_threads) as executor, pytest.raises(LookupError) as raised:
        executor.execute_loop_parallel(fails, "number", range(40), func_kwargs={"at": 23})
    assert type(raised.value) is LookupError
    assert raised.value.args == ("not found", 23)
    assert raised.value.item_index == 23


def test_a_process_that_dies_is_an_error_that_names_its_item():
    with LocalExecutor(2) as executor, pytest.raises(RuntimeError, match="ended with exit status 5 at item 1"):
        executor.execute_loop_parallel(lambda number: os._exit(5) if number == 1 else number, "number", [0, 1])


@KINDS
def test_a_timeout_ends_the_work(use_threads):
    ended = threading.Event()  # for the threads, which nobody can kill
    waits = ended.wait if use_threads else time.sleep
    try:
        with LocalExecutor(2, use_threads) as executor, pytest.raises(TimeoutError, match="item 0 of 1 was not done"):
            executor.execute_parallel(waits, [{"args": (60,)}], timeout=0.3)
    finally:
        ended.set()


@KINDS
@pytest.mark.parametrize(
    ("chunk", "words"),
    [({"arg": (1,)}, r"work_chunks\[1\]"), (7, r"work_chunks\[1\] is 7"), ([1], r"work_chunks\[1\]")],
)
def test_work_that_is_no_call_is_refused_before_anything_runs(use_threads, chunk, words):
    with LocalExecutor(2, use_threads) as executor, pytest.raises(TypeError, match=words):
        executor.execute_parallel(add, [{"args": (1,)}, chunk])


def test_a_loop_variable_that_is_given_twice_is_refused():
    with pytest.raises(TypeError, match="'second' is the loop's variable"):
        LocalExecutor(1).execute_loop_parallel(add, "second", [1], (1,), {"second": 2})


@pytest.mark.parametrize(("workers", "error"), [(0, ValueError), (-3, ValueError), ("2", TypeError), (True, TypeError)])
def test_a_number_of_workers_that_is_none_is_refused(workers, error):
    with pytest.raises(error, match="max_workers is a"):
        LocalExecutor(workers)


def test_by_default_there_is_a_process_for_each_core():
    assert LocalExecutor().max_workers <= len(os.sched_getaffinity(0))
    assert LocalExecutor(use_threads=True).max_workers >= LocalExecutor().max_workers


SCRIPT = """
import multiprocessing, sys
print("begins")
from clustrix.remote import parallel
parallel.sys = type("", (), {"platform": "darwin"})  # as where nothing is forked
from clustrix import LocalExecutor
class Pair:
    def __init__(self, number): self.number = number
def pair(number): return Pair(number * 2)
with LocalExecutor(2) as executor:
    print([type(each) is Pair and each.number for each in executor.execute_loop_parallel(pair, "number", range(3))])
"""


def test_where_nothing_is_forked_a_script_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    answer = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.stderr) == ("begins\n[0, 2, 4]\n", "")


def computes(number):
    """Says "open(" and "requests.get(" and "time.sleep(" only here."""
    opened = number * 2  # open(number), requests.get(number)
    return sum(value**2 for value in range(opened))


def uses_a_name_like_those(requests):
    open = requests.get  # noqa: A001
    return open("number")


def opens(path):
    with open(path) as stream:  # noqa: PTH123 - it is what is looked for
        return stream.read()


def opens_a_path(path):
    return Path(path).read_text()


def sleeps(seconds):
    from time import sleep as pause

    pause(seconds)


def requests_a_page(address):
    return urllib.request.urlopen(address).read()


def imports_requests(address):
    import requests

    return requests.get(address)


async def awaits(seconds):
    await asyncio.sleep(seconds)


def starts_a_program(name):
    return subprocess.run([name], check=True)


def calls_one_that_opens(path):
    return len(opens(path))


@pytest.mark.parametrize(
    "function",
    [
        opens,
        opens_a_path,
        sleeps,
        requests_a_page,
        imports_requests,
        awaits,
        starts_a_program,
        calls_one_that_opens,
        time.sleep,
    ],
)
def test_what_awaits_opens_requests_or_sleeps_goes_to_threads(function):
    assert choose_executor_type(function, ("x",), {}) is True


@pytest.mark.parametrize("function", [computes, uses_a_name_like_those, add, sum, clustrix.cluster(computes), dict])
def test_what_computes_goes_to_processes(function):
    assert choose_executor_type(function, (1,), {}) is False


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [(lambda number: number, (1,), {}), (add, (threading.Lock(),), {}), (add, (1,), {"second": (n for n in ())})],
    ids=["lambda", "argument", "keyword"],
)
def test_what_plain_pickle_refuses_goes_to_threads(function, args, kwargs):
    assert choose_executor_type(function, args, kwargs) is True


def test_create_local_executor_chooses_unless_it_is_told():
    assert create_local_executor(2).use_threads is False
    assert create_local_executor(2, func=opens, args=("x",)).use_threads is True
    assert create_local_executor(2, func=computes, args=(1,)).use_threads is False
    assert create_local_executor(3, use_threads=True, func=computes).use_threads is True
    assert create_local_executor(3).max_workers == 3
