"""The same calls on every kind of cluster: what a user gets back, however the job ends.

A module that imports these tests has a fixture ``site``: the simulated cluster, of the module's.
"""

import re
import time

import ends_workload
import pytest
from pointed_at import reached

import clustrix
from clustrix import ClusterConfig, ClusterExecutor, cluster

OLD = {"python": "3.6"}


@pytest.fixture(scope="module")
def config(site, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("client")
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        yield ClusterConfig(
            cluster_type=site.spec.scheduler,
            **reached(site),
            local_cache_dir=str(directory / "cache"),
            default_cores=1,
            default_memory="200MB",
            default_time="00:05:00",
        )


@pytest.fixture(scope="module")
def executor(config):
    with ClusterExecutor(config) as executor:
        yield executor


@pytest.fixture(scope="module")
def submit(executor):
    """submit(function, *args, **options) gives a future."""

    def submit(function, *args, **options):
        return executor.submit(cluster(**{**OLD, **options})(function), *args)

    return submit


@pytest.fixture(scope="module")
def ends(submit):
    """Jobs that take their time to end, all at once."""
    return {
        "killed": submit(ends_workload.killed_by, 11),
        "left": submit(ends_workload.leaves, 99),
        "late": submit(ends_workload.sleeps, 300, time="0:02"),
    }


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def running(submit):
    """A job that runs, and has said so."""
    future = submit(ends_workload.sleeps, 600)
    until(lambda: future.stdout() == "sleeping\n")
    return future


def is_over(site, future):
    """Whether the scheduler lists the job no more; without one, whether its process is gone."""
    if site.spec.scheduler == "ssh":
        return site.run(f"pgrep -f 'run_job.py .*/{future.job_id}$'").returncode != 0
    return not re.search(
        rf"^ *{future.scheduler_id.partition('.')[0]}\b", site.run("qstat", check=True).stdout, re.MULTILINE
    )


@pytest.mark.parametrize("version", ["3.6", "3.12"])
def test_a_call_gives_its_value_from_the_python_that_was_asked_for(ends, submit, version):
    assert submit(ends_workload.doubled, 21, python=version).result(60) == 42
    assert ".".join(map(str, submit(ends_workload.python, python=version).result(60))) == version


def test_a_function_raises_its_own_exception(submit):
    with pytest.raises(ValueError, match="no such luck"):
        submit(ends_workload.raises, "no such luck").result(60)


def test_a_killed_function_is_a_failed_job_with_signal_node_and_log(ends):
    with pytest.raises(clustrix.JobFailedError, match="died without a result") as caught:
        ends["killed"].result(60)
    assert (caught.value.state, caught.value.signal) == ("FAILED", 11)
    assert caught.value.node
    assert "about to die" in caught.value.log_tail


def test_an_exit_status_is_that_of_the_function_and_never_an_order(ends):
    with pytest.raises(clustrix.JobFailedError) as caught:
        ends["left"].result(60)
    assert (caught.value.state, caught.value.exit_code) == ("FAILED", 99)


def test_a_job_over_its_time_is_its_own_error(ends):
    with pytest.raises(clustrix.JobTimeoutError, match="time=") as caught:
        ends["late"].result(90)
    assert caught.value.state == "TIMEOUT"
    assert "sleeping" in caught.value.log_tail


def test_cancelling_a_future_ends_the_job(site, submit):
    future = running(submit)
    assert future.status() == "RUNNING"
    assert future.cancel()
    assert future.cancelled()
    until(lambda: is_over(site, future))


def test_a_job_whose_number_was_lost_is_found_by_its_name(site, executor, submit):
    future = running(submit)
    site.run(f"rm ~/.clustrix/jobs/{future.job_id}/scheduler_id", check=True)
    executor.disconnect()  # the agent that knows the number ends with it
    with ClusterExecutor(executor._config) as another:
        found = another.attach(future.job_id)
        assert found.status() == "RUNNING"
        assert found.cancel()
        until(lambda: is_over(site, future))


def test_a_map_is_one_array_of_which_one_task_fails_alone(executor):
    assert list(executor.map(cluster(**OLD)(ends_workload.doubled), range(20))) == [2 * number for number in range(20)]
    results = executor.map(cluster(**OLD)(ends_workload.survives), [1, 7])
    assert next(results) == 1
    with pytest.raises(clustrix.JobFailedError) as caught:
        next(results)
    assert caught.value.exit_code == 7


def test_what_such_a_scheduler_has_not_is_refused_before_anything_is_sent(submit):
    with pytest.raises(clustrix.ConfigurationError, match="partition='debug'"):
        submit(ends_workload.doubled, 1, partition="debug")
