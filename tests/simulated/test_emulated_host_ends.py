"""Nothing of an emulated cluster outlives it, whichever way it ends."""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli
from simcluster.emulated.backend import start_cluster
from simcluster.emulated.registry import find_record, list_records
from simcluster.ownership import start_time
from simcluster.pytest_plugin.clusters import OwnedClusters

OWNER = """
import json, os, sys
import simcluster
cluster = simcluster.start("ssh", backend="emulated")
print(json.dumps([cluster.ssh.port, str(cluster.ssh.key_file.parent)]), flush=True)
cluster.run("exec >&- 2>&- <&-; (setsid sleep 4321 &); nohup setsid sleep 4321 & sleep 4321")
"""


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """A registry of the test's own and no Docker engine, for others may have clusters meanwhile."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    yield
    gc.collect()  # the docker package leaves the socket that failed to the collector


def processes(run):
    """The processes that carry a cluster's mark, as seen from outside of it."""
    mark = f"SIMCLUSTER_PROCESS={run}:".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what


def is_gone(record):
    return not record.path.exists() and not record.directory.exists() and not processes(record.run)


def three_sleep(cluster, record):
    """Start three programs that do what they can to get away."""
    cluster.run("(setsid sleep 4321 &) >&- 2>&- <&-; nohup setsid sleep 4321 >&- 2>&- <&- & sleep 4321 >&- 2>&- <&- &")
    if sys.platform == "linux":
        wait_until(lambda: len(processes(record.run)) >= 3, "the programs did not start")


def test_closing_ends_every_process_and_removes_every_file():
    with simcluster.start("ssh", backend="emulated") as cluster:
        (record,) = list_records()
        three_sleep(cluster, record)
        assert start_time(record.keeper.pid) == record.keeper.started
    assert is_gone(record)
    assert start_time(record.keeper.pid) is None
    cluster.close()
    with pytest.raises(simcluster.SimclusterError, match="has ended"):
        cluster.run("true")


def test_a_cluster_goes_with_its_killed_owner():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, start_new_session=True) as owner:
        owner.stdout.readline()
        (record,) = list_records()
        if sys.platform == "linux":
            wait_until(lambda: len(processes(record.run)) >= 3, "the programs did not start")
        os.killpg(owner.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(record), "something is left")
    wait_until(lambda: start_time(record.keeper.pid) is None, "the daemon is left")


@pytest.mark.parametrize("finder", [["ls"], ["down", "--all"], None])
def test_what_a_killed_daemon_left_is_removed_by_the_next_command(finder):
    cluster = simcluster.start("ssh", backend="emulated")
    (record,) = list_records()
    three_sleep(cluster, record)
    os.kill(record.keeper.pid, signal.SIGKILL)
    # Its programs die with it; what is left are files.
    wait_until(lambda: not processes(record.run), "programs are left")
    with pytest.raises(simcluster.SimclusterError, match="has ended"):
        cluster.jobs()
    if finder is None:
        with simcluster.start("ssh", backend="emulated"):
            assert is_gone(record)
    else:
        assert CliRunner().invoke(cli, finder).exit_code == 0
        assert is_gone(record)
    cluster.close()


def test_a_killed_daemon_is_no_problem_for_close():
    cluster = simcluster.start("ssh", backend="emulated")
    (record,) = list_records()
    os.kill(record.keeper.pid, signal.SIGKILL)
    cluster.close()
    wait_until(lambda: is_gone(record), "something is left")


def test_a_cluster_that_is_kept_is_found_and_removed_by_its_name():
    def said(*arguments):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    program = "from simcluster.cli import cli; cli()"
    up = [sys.executable, "-c", program, "up", "ssh", "--backend", "emulated", "--name", "mine"]
    assert "mine is up" in subprocess.run(up, capture_output=True, text=True, check=True).stdout
    (record,) = list_records()
    (listed,) = json.loads(said("ls", "--json"))
    assert listed["name"] == "mine"
    assert listed["owner_pid"] is None
    assert listed["machines"] == {"login": "running"}
    assert Path(listed["profile"]).exists()
    with pytest.raises(simcluster.SpecError, match="simcluster down mine"):
        simcluster.start("ssh", backend="emulated", name="mine")
    assert "is gone" in said("down", "--all")
    assert is_gone(record)


