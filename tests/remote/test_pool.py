"""Tasks are taken from the pool once each, by however many at once."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from clustrix_remote import pool
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def take_all(directory, wanted):
    taken = []
    while True:
        claimed = pool.claim(directory, wanted)
        if claimed is None:
            return taken
        taken.append(claimed)


def tasks_of(ranges):
    return sorted(task for start, end, _ in ranges for task in range(start, end))


@given(st.lists(st.integers(-3, 50), min_size=1, max_size=20), st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_whatever_is_wanted_every_task_is_taken_once_and_in_order(tmp_path_factory, sizes, tasks):
    directory = str(tmp_path_factory.mktemp("pool"))
    pool.offer(directory, "all", 0, tasks)
    turns = iter(sizes * tasks)
    taken = take_all(directory, lambda left: next(turns))
    assert [task for start, end, _ in taken for task in range(start, end)] == list(range(tasks))


def test_who_takes_tasks_is_told_how_many_are_left(directory):
    pool.offer(directory, "all", 0, 10)
    told = []
    take_all(directory, lambda left: told.append(left) or 4)
    assert told == [10, 6, 2]


def test_many_threads_take_every_task_once(directory):
    pool.offer(directory, "all", 0, 300)
    with ThreadPoolExecutor(8) as threads:
        taken = [threads.submit(take_all, directory, lambda left: 3) for _ in range(8)]
    assert tasks_of(each for future in taken for each in future.result()) == list(range(300))


def _take_threes(directory):
    return take_all(directory, lambda left: 3)


def test_many_processes_take_every_task_once(directory):
    pool.offer(directory, "all", 0, 300)
    with multiprocessing.Pool(4) as processes:
        taken = processes.map(_take_threes, [directory] * 4)
    assert tasks_of(each for part in taken for each in part) == list(range(300))


def test_what_is_offered_again_is_taken_again_but_by_one_name_only_once(directory):
    pool.offer(directory, "all", 0, 4)
    take_all(directory, lambda left: 4)
    for _ in range(2):
        pool.offer(directory, "17_1", 2, 4)
        assert tasks_of(take_all(directory, lambda left: 1)) in ([2, 3], [])
    assert pool.ranges(directory) == []


def test_a_range_may_be_named_with_dots(directory):
    pool.offer(directory, "15.server", 3, 5)
    assert pool.ranges(directory) == [pool.Range("15.server", 3, 5)]


def test_few_files_are_left_of_many_tasks(directory):
    pool.offer(directory, "all", 0, 1000)
    take_all(directory, lambda left: 1)
    assert len(os.listdir(directory)) == 2
