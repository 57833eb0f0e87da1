"""Every job ends in words: what a user reads when a job dies without a result."""

import pytest
import workload
import workload_matching

import clustrix
from clustrix import cluster

pytestmark = pytest.mark.real_world
SMALL = {"cores": 1, "memory": "300MB", "time": "00:01:00", "python": "3.6"}


def test_a_killed_runner_is_a_failed_job_with_signal_node_and_log(configured, slurm):
    with pytest.raises(clustrix.JobFailedError, match="died without a result") as caught:
        cluster(**SMALL)(workload.killed_by)(11)
    assert (caught.value.state, caught.value.signal) == ("FAILED", 11)
    assert caught.value.node in slurm.nodes
    assert "about to die" in caught.value.log_tail


def test_a_runner_that_leaves_without_a_result_is_a_failed_job_with_its_exit_code(configured):
    with pytest.raises(clustrix.JobFailedError) as caught:
        cluster(**SMALL)(workload.leaves)(7)
    assert caught.value.exit_code == 7


def test_too_much_memory_is_its_own_error(configured):
    with pytest.raises(clustrix.OutOfMemoryError, match="memory=") as caught:
        cluster(**{**SMALL, "memory": "100MB"})(workload.grabs_memory)(400)
    assert "grabbing" in caught.value.log_tail


def test_a_job_that_an_administrator_cancels_is_cancelled(configured, slurm):
    future = cluster(**SMALL)(workload.sleeps).submit(60)
    slurm.run(
        f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.1; done; scancel -n {future.job_id}",
        check=True,
        timeout=60,
    )
    with pytest.raises(clustrix.JobCancelledError, match="cancelled"):
        future.result(60)


def test_cancelling_a_future_cancels_the_schedulers_job(configured, slurm):
    future = cluster(**SMALL)(workload.sleeps).submit(60)
    slurm.run(f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.1; done", check=True, timeout=60)
    assert future.cancel()
    assert future.cancelled()
    gone = slurm.run(
        f"for i in $(seq 100); do squeue -h -n {future.job_id} | grep -q . || exit 0; sleep 0.1; done; exit 1",
        timeout=60,
    )
    assert gone.returncode == 0


def test_a_result_that_cannot_be_sent_back_is_an_error_that_names_the_place(configured):
    with pytest.raises(clustrix.SerializationError, match=r"result\[.locks.\]\[0\]"):
        cluster(**SMALL)(workload.returns_a_lock)()


def test_a_site_with_accounting_runs_jobs_and_tells_how_they_died(slurm_accounting, configure_for):
    configure_for(slurm_accounting)
    assert cluster(**SMALL)(workload.doubled)(4) == 8
    with pytest.raises(clustrix.JobFailedError) as caught:
        cluster(**SMALL)(workload.leaves)(9)
    assert (caught.value.state, caught.value.exit_code) == ("FAILED", 9)


def test_syntax_that_the_jobs_python_rejects_is_refused_before_queueing(configured, slurm):
    before = len(slurm.jobs())
    with pytest.raises(clustrix.UnsupportedSyntaxError, match=r"(?s)workload_matching\.py, line 5.*3\.12\.1"):
        cluster(**SMALL)(workload_matching.matching)(["a", "b"])
    assert len(slurm.jobs()) == before
    assert cluster(**{**SMALL, "python": "3.12"})(workload_matching.matching)(["a", "b"]) == "a"


def test_what_the_scheduler_refuses_is_an_error_in_its_words_and_leaves_nothing(configured, slurm):
    future = cluster(**SMALL, partition="nosuch")(workload.doubled).submit(1)
    with pytest.raises(clustrix.SubmissionError, match=r"[Ii]nvalid partition"):
        future.result(60)
    assert slurm.run(f"find ~/.clustrix -name '*{future.job_id}*'").stdout == ""


def test_requirements_that_cannot_be_met_are_an_error_with_the_end_of_the_log(configured):
    with pytest.raises(clustrix.EnvironmentSetupError, match="no-such-distribution-anywhere"):
        cluster(**SMALL, requirements=["no-such-distribution-anywhere"])(workload.doubled)(1)


def test_a_python_that_is_not_there_is_an_error_that_lists_those_that_are(configured):
    with pytest.raises(clustrix.EnvironmentSetupError, match=r"no Python 3\.9 .*3\.6\.15.*3\.12\.1"):
        cluster(**{**SMALL, "python": "3.9"})(workload.doubled)(1)


def test_a_lost_node_is_its_own_error(slurm_to_break, configure_for):
    configure_for(slurm_to_break)
    future = cluster(**SMALL)(workload.sleeps).submit(300)
    slurm_to_break.run(
        f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.1; done", check=True, timeout=60
    )
    node = slurm_to_break.run(f"squeue -h -n {future.job_id} -o %N", check=True).stdout.strip()
    slurm_to_break.nodes[node].kill()
    with pytest.raises(clustrix.NodeFailureError) as caught:
        future.result(180)
    assert caught.value.node == node
