"""Nodes of an emulated cluster that are killed, stopped or cut off on purpose, and come back."""

import time

import pytest

import simcluster
from simcluster.errors import SpecError


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2, cpus_per_node=2) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _mended(cluster):
    yield
    cluster.faults.undo_all()
    cluster.run("scancel --me")
    until(lambda: states(cluster) == {"node1": "idle", "node2": "idle"}, "the nodes are idle")


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def states(cluster):
    lines = cluster.run("sinfo -hN -o '%N %T'").stdout.splitlines()
    return dict(line.split() for line in lines)


def submit(cluster, script, *options):
    done = cluster.run(["sbatch", "--parsable", *options], input=f"#!/bin/bash\n{script}\n", check=True)
    return done.stdout.strip()


def state(cluster, job_id):
    return cluster.run(f"squeue -h -t all -j {job_id} -o '%T %r'").stdout.strip()


def wait(cluster, job_id, *wanted):
    return until(lambda: state(cluster, job_id).split()[0] in wanted, f"job {job_id} becomes {wanted}")


TICKING = "while :; do date +%s%N > tick.$SLURM_JOB_ID; sleep 0.05; done"


def ticks(cluster, job_id):
    """Whether the job's processes go on."""
    first = cluster.run(f"cat tick.{job_id}").stdout
    return lambda: cluster.run(f"cat tick.{job_id}").stdout not in {first, ""}


def running(cluster, *options):
    job_id = submit(cluster, TICKING, "-w", "node1", *options)
    until(lambda: cluster.run(f"cat tick.{job_id}").stdout, "the job ticks")
    return job_id


def test_a_killed_node_is_lost_with_its_job_and_comes_back(cluster):
    job_id = running(cluster, "--no-requeue")
    with cluster.faults.node.kill("node1"):
        wait(cluster, job_id, "NODE_FAIL")
        assert states(cluster)["node1"] == "down*"
    assert states(cluster)["node1"] == "idle"


def test_a_killed_node_that_was_switched_on_meanwhile_is_left_alone(cluster):
    with cluster.faults.node.kill("node1"):
        cluster.nodes["node1"].restart()
        job_id = running(cluster)
    assert state(cluster, job_id).startswith("RUNNING")


def test_a_restarted_node_has_lost_its_jobs(cluster):
    job_id = running(cluster, "--no-requeue")
    cluster.faults.node.restart("node1").start()
    wait(cluster, job_id, "NODE_FAIL")
    assert states(cluster)["node1"] == "idle"
    assert not cluster.faults.active()


def test_a_paused_node_stands_still_and_goes_on(cluster):
    job_id = running(cluster)
    with cluster.faults.node.pause("node1"):
        stopped = ticks(cluster, job_id)
        # The scheduler, whose clock does not stop, takes its time to miss the node.
        until(lambda: not state(cluster, job_id).startswith("RUNNING") or stopped(), "the node is missed")
        assert not stopped()
        assert states(cluster)["node1"] == "down*"
    assert states(cluster)["node1"] == "idle"


def test_a_short_pause_costs_the_job_nothing(cluster):
    job_id = running(cluster)
    cluster.faults.node.pause("node1").start().stop()
    until(ticks(cluster, job_id), "the job goes on")
    assert state(cluster, job_id).startswith("RUNNING")


def test_processes_of_a_node_that_was_cut_off_go_on_without_the_scheduler(cluster):
    job_id = running(cluster, "--no-requeue")
    with cluster.faults.node.partition("node1"):
        wait(cluster, job_id, "NODE_FAIL")
        assert states(cluster)["node1"] == "down*"
        until(ticks(cluster, job_id), "the processes go on")
    # Back again, the node is told that the job is over.
    still = ticks(cluster, job_id)
    until(lambda: not is_alive(cluster, job_id, still), "the processes are ended")


def is_alive(cluster, job_id, ticked):
    before = cluster.run(f"cat tick.{job_id}").stdout
    time.sleep(0.5)
    return ticked() and cluster.run(f"cat tick.{job_id}").stdout != before


def test_commands_on_a_node_that_was_cut_off_reach_no_controller(cluster):
    script = "until squeue -h > out 2> err; [ -s err ]; do sleep 0.1; done; sleep 600"
    submit(cluster, script, "-w", "node1", "--no-requeue")
    until(lambda: cluster.run("cat out").stdout, "the job asks")
    with cluster.faults.node.partition("node1"):
        until(lambda: "Unable to contact slurm controller" in cluster.run("cat err").stdout, "it gets no answer")
        assert cluster.run("squeue -h").returncode == 0


def test_the_end_of_a_job_on_a_node_that_was_cut_off_is_heard_later(cluster):
    job_id = submit(cluster, "until [ -e go ]; do sleep 0.05; done; touch went", "-w", "node1")
    wait(cluster, job_id, "RUNNING")
    with cluster.faults.node.partition("node1"):
        cluster.run("touch go")
        until(lambda: cluster.run("ls went").returncode == 0, "the job ends")
        assert state(cluster, job_id).startswith("RUNNING")
    wait(cluster, job_id, "COMPLETED")


def test_a_node_with_a_wrong_clock(cluster):
    if "node.clock_skew" not in cluster.faults.available():
        assert "libfaketime" in cluster.faults.refusals()["node.clock_skew"]
        return
    date = "date +%s > date.$SLURMD_NODENAME"
    with cluster.faults.node.clock_skew("node1", -3600):
        for node in ("node1", "node2"):
            wait(cluster, submit(cluster, date, "-w", node), "COMPLETED")
        there, here = (int(cluster.run(f"cat date.{node}").stdout) for node in ("node1", "node2"))
        assert 3000 < here - there < 3700
    wait(cluster, submit(cluster, date, "-w", "node1"), "COMPLETED")
    assert abs(int(cluster.run("cat date.node1").stdout) - here) < 600


def test_there_has_to_be_such_a_node(cluster):
    for fault in (cluster.faults.node.kill("node9"), cluster.faults.node.pause("login")):
        with pytest.raises(SpecError, match="the nodes are node1, node2"):
            fault.start()
    assert not cluster.faults.active()
