"""Calls on a host without a scheduler, over SSH; and here, without SSH."""

import os
import sys
import uuid

import ends_workload
import map_ends
import map_workload
import pytest
from scheduler_calls import *  # noqa: F403 - its tests, on this host
from scheduler_calls import OLD, is_over, running, until

import clustrix
import simcluster
from clustrix import ClusterConfig, ClusterExecutor, cluster


@pytest.fixture(scope="module")
def site():
    with simcluster.start("ssh", pythons=["3.6", "3.12"]) as cluster:
        yield cluster


def test_too_much_memory_fails_in_the_function(submit):
    with pytest.raises(MemoryError):
        submit(ends_workload.grabs_memory, 400, memory="100MB").result(60)


def test_a_job_outlives_its_agent_and_its_connection(site, executor, submit):
    future = running(submit)
    site.run("pkill -KILL -f '[s]ys.stdin.buffer.read'", check=True)
    executor.disconnect()
    assert future.status() == "RUNNING"
    assert future.cancel()


def test_a_job_whose_supervisor_is_killed_is_ended_and_told(site, submit):
    future = running(submit)
    site.run(
        f"kill -9 $(python3 -c 'import json, sys; print(json.load(sys.stdin)[\"pid\"])' < ~/.clustrix/jobs/{future.job_id}/marks/process)",
        check=True,
    )
    with pytest.raises(clustrix.JobFailedError, match="its supervisor was killed"):
        future.result(60)
    assert is_over(site, future)


@pytest.fixture
def waiting_map(site, executor):
    """(results, files): a map of six tasks, each of which notes that it ran and waits for ``files/go``, as soon as all that can run at once do."""
    files = f"{site.home}/{uuid.uuid4().hex}"
    site.run(f"mkdir -p {files}/ran", check=True)
    call = cluster(**OLD)(map_workload.notes_and_waits_for)
    results = executor.map(call, [f"{files}/ran"] * 6, range(6), [f"{files}/go"] * 6, chunksize=1)
    cores = int(site.run("nproc", check=True).stdout)
    until(lambda: len(ran(site, files)) == min(6, cores) and processes_of(site, results) == min(6, cores))
    yield results, files
    results.close()


def ran(site, files):
    return site.run(f"cat {files}/ran/*").stdout.split()


def processes_of(site, results):
    return int(site.run(f"pgrep -cf 'run_job.py .*/{results.job_id} .'").stdout)


def test_a_map_is_as_many_processes_as_the_host_has_cores_and_they_are_ended_together(site, executor, waiting_map):
    results, _ = waiting_map
    assert executor.attach(results.job_id).status() == "RUNNING"
    results.close()
    until(lambda: processes_of(site, results) == 0)


def test_an_element_whose_supervisor_is_killed_fails_its_task_and_no_other_though_the_connection_was_lost(
    site, executor, waiting_map
):
    results, files = waiting_map
    mark = f"~/.clustrix/jobs/{results.job_id}/marks/process.{results.job_id}-0.0"
    site.run(f"kill -9 $(python3 -c 'import json, sys; print(json.load(sys.stdin)[\"pid\"])' < {mark})", check=True)
    executor.disconnect()
    assert executor.attach(results.job_id).status() == "RUNNING"
    died = next(iter(clustrix.as_completed([executor.attach(f"{results.job_id}.{number}") for number in range(6)])))
    with pytest.raises(clustrix.JobFailedError, match="its supervisor was killed"):
        died.result(0)
    site.run(f"touch {files}/go", check=True)
    assert len([end for end in map_ends.ends(results) if isinstance(end, int)]) == 5
    assert sorted(ran(site, files)) == sorted(map(str, range(6)))


def test_a_task_that_outlasts_its_element_is_over_its_time_and_the_others_are_run(executor):
    ended = map_ends.ends(executor.map(cluster(**OLD, time="0:03")(map_workload.waits), [0, 60, 0, 0], chunksize=2))
    assert isinstance(ended[1], clustrix.JobTimeoutError)
    assert [ended[0], *ended[2:]] == [0, 0, 0]


def test_jobs_run_here_in_processes_of_their_own_without_ssh(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "client"))
    config = ClusterConfig(
        cluster_type="local",
        remote_state_dir=str(tmp_path / "state"),
        local_cache_dir=str(tmp_path / "cache"),
        python_executable=sys.executable,
    )
    with ClusterExecutor(config) as executor:
        assert executor.submit(ends_workload.doubled, 4).result(60) == 8
        assert list(executor.map(ends_workload.doubled, range(4))) == [0, 2, 4, 6]
        with pytest.raises(clustrix.JobFailedError) as caught:
            executor.submit(ends_workload.leaves, 7).result(60)
    assert caught.value.exit_code == 7


def test_the_decorator_runs_the_function_plainly_here():
    assert cluster(cluster_type="local")(os.getpid)() == os.getpid()
