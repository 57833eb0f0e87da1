"""Machines of an emulated cluster whose first process somebody kills: as if the power was taken away."""

import os
import signal
import subprocess
import time

import pytest

import simcluster
from simcluster.emulated.registry import find_record
from simcluster.processes import PORTABLE, children


@pytest.fixture(params=["isolated", "portable"])
def cluster(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    if request.param == "portable":
        monkeypatch.setenv(PORTABLE, "1")
    with simcluster.start("slurm", nodes=1) as cluster:
        yield cluster


def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def kill_machine(cluster, place):
    """The daemon's children are the machines: the login host, and the nodes as they were started."""
    daemon = find_record(cluster.name).keeper.pid
    os.kill(sorted(children(daemon))[place], signal.SIGKILL)


def commands(line):
    said = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [each.strip() for each in said.splitlines()].count(line)


def state(cluster, job):
    return cluster.run(f"squeue -h -t all -j {job} -o %T").stdout.strip()


def test_a_node_is_lost_with_its_jobs_and_comes_back(cluster):
    script = "(sleep 4325 &); nohup setsid sleep 4326 & touch begun; sleep 4325"
    job = cluster.run(["sbatch", "--parsable", "--no-requeue", "--wrap", script], check=True).stdout.strip()
    until(lambda: cluster.run("ls begun").returncode == 0, "the job runs")
    kill_machine(cluster, 1)
    until(lambda: not cluster.nodes["node1"].is_up, "the cluster knows")
    assert state(cluster, job) == "RUNNING"  # the controller does not yet
    until(lambda: state(cluster, job) == "NODE_FAIL", "the job is lost")
    assert cluster.run("sinfo -h -o %T").stdout == "down*\n"
    until(lambda: not commands("sleep 4325"), "what ran there is ended")
    cluster.nodes["node1"].restart()
    assert cluster.run("sbatch --wait --wrap true").returncode == 0


def test_sessions_end_with_the_login_host_and_no_other_begins(cluster):
    with subprocess.Popen(
        [*cluster.ssh.command(), "echo; exec sleep 4327"], stdout=-1, stderr=-1, text=True
    ) as session:
        session.stdout.readline()
        kill_machine(cluster, 0)
        _, said = session.communicate(timeout=60)
    assert session.returncode == 255
    assert "the login host is down" in said
    done = cluster.run("true")
    assert (done.returncode, done.stderr) == (255, "the login host is down\r\n")
    assert not commands("sleep 4327")
