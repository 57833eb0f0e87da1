"""How jobs end on any Slurm, and that the user hears of it in words; what is begun again, and that nothing else is.

A module that imports these tests has a fixture ``site``: the simulated cluster, of the module's.
"""

import contextlib
import time

import map_ends
import pytest
from counted_workload import (
    counted,
    fails,
    notes_and_waits_at_first,
    returns_a_lock,
    sleeps_at_first,
    untellable,
)
from ends_workload import killed_by, survives
from pointed_at import pointed_at

import clustrix
from clustrix import cluster


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield
        site.faults.undo_all()
        site.run("rm -rf runs go ran; scancel --me", check=True)


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


def test_a_lost_node_costs_a_retry_where_that_was_asked_for(site):
    with running(site, sleeps_at_first, "~/runs", 120, retries=1) as (future, number):
        # The scheduler does not requeue what lost its node itself if it was told that it may not.
        site.run(f"scontrol update job {number} requeue=0", check=True)
        node = site.run(f"squeue -h -j {number} -o %N").stdout.strip()
        with site.faults.node.kill(node):
            notice = until(lambda: future.notice)
        assert f"{future.job_id} lost its compute node; attempt 2 of 2 is queued as" in notice
        assert future.result(120) == 2
    assert runs(site) == 2


def test_a_lost_node_costs_the_tasks_of_a_map_a_retry_where_that_was_asked_for(site):
    results = cluster(python="3.6", retries=1)(notes_and_waits_at_first).map(
        ["~/ran"] * 4, range(4), ["~/go"] * 4, chunksize=1
    )
    until(lambda: site.run("[ $(ls ran | wc -l) = 4 ]").returncode == 0)
    nodes = site.run(f"squeue -h -t R -n {results.job_id} -o %N", check=True).stdout.split()
    with site.faults.node.kill(nodes[0]):
        site.run("touch go", check=True)
        until(lambda: clustrix.attach(results.job_id).notice)
    assert list(results) == list(range(4))
    assert len(site.run("cat ran/*").stdout.split()) == 4 + nodes.count(nodes[0])


def test_a_death_that_the_script_marked_is_told_before_the_scheduler_would_be_asked_again(site):
    rarely = cluster(python="3.6", job_poll_interval=600)
    with pytest.raises(clustrix.JobFailedError, match="died without a result"):
        rarely(killed_by).submit(9).result(120)
    alone, *others = map_ends.ends(rarely(survives).map([7, 1, 2]))
    assert isinstance(alone, clustrix.JobFailedError)
    assert others == [1, 2]


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
    with site.faults.scheduler.down():
        with pytest.raises(clustrix.SubmissionError, match="Unable to contact slurm controller") as caught:
            cluster(python="3.6")(counted)("~/runs", 1)
        assert site.ssh.host in str(caught.value)
    assert runs(site) == 1


def test_a_value_that_cannot_be_sent_is_shown(site):
    with pytest.raises(clustrix.SerializationError) as caught:
        cluster(python="3.6")(returns_a_lock)(42)
    assert """result["locks"][0]: cannot pickle '_thread.lock' object""" in str(caught.value)
    assert "str() of it was: {'worth': 42, 'locks': [<unlocked _thread.lock" in str(caught.value)


def test_a_value_that_can_be_neither_sent_nor_shown_says_both(site):
    with pytest.raises(clustrix.SerializationError, match=r"result\[0\].*(RuntimeError|Silent)"):
        cluster(python="3.6")(untellable)()
