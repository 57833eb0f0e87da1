"""Calls on a host without a scheduler, over SSH; and here, without SSH."""

import os
import sys

import ends_workload
import pytest
from scheduler_calls import *  # noqa: F403 - its tests, on this host
from scheduler_calls import is_over, running

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
        with pytest.raises(clustrix.JobFailedError) as caught:
            executor.submit(ends_workload.leaves, 7).result(60)
    assert caught.value.exit_code == 7


def test_the_decorator_runs_the_function_plainly_here():
    assert cluster(cluster_type="local")(os.getpid)() == os.getpid()
