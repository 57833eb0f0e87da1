"""What a cluster tells of its past: the emulated core's own data, and what Slurm's records say."""

import dataclasses
import json
import time
from datetime import timezone

import pytest

import simcluster
from simcluster import ClusterSpec, History, JobHistory, NodeHistory, Run
from simcluster.history import FaultSpan
from simcluster.slurm.history import parse_absences, parse_history, parse_nodes

# Slurm 22.05.8: jobcomp/filetxt of a job that was requeued and then ran to its end, and of one on two nodes.
LOG = (
    "JobId=2 UserId=alice(1000) GroupId=alice(1000) Name=two words = one JobState=NODE_FAIL Partition=debug"
    " StartTime=2026-01-01T00:00:01 EndTime=2026-01-01T00:00:02 NodeList=node1 NodeCnt=1 ProcCnt=2"
    " SubmitTime=2026-01-01T00:00:00 EligibleTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=0:0 \n"
    "JobId=2 UserId=alice(1000) GroupId=alice(1000) Name=two words = one JobState=FAILED Partition=debug"
    " StartTime=2026-01-01T00:02:01 EndTime=2026-01-01T00:02:05 NodeList=node2 NodeCnt=1 ProcCnt=2"
    " SubmitTime=2026-01-01T00:00:02 EligibleTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=3:0 \n"
    "JobId=4 UserId=bob(1001) GroupId=bob(1001) Name=wide JobState=COMPLETED Partition=debug"
    " StartTime=2026-01-01T00:00:03 EndTime=2026-01-01T00:00:04 NodeList=node[1-2] NodeCnt=2 ProcCnt=5"
    " SubmitTime=2026-01-01T00:00:01 EligibleTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=0:0 \n"
    "JobId=5 UserId=bob(1001) GroupId=bob(1001) Name=never JobState=CANCELLED Partition=debug"
    " StartTime=2026-01-01T00:00:05 EndTime=2026-01-01T00:00:05 NodeList=(null) NodeCnt=0 ProcCnt=0"
    " SubmitTime=2026-01-01T00:00:04 EligibleTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=0:0 \n"
)
SHOWN = (
    "JobId=6 ArrayJobId=6 ArrayTaskId=1 JobName=runs UserId=alice(1000) JobState=RUNNING Reason=None ExitCode=0:0"
    " SubmitTime=2026-01-01T00:00:03 StartTime=2026-01-01T00:00:06 EndTime=2026-01-01T01:00:00"
    " NodeList=node2 NumNodes=1 NumCPUs=3 \n"
    "JobId=7 JobName=waits UserId=alice(1000) JobState=PENDING Reason=Resources ExitCode=0:0"
    " SubmitTime=2026-01-01T00:00:07 StartTime=2026-01-01T01:00:00 EndTime=Unknown"
    " NodeList= NumNodes=1-1 NumCPUs=1 \n"
)
MIDNIGHT = 1767225600.0  # 2026-01-01, UTC


def parsed():
    return {job.id: job for job in parse_history(LOG, SHOWN, timezone.utc)}


def test_each_run_of_a_requeued_job_is_told_and_its_first_submission_counts():
    job = parsed()["2"]
    assert (job.name, job.user, job.state, job.exit_code) == ("two words = one", "alice", "FAILED", "3:0")
    assert (job.submitted, job.ended) == (MIDNIGHT, MIDNIGHT + 125)
    assert job.runs == (
        Run(("node1",), (2,), "NODE_FAIL", MIDNIGHT + 1, MIDNIGHT + 2),
        Run(("node2",), (2,), "FAILED", MIDNIGHT + 121, MIDNIGHT + 125),
    )


def test_the_cpus_of_a_job_on_several_nodes_are_shared_out():
    (run,) = parsed()["4"].runs
    assert (run.nodes, run.cpus) == (("node1", "node2"), (3, 2))


def test_a_job_that_runs_has_no_end_although_slurm_knows_when_its_time_is_over():
    job = parsed()["6_1"]
    assert (job.state, job.ended, job.exit_code) == ("RUNNING", None, None)
    assert job.runs == (Run(("node2",), (3,), "RUNNING", MIDNIGHT + 6, None),)


def test_a_job_that_never_ran_has_no_runs_although_slurm_guesses_its_start():
    jobs = parsed()
    assert (jobs["5"].state, jobs["5"].runs, jobs["5"].ended) == ("CANCELLED", (), MIDNIGHT + 5)
    assert (jobs["7"].state, jobs["7"].runs, jobs["7"].reason) == ("PENDING", (), "Resources")


