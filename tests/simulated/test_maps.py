"""A map is one array of the scheduler, its results come in order, and every task has an end."""

import concurrent.futures
import itertools
import threading
import time
import uuid

import map_workload as work
import pytest
from map_ends import ends
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster
from clustrix.executors import executor_for


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=2, cpus_per_node=8, pythons=["3.6", "3.12"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def submissions(site):
    return len({job.id.partition("_")[0] for job in site.jobs()})


@pytest.mark.parametrize("python", ["3.6", "3.12"])
def test_a_map_of_a_thousand_is_one_submission_with_results_in_order(site, python):
    before = submissions(site)
    assert list(cluster(python=python)(work.scaled).map(range(1000))) == list(range(0, 2000, 2))
    assert submissions(site) == before + 1


def test_several_iterables_end_with_the_shortest_as_in_python():
    assert list(cluster(work.scaled).map([1, 2, 3], itertools.repeat("x"))) == ["x", "xx", "xxx"]


def test_a_map_of_nothing_submits_nothing(site):
    before = submissions(site)
    assert list(cluster(work.scaled).map([])) == []
    assert submissions(site) == before


def test_a_map_of_one_is_a_plain_job():
    results = cluster(work.scaled).map([4])
    assert next(results) == 8
    with pytest.raises(StopIteration):
        next(results)


def test_a_failed_task_fails_alone_and_in_its_place():
    ended = ends(cluster(work.fails_at_seven).map(range(20)))
    assert str(ended[7]) == "seven"
    assert ended[:7] + ended[8:] == [value for value in range(20) if value != 7]


def test_a_task_that_kills_its_process_fails_alone_and_the_others_are_run():
    ended = ends(cluster(work.dies_at_seven).map(range(20), chunksize=10))
    assert isinstance(ended[7], clustrix.JobFailedError)
    assert ended[7].exit_code == 3
    assert "about to die" in ended[7].log_tail
    assert ended[:7] + ended[8:] == [value for value in range(20) if value != 7]


def test_when_every_element_dies_further_ones_run_the_rest_until_all_tasks_have_an_end():
    ended = ends(cluster(max_parallel_jobs=2)(work.dies).map(range(5)))
    assert [type(error) for error in ended] == [clustrix.JobFailedError] * 5


def test_a_result_is_there_while_others_still_run():
    results = cluster(work.waits).map([0, 60])
    assert next(results) == 0
    results.close()


def test_what_is_not_there_in_time_is_a_timeout_and_cancels_the_rest(site):
    executor = executor_for(clustrix.get_config())
    results = executor.map(work.waits, [60, 60], timeout=0.5)
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    assert_gone(site, results.job_id)


def test_letting_go_of_the_iterator_cancels_what_is_left(site):
    results = cluster(work.waits).map([0, 60, 60])
    job_id = results.job_id
    assert next(results) == 0
    del results
    assert_gone(site, job_id)


def assert_gone(site, job_id):
    left = f"for i in $(seq 300); do squeue -h -n {job_id} | grep -q . || exit 0; sleep 0.1; done; exit 1"
    assert site.run(left, timeout=60).returncode == 0


def test_attaching_to_a_map_gives_the_list_and_to_a_task_its_own():
    mapped = cluster(work.scaled).map(range(10))
    task = clustrix.attach(f"{mapped.job_id}.3")
    assert task.result(60) == 6
    assert list(mapped) == list(range(0, 20, 2))


def test_a_map_and_its_tasks_tell_that_they_run_and_what_they_took(site):
    go = f"{site.home}/{uuid.uuid4().hex}"
    mapped = cluster(work.burns_and_waits_for).map([0.2] * 4, [go] * 4, chunksize=2)
    whole, task = clustrix.attach(mapped.job_id), clustrix.attach(f"{mapped.job_id}.1")
    until(whole.running)
    site.run(f"touch {go}", check=True)
    assert list(mapped) == [0.2] * 4
    assert task.result(60) == 0.2
    assert task.node in site.nodes
    assert 0.2 <= task.resources_used.cpu_time < whole.resources_used.cpu_time
    assert whole.resources_used.cpu_time >= 0.8
    assert whole.resources_used.max_memory >= task.resources_used.max_memory > 1 << 20
    assert whole.resources_used.wall_time >= task.resources_used.wall_time


def test_an_argument_that_cannot_be_sent_is_named_with_its_task():
    with pytest.raises(clustrix.SerializationError, match=r"task 1 of the map.*args\[0\]"):
        cluster(work.scaled).map([1, threading.Lock()])


@pytest.mark.parametrize("chunksize", [0, -1, 1.5, True])
def test_a_chunksize_that_is_no_number_of_tasks_is_refused(chunksize):
    with pytest.raises(ValueError, match="chunksize"):
        cluster(work.scaled).map([1, 2], chunksize=chunksize)
