"""How jobs end, and that the user hears of it in words; what is begun again, and that nothing else is. On an emulated Slurm."""

import contextlib
import time

import pytest
from counted_workload import (
    counted,
    counted_sleep,
    fails,
    gate_and_size,
    noted_gate,
    returns_a_lock,
    sleeps_at_first,
    untellable,
)
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=2, pythons=["3.6"]) as started:
        started.run("echo export PYTHONDONTWRITEBYTECODE=1 >> .profile", check=True)
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield
        site.faults.undo_all()
        site.run("rm -f runs go; scancel --me", check=True)


@contextlib.contextmanager
def running(site, function, *args, **options):
    """A job that runs, its future and the scheduler's number; it is cancelled in the end."""
    future = cluster(python="3.6", **options)(function).submit(*args)
    until(lambda: site.run(f"squeue -h -t R -n {future.job_id} | grep -q . && [ -e runs ]").returncode == 0)
    yield future, site.run(f"squeue -h -n {future.job_id} -o %i").stdout.strip()
    future.cancel()


def until(condition):
    deadline = time.monotonic() + 90
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def runs(site):
    return site.run("cat runs 2>/dev/null").stdout.count("run")


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


def test_a_lost_node_costs_a_retry_where_that_was_asked_for(site):
    with running(site, sleeps_at_first, "~/runs", 120, retries=1) as (future, number):
        # The scheduler does not requeue what lost its node itself if it was told that it may not.
        site.run(f"scontrol update job {number} requeue=0", check=True)
        node = site.run(f"squeue -h -j {number} -o %N").stdout.strip()
        with site.faults.node.kill(node):
            assert future.result(120) == 2
        assert f"{future.job_id} lost its compute node; attempt 2 of 2 is queued as" in future.notice
    assert runs(site) == 2


def test_the_functions_own_error_is_never_retried(site):
    with pytest.raises(ValueError, match="mine"):
        cluster(python="3.6", retries=3)(fails)("~/runs")
    assert runs(site) == 1


def test_too_little_time_is_retried_with_more_where_the_policy_says_so(site):
    options = {"retries": 1, "retry_policy": {"time": 2}, "time": "00:05:00"}
    with running(site, sleeps_at_first, "~/runs", 120, **options) as (future, number), site.faults.job.timeout(number):
        assert future.result(90) == 2
        assert "had too little time; attempt 2 of 2" in future.notice
        assert "time=600 s" in future.notice


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


def test_a_held_job_tells_once_why_it_waits_and_goes_on_when_it_is_let_go(site, capfd):
    future = cluster(python="3.6", extra_directives=["--hold"])(counted).submit("~/runs", 7)
    assert "will not start by itself: JobHeldUser: it is held: 'scontrol release'" in until(lambda: future.notice)
    assert future.status() == "PENDING"
    site.run(f"scontrol release $(squeue -h -n {future.job_id} -o %i)", check=True)
    assert future.result(60) == 7
    assert capfd.readouterr().err.count("JobHeldUser") == 1


def test_a_dependency_that_can_never_be_met_is_told(site):
    failed = site.run("sbatch --parsable --wrap 'exit 1'", check=True).stdout.strip()
    until(lambda: site.run(f"squeue -h -j {failed} -t F | grep -q .").returncode == 0)
    future = cluster(python="3.6", extra_directives=[f"--dependency=afterok:{failed}"])(counted).submit("~/runs", 7)
    notice = until(lambda: future.notice or (future.done() and repr(future.exception())))
    assert "DependencyNeverSatisfied: a job that it depends on did not end as it has to" in notice
    future.cancel()


def test_a_scheduler_that_is_down_is_an_error_before_anything_is_queued(site):
    assert cluster(python="3.6")(counted)("~/runs", 1) == 1
    with site.faults.scheduler.down(timeout=0.2):
        with pytest.raises(clustrix.SubmissionError, match="Unable to contact slurm controller") as caught:
            cluster(python="3.6")(counted)("~/runs", 1)
        assert site.ssh.host in str(caught.value)
    assert runs(site) == 1


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


def test_a_value_that_cannot_be_sent_is_shown(site):
    with pytest.raises(clustrix.SerializationError) as caught:
        cluster(python="3.6")(returns_a_lock)(42)
    assert """result["locks"][0]: cannot pickle '_thread.lock' object""" in str(caught.value)
    assert "str() of it was: {'worth': 42, 'locks': [<unlocked _thread.lock" in str(caught.value)


def test_a_value_that_can_be_neither_sent_nor_shown_says_both(site):
    with pytest.raises(clustrix.SerializationError, match=r"result\[0\].*(RuntimeError|Silent)"):
        cluster(python="3.6")(untellable)()


def test_a_job_that_the_scheduler_forgets_goes_on_and_gives_its_value(site):
    with running(site, noted_gate, "~/runs", "~/go", 7) as (future, number), site.faults.scheduler.forget(number):
        site.run(f"while squeue -h -j {number} 2>/dev/null | grep -q .; do sleep 0.05; done; touch go", check=True)
        assert future.result(60) == 7
