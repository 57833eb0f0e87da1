"""Calls on an emulated OpenPBS."""

import re

import ends_workload
import map_ends
import pytest
from counted_workload import notes_and_waits_at_first
from queued_calls import *  # noqa: F403 - its tests, on this cluster
from scheduler_calls import *  # noqa: F403 - likewise
from scheduler_calls import OLD, running, until

import clustrix
import simcluster
from clustrix import cluster


@pytest.fixture(scope="module")
def site():
    with simcluster.start("pbs", nodes=2, pythons=["3.6", "3.12"], partitions=["long"]) as started:
        yield started


def test_a_queue_is_asked_for_by_name_and_one_that_is_not_there_leaves_nothing(site, submit):
    future = running(lambda *call: submit(*call, queue="long", cores=2, account="acct"))
    shown = site.run(f"qstat -f {future.scheduler_id}").stdout
    future.cancel()
    for line in (
        "queue = long",
        "Account_Name = acct",
        "Rerunable = False",
        "Resource_List.select = 1:ncpus=2:mem=200mb",
    ):
        assert f"    {line}\n" in shown
    refused = submit(ends_workload.doubled, 1, queue="nosuch")
    with pytest.raises(
        clustrix.SubmissionError,
        match=r"Unknown queue: queue='nosuch' is none of this site's: name one of workq, long with",
    ):
        refused.result(60)
    assert site.run(f"find ~/.clustrix -name '*{refused.job_id}*'").stdout == ""


def test_a_job_that_asks_for_more_than_there_is_tells_that_it_never_runs(submit):
    future = submit(ends_workload.doubled, 1, cores=99)
    notice = until(lambda: future.notice)
    assert "will not start by itself: Can Never Run: Insufficient amount of resource: ncpus" in notice
    assert notice.endswith("ask for less or for other nodes (constraint=), or for another queue with queue=")
    assert future.cancel()


def test_results_come_while_the_server_is_down_and_new_jobs_are_refused_in_its_words(site, submit):
    future = submit(ends_workload.sleeps, 1)
    until(lambda: future.scheduler_id)
    with site.faults.scheduler.down():
        assert future.result(60) is None
        with pytest.raises(clustrix.SubmissionError, match="cannot connect to server"):
            submit(ends_workload.doubled, 1).result(60)


def test_the_tasks_of_a_map_that_lost_their_node_are_told_so_and_run_once(site, executor):
    results = executor.map(cluster(**OLD)(notes_and_waits_at_first), ["~/ran"] * 4, range(4), ["~/go"] * 4, chunksize=1)
    until(lambda: site.run("[ $(ls ran | wc -l) = 4 ]").returncode == 0)
    number = site.run(f"qselect -N {results.job_id}", check=True).stdout.split()[0]
    hosts = re.findall(r"exec_host = (\w+)", site.run(f"qstat -f -t '{number}'", check=True).stdout)
    site.nodes[hosts[0]].kill()
    site.run("touch go", check=True)
    told = map_ends.ends(results)
    site.nodes[hosts[0]].restart()
    assert [type(end) for end in told] == [clustrix.NodeFailureError if host == hosts[0] else int for host in hosts]
    assert "lost its compute node: NODE_FAIL (reason its scheduler began it anew" in str(told[0])
    assert site.run("cat ran/*", check=True).stdout.split() == ["run"] * 4


def test_a_lost_node_is_its_own_error(site, submit):
    future = running(submit)
    node = next(name for name in site.nodes if name in site.run(f"qstat -f {future.scheduler_id}").stdout)
    site.nodes[node].kill()
    with pytest.raises(clustrix.NodeFailureError) as caught:
        future.result(120)
    assert caught.value.node == node
