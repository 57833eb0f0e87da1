"""Calls on an emulated Grid Engine."""

import ends_workload
import pytest
from queued_calls import *  # noqa: F403 - its tests, on this cluster
from scheduler_calls import *  # noqa: F403 - likewise
from scheduler_calls import running, until

import clustrix
import simcluster


@pytest.fixture(scope="module")
def site():
    with simcluster.start("sge", nodes=2, pythons=["3.6", "3.12"], partitions=["long"]) as cluster:
        yield cluster


def test_a_queue_is_asked_for_by_name_and_one_that_is_not_there_leaves_nothing(site, submit):
    future = running(lambda *call: submit(*call, queue="long", cores=2, account="acct"))
    shown = site.run(f"qstat -j {future.scheduler_id}").stdout
    future.cancel()
    for words in (
        "account: acct",
        "hard_queue_list: long",
        "hard resource_list: h_rt=300,h_vmem=100M",
        "parallel environment: smp range: 2",
    ):
        assert words in " ".join(shown.split())
    refused = submit(ends_workload.doubled, 1, queue="nosuch")
    with pytest.raises(clustrix.SubmissionError, match="unknown queue"):
        refused.result(60)
    assert site.run(f"find ~/.clustrix -name '*{refused.job_id}*'").stdout == ""


def test_too_much_memory_is_its_own_error(submit):
    with pytest.raises(clustrix.OutOfMemoryError, match="memory="):
        submit(ends_workload.grabs_memory, 400, memory="100MB").result(60)


def test_a_job_that_can_not_be_started_fails(site, submit):
    broken = submit(ends_workload.doubled, 1, extra_directives=["-o /no/such"])
    with pytest.raises(clustrix.JobFailedError, match="can't start"):
        broken.result(60)
    assert site.run(f"qstat -j {broken.scheduler_id}").returncode == 1


def test_results_come_while_the_server_is_down_and_new_jobs_are_refused_in_its_words(site, submit):
    future = submit(ends_workload.sleeps, 1)
    until(lambda: future.scheduler_id)
    with site.faults.scheduler.down():
        assert future.result(60) is None
        with pytest.raises(clustrix.SubmissionError, match="unable to send message"):
            submit(ends_workload.doubled, 1).result(60)


def test_a_lost_node_is_its_own_error(site, submit):
    future = running(submit)
    node = next(name for name in site.nodes if f"@{name} " in site.run("qstat").stdout)
    site.nodes[node].kill()
    with pytest.raises(clustrix.NodeFailureError) as caught:
        future.result(120)
    assert caught.value.node == node