def test_a_record_of_another_release_that_can_not_be_read_is_let_alone():
    with simcluster.start("ssh") as cluster:
        (record,) = list_records()
        values = json.loads(record.path.read_text())
        later = record.path.with_name("later.json")
        later.write_text(json.dumps(values | {"spec": values["spec"] | {"quantum_per_node": 1}}))
        older = record.path.with_name("older.json")
        older.write_text(json.dumps({key: value for key, value in values.items() if key != "keeper"}))
        assert [each.name for each in list_records()] == [cluster.name]
        simcluster.start("ssh").close()
        assert later.exists()
        assert older.exists()


def test_two_clusters_know_nothing_of_each_other():
    with simcluster.start("ssh", backend="emulated") as one, simcluster.start("ssh", backend="emulated") as other:
        one.run("echo one > file", check=True)
        assert other.run("cat file").returncode == 1
        assert one.ssh.port != other.ssh.port
        one.close()
        assert other.run("echo on").stdout == "on\n"


def test_a_job_whose_files_find_no_room_does_not_run_for_ever():
    with simcluster.start("slurm", backend="emulated", nodes=1) as cluster:
        (find_record(cluster.name).directory / "shared" / "spool").write_text("no directory")
        job_id = cluster.run("sbatch --parsable --wrap true", check=True).stdout.strip()
        deadline = time.monotonic() + 60
        while cluster.run(f"squeue -h -t all -j {job_id} -o %T").stdout == "RUNNING\n":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "could not be launched" in (find_record(cluster.name).directory / "daemon.log").read_text()


def test_a_node_that_could_not_be_started_is_tried_again():
    with simcluster.start("slurm", nodes=2) as cluster:
        if "mount" not in cluster.isolation:
            pytest.skip("nothing here has a machine refused")
        mount_point = find_record(cluster.name).directory / "root"
        mount_point.rmdir()
        assert cluster.run("sbatch --wait -w node2 --wrap true").returncode != 0
        mount_point.mkdir()
        assert cluster.run("sbatch --wait -w node2 --wrap true").returncode == 0


FAILING = """
import sys
from simcluster.emulated import daemon
from simcluster.emulated.scheduler import COMMANDS

def control(machines):
    scheduler, breakable = daemon._emulated(machines)
    def close(end=scheduler.close):
        end()
        raise RuntimeError("this can't be closed")
    scheduler.close = close
    return scheduler, breakable

daemon.serve(sys.argv[1], COMMANDS, control)
"""


def test_a_daemon_that_can_not_close_something_closes_the_rest(tmp_path, monkeypatch):
    (tmp_path / "failing_daemon.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    with start_cluster(simcluster.ClusterSpec("ssh"), "failing_daemon", keep=False, name=None) as cluster:
        (record,) = list_records()
        three_sleep(cluster, record)
        log = (record.directory / "daemon.log").open()
    with log:
        assert "this can't be closed" in log.read()
    assert is_gone(record)


def test_clusters_of_a_test_run_are_closed_though_one_of_them_fails():
    def fail():
        raise RuntimeError("this can't be closed")

    clusters = OwnedClusters(keep=False)
    for seed in (1, 2):
        clusters.share(simcluster.ClusterSpec("ssh", seed=seed))
    records = list_records()
    for site in clusters._sites():
        site.cluster._cleanup.callback(fail)
    with pytest.raises(RuntimeError, match="this can't be closed"):
        clusters.close()
    assert len(records) == 2
    assert all(map(is_gone, records))
