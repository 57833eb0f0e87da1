"""Ends of jobs on an emulated Slurm: those that any Slurm has, and those that only this one has for the asking."""

import pytest
from cluster_ends import *  # noqa: F403 - its tests, on this cluster
from cluster_ends import running, runs, until
from counted_workload import (
    counted,
    counted_sleep,
    gate_and_size,
    noted_gate,
    sleeps_at_first,
)

import clustrix
import simcluster
from clustrix import cluster
from clustrix.executors import executor_for


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=2, pythons=["3.6"]) as started:
        started.run("echo export PYTHONDONTWRITEBYTECODE=1 >> .profile", check=True)
        yield started


def test_a_preempted_job_is_an_error_that_says_so_and_ran_once(site):
    with running(site, counted_sleep, "~/runs", 120, 1) as (future, number), site.faults.job.preempt(number):
        error = future.exception(60)
    assert isinstance(error, clustrix.JobFailedError)
    assert "had to make room for another job" in str(error)
    assert "retries=" in str(error)
    assert (error.state, runs(site)) == ("PREEMPTED", 1)
    assert f"on {site.ssh.host}, the scheduler's {number} " in str(error)


def test_a_preempted_job_with_retries_runs_again_and_gives_its_value(site):
    with running(site, sleeps_at_first, "~/runs", 120, retries=2) as (future, number):
        with site.faults.job.preempt(number):
            # A requeued job waits for two minutes.
            until(
                lambda: site.run(f"scontrol update job {number} starttime=now; [ $(wc -l < runs) = 2 ]").returncode == 0
            )
        assert future.result(60) == 2
    assert runs(site) == 2


def test_too_little_memory_is_retried_with_more_and_the_end_says_how_often(site):
    options = {"retries": 1, "retry_policy": {"memory": 2}}
    with running(site, counted_sleep, "~/runs", 120, 1, **options) as (future, number):
        with site.faults.job.oom(number):
            until(lambda: runs(site) == 2)
        second = site.run("squeue -h -t R -o '%i %m'").stdout.split()
        assert second[1] == "200M"
        with (
            site.faults.job.oom(second[0]),
            pytest.raises(clustrix.OutOfMemoryError, match="begun 2 times, as often as retries= allows"),
        ):
            future.result(90)


def test_a_full_disk_on_the_login_node_is_an_error_before_anything_is_queued(site):
    assert cluster(python="3.6")(counted)("~/runs", 1) == 1
    before = len(site.jobs())
    with site.faults.disk.full(), pytest.raises(clustrix.SubmissionError, match=r"No space left.*nothing was queued"):
        cluster(python="3.6")(counted)("~/runs", 2)
    assert len(site.jobs()) == before


def test_a_result_that_finds_no_room_says_so(site):
    future = cluster(python="3.6")(gate_and_size).submit("~/go", 1 << 20)
    until(lambda: site.run(f"squeue -h -t R -n {future.job_id} | grep -q .").returncode == 0)
    with site.faults.disk.quota("100kB"):
        site.run("touch go", check=True)
        with pytest.raises(clustrix.ResultLostError, match=r"its result can't be stored: .*out/result, 10\d+ bytes"):
            future.result(60)


def test_a_result_of_which_not_a_word_finds_room_says_so(site):
    future = cluster(python="3.6")(gate_and_size).submit("~/go", 1 << 20)
    until(lambda: site.run(f"squeue -h -t R -n {future.job_id} | grep -q .").returncode == 0)
    with site.faults.disk.full():
        site.run("touch go", check=True)
        with pytest.raises(clustrix.ResultLostError, match="could store nothing of a result"):
            future.result(60)


def test_a_job_that_the_scheduler_forgets_goes_on_and_gives_its_value(site):
    with running(site, noted_gate, "~/runs", "~/go", 7) as (future, number), site.faults.scheduler.forget(number):
        site.run(f"while squeue -h -j {number} 2>/dev/null | grep -q .; do sleep 0.05; done; touch go", check=True)
        assert future.result(60) == 7


def test_an_event_that_cannot_be_taken_in_ends_its_future_and_the_job_can_be_attached_to_again(site):
    future = cluster(python="3.6")(noted_gate).submit("~/runs", "~/go", 7)
    until(lambda: runs(site) == 1)
    told_by_halves = {"event": "ended", "job": future.job_id, "stdout": "", "stderr": ""}
    executor_for(clustrix.get_config())._dispatch.on_event(told_by_halves, b"")
    with pytest.raises(KeyError, match="has_result"):
        future.result(60)
    site.run("touch go", check=True)
    assert clustrix.attach(future.job_id).result(60) == 7
