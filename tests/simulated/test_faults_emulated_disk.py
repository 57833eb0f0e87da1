"""The shared directories of an emulated cluster, made read-only on purpose."""

import pytest

import simcluster

READ_ONLY = "Read-only file system"


@pytest.fixture(scope="module")
def cluster():
    with simcluster.start("slurm", backend="emulated", nodes=2) as cluster:
        if "disk.read_only" not in cluster.faults.available():
            assert "file trees" in cluster.faults.refusals()["disk.read_only"]
            pytest.skip(cluster.faults.refusals()["disk.read_only"])
        yield cluster


def test_nothing_can_be_written_on_the_login_host(cluster):
    cluster.run("echo before > file", check=True)
    with cluster.faults.disk.read_only():
        for command in ("echo after > file", "touch $SCRATCH/file", "mkdir ~/directory", "rm file"):
            done = cluster.run(command)
            assert done.returncode != 0
            assert READ_ONLY in done.stderr
        assert cluster.run("cat file; echo temporary > /tmp/file").stdout == "before\n"
    assert cluster.run("echo after > file; cat file").stdout == "after\n"


def test_nothing_can_be_written_on_nodes_whenever_they_were_started(cluster):
    assert cluster.run("sbatch --wait -w node1 --wrap 'touch written.1'", timeout=60).returncode == 0
    with cluster.faults.disk.read_only():
        for node in ("node1", "node2"):  # of which the second starts now
            command = f"sbatch --wait -w {node} -o /tmp/out -e /tmp/out --wrap 'cp /etc/hosts $HOME/written.2'"
            assert cluster.run(command, timeout=60).returncode == 1
    assert cluster.run("sbatch --wait -w node2 --wrap 'touch written.3'; ls written.*", timeout=60).stdout.split()[
        -2:
    ] == [
        "written.1",
        "written.3",
    ]


def test_only_the_last_of_two_faults_makes_it_writable_again(cluster):
    first, second = cluster.faults.disk.read_only().start(), cluster.faults.disk.read_only().start()
    first.stop()
    assert READ_ONLY in cluster.run("touch twice").stderr
    second.stop()
    assert cluster.run("touch twice").returncode == 0


def test_a_stopped_node_does_not_keep_it_from_being_made(cluster):
    with cluster.faults.node.pause("node1"), cluster.faults.disk.read_only():
        assert READ_ONLY in cluster.run("touch paused").stderr
    assert cluster.run("sbatch --wait -w node1 --wrap 'touch paused'", timeout=60).returncode == 0