def test_a_run_that_was_requeued_is_told_with_its_end():
    # Slurm 22.05.8, after `scontrol requeue`: the state is that of the job, and the start is gone.
    line = LOG.splitlines()[0].replace("NODE_FAIL", "PENDING").replace("00:00:01 EndTime", "00:00:02 EndTime")
    (job,) = parse_history(line, "", timezone.utc)
    assert job.runs == (Run(("node1",), (2,), "CANCELLED", MIDNIGHT + 2, MIDNIGHT + 2),)


def test_when_a_requeued_run_began_is_in_the_controllers_log():
    line = LOG.splitlines()[0].replace("NODE_FAIL", "PENDING").replace("00:00:01 EndTime", "00:00:02 EndTime")
    began = "2026-01-01T00:00:00.500000001Z slurmctld: sched/backfill: _start_job: Started JobId=2 in debug on node1\n"
    again = began.replace("00:00:00.5", "00:02:01.1")
    (job,) = parse_history(f"{line}\n{LOG.splitlines()[1]}", "", timezone.utc, controller_log=began + again)
    assert [(run.start - MIDNIGHT, run.end - MIDNIGHT) for run in job.runs] == [(0.5, 2), (121, 125)]


def test_what_both_know_is_told_once():
    shown = LOG.splitlines()[2].replace("Name=", "JobName=").replace("ProcCnt", "NumCPUs")
    (job,) = parse_history(LOG.splitlines()[2], shown, timezone.utc)
    assert len(job.runs) == 1


def test_a_node_is_down_from_when_the_controller_noticed_until_it_is_back():
    log = (
        "2026-01-01T00:00:09.629587508Z slurmctld: error: Nodes node[1-2] not responding, setting DOWN\n"
        "2026-01-01T00:00:10.000000000Z slurmctld: error: Nodes node1 not responding, setting DOWN\n"
        "2026-01-01T00:00:20.500000000Z slurmctld: Node node1 now responding\n"
        "2026-01-01T00:00:21.500000000Z slurmctld: Node node1 now responding\n"
    )
    first, second = MIDNIGHT + 9.629587, MIDNIGHT + 20.5
    assert parse_absences(log) == {"node1": [(first, second)], "node2": [(first, None)]}
    nodes = parse_nodes(ClusterSpec(nodes=3), log)
    assert [(node.name, len(node.down)) for node in nodes] == [("node1", 1), ("node2", 1), ("node3", 0)]


def test_a_history_survives_json():
    history = History(
        "c",
        1.0,
        9.0,
        (NodeHistory("node1", 4, ((2.0, 3.0), (5.0, None))),),
        (JobHistory("1", "x", "ada", "RUNNING", 1.5, None, (Run(("node1",), (2,), "RUNNING", 2.0, None),)),),
        (FaultSpan("node.kill", "node1", 2.0, None),),
    )
    assert History.from_dict(json.loads(json.dumps(dataclasses.asdict(history)))) == history


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", nodes=2, cpus_per_node=2) as cluster:
        yield cluster


def when(cluster, condition):
    """Wait until the condition holds for the history; it."""
    deadline = time.monotonic() + 60
    while not condition(history := cluster.history()):
        assert time.monotonic() < deadline, history
        time.sleep(0.02)
    return history


def test_an_emulated_cluster_tells_jobs_nodes_and_what_was_down(cluster, tmp_path):
    before = time.time()
    cluster.run("sbatch -J quick -n 3 --wrap 'exit 3'", check=True)
    cluster.run("sbatch -J lost -n 2 -w node2 --requeue --wrap 'sleep 600'", check=True)
    when(cluster, lambda history: [bool(job.runs) for job in history.jobs] == [True, True])
    cluster.nodes["node2"].restart()
    history = when(cluster, lambda history: history.nodes[1].down and history.nodes[1].down[0][1])
    assert (history.cluster, [node.cpus for node in history.nodes]) == (cluster.name, [2, 2])
    assert history.started <= before <= history.jobs[0].submitted <= history.taken
    quick, lost = history.jobs
    assert quick.name == "quick"
    assert (lost.state, lost.ended, lost.exit_code) == ("PENDING", None, None)
    (run,) = lost.runs
    assert (run.nodes, run.cpus, run.state) == (("node2",), (2,), "NODE_FAIL")
    assert run.end is not None
    assert run.start <= history.nodes[1].down[0][0] <= run.end
    assert "NODE_FAIL" in cluster.timeline(tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_host_without_a_scheduler_has_an_empty_history():
    with simcluster.start("ssh") as host:
        history = host.history()
    assert (history.cluster, history.jobs, history.nodes) == (host.name, (), ())


def test_faults_are_part_of_the_history(cluster):
    with cluster.faults.scheduler.down():
        cluster.run("sinfo")
    (fault,) = cluster.history().faults
    assert (fault.name, fault.end is not None) == ("scheduler.down", True)


def test_chaos_without_any_seed_is_refused(cluster):
    with pytest.raises(simcluster.SpecError, match="needs a seed"):
        cluster.faults.chaos()
