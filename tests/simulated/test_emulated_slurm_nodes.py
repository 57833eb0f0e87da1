"""Steps and jobs of several emulated nodes when one of them dies, and jobs that need none."""

import time

import pytest

import simcluster
from simcluster.emulated.registry import find_record
from simcluster.processes import children

SLEEPS = "bash -c 'touch runs.$SLURM_PROCID; exec sleep 4336'"


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=3, cpus_per_node=2) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _mended(cluster):
    cluster.run("rm -f runs.* said")
    yield
    cluster.run("scancel --me")
    for node in cluster.nodes.values():
        if not node.is_up:
            node.restart()
    until(lambda: cluster.run("sinfo -h -o '%D %T'").stdout == "3 idle\n", "the nodes are idle")


def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def all_run(cluster, tasks):
    until(lambda: len(cluster.run("ls runs.*").stdout.split()) == tasks, "all tasks run")


def state(cluster, job_id):
    return cluster.run(f"squeue -h -t all -j {job_id} -o '%T'").stdout.strip()


def sleepers(cluster, node):
    counts = "cat /proc/*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 4336'"
    return int(cluster.run(["srun", "-w", node, "bash", "-c", counts], timeout=60).stdout)


@pytest.mark.parametrize("count", [2, 3])
def test_a_dead_node_ends_its_job_on_the_others_too(cluster, count):
    job_id = cluster.run(
        f"sbatch --parsable --no-requeue -N{count}", input=f"#!/bin/bash\nsrun {SLEEPS}\n", check=True
    ).stdout.strip()
    all_run(cluster, count)
    cluster.nodes[f"node{count}"].kill()
    until(lambda: state(cluster, job_id) == "NODE_FAIL", "the job has failed")
    assert [sleepers(cluster, f"node{number}") for number in range(1, count)] == [0] * (count - 1)


def test_a_dead_node_ends_a_step_of_two_nodes_and_its_srun(cluster):
    cluster.run(f"(srun -N2 {SLEEPS}; echo ended $?) > said 2>&1 &", check=True)
    all_run(cluster, 2)
    cluster.nodes["node2"].kill()
    until(lambda: "ended" in cluster.run("cat said").stdout, "srun has ended")
    *said, end = cluster.run("cat said").stdout.splitlines()
    assert any(line.startswith("srun: error: Node failure on ") for line in said)
    assert end != "ended 0"
    assert sleepers(cluster, "node1") == 0


def test_thousands_of_virtual_jobs_are_counted_and_no_machine_is_started_for_them():
    with simcluster.start("slurm", backend="emulated", nodes=100, cpus_per_node=4) as cluster:
        daemon = find_record(cluster.name).keeper.pid
        submit = "sbatch --parsable -a 0-399 --comment=simcluster:virtual=1 --wrap false"
        ids = cluster.run(f"for n in 1 2 3 4 5; do {submit}; done", check=True).stdout.split()
        until(lambda: not cluster.run("squeue -h").stdout, "all jobs have ended")
        states = cluster.run(f"sacct -n -X -P -o state -j {','.join(ids)}").stdout.split()
        assert states == ["COMPLETED"] * 2000
        # The login host, and the first node, which is started ahead.
        assert len(children(daemon)) <= 3
