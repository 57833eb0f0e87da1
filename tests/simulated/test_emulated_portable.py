"""What macOS has no other way for, tried on Linux: no /proc, no namespaces, no adopted orphans."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import simcluster
from simcluster.emulated import messages
from simcluster.emulated.backend import list_clusters
from simcluster.emulated.registry import list_records
from simcluster.ownership import Owner, is_abandoned
from simcluster.processes import PORTABLE, Sessions, children, descendants, memory_mb, start_time, states

OWNER = """
import os, sys
import simcluster
cluster = simcluster.start("slurm", nodes=1)
print(cluster.name, flush=True)
cluster.run("sbatch --wrap 'sleep 4322 & sleep 4322'; (trap '' HUP; sleep 4322 &) >&- 2>&- <&-; exec sleep 4322")
"""
FAMILY = "import subprocess, sys; child = subprocess.Popen(['sleep', '4323']); print(child.pid, flush=True); input()"


@pytest.fixture(autouse=True)
def _portable(tmp_path, monkeypatch):
    """A registry of the test's own, for those who go the other way take other processes for the owners."""
    monkeypatch.setenv(PORTABLE, "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.fixture(params=["linux", "portable"])
def _either_way(request, monkeypatch):
    if request.param == "linux":
        if sys.platform != "linux":
            pytest.skip("there is one way here")
        monkeypatch.delenv(PORTABLE)


@pytest.fixture
def family():
    """A process, and its child."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        yield parent, int(parent.stdout.readline())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def commands(line):
    """How many processes have this command line."""
    said = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [each.strip() for each in said.splitlines()].count(line)


@pytest.mark.usefixtures("_either_way")
def test_processes_are_known_by_their_parents(family):
    parent, child = family
    assert children(parent.pid) == [child]
    assert set(descendants([parent.pid])) == {parent.pid, child}
    assert {parent.pid, child} <= set(descendants([os.getpid()]))


@pytest.mark.usefixtures("_either_way")
def test_processes_are_known_by_their_states(family):
    parent, child = family
    os.kill(parent.pid, signal.SIGSTOP)
    until(lambda: states([parent.pid])[parent.pid] == "T", "it stands still")
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: states([parent.pid])[parent.pid] == "Z", "it waits to be waited for")
    assert start_time(parent.pid) is None
    parent.wait()
    assert states([parent.pid, child]) == {parent.pid: "X", child: "S"}


@pytest.mark.usefixtures("_either_way")
def test_memory_is_that_of_all_processes_together(family):
    parent, child = family
    until(lambda: memory_mb([child]) > 0, "its program is there")
    assert memory_mb([parent.pid, child]) > memory_mb([parent.pid]) > memory_mb([child]) > 0
    assert memory_mb([]) == 0


@pytest.mark.parametrize("words", [{"TZ": "Asia/Tokyo"}, {"LC_ALL": "de_DE.UTF-8", "LC_TIME": "de_DE.UTF-8"}])
def test_a_process_has_started_when_it_has_in_anybodys_words(monkeypatch, words):
    before = Owner.this_process()
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    assert before.started
    assert not is_abandoned(before, Owner.this_process())


def test_members_of_a_session_are_found_when_its_leader_has_ended(family):
    parent, child = family
    sessions = Sessions()
    sessions.add(parent.pid, "one")
    assert sessions.members([parent.pid]) == {parent.pid: "one", child: "one"}
    parent.stdin.close()
    parent.wait()
    assert sessions.members([]) == {child: "one"}
    os.kill(child, signal.SIGKILL)
    until(lambda: child not in sessions.members([]), "nobody is left")


def test_a_process_that_got_the_number_of_a_session_that_was_is_left_alone(family):
    parent, _ = family
    sessions = Sessions()
    sessions.add(parent.pid, "one that has ended long ago")
    assert sessions.members([]) == {}


def test_a_socket_with_a_long_name_can_be_asked(tmp_path):
    long = tmp_path / ("x" * 60) / ("y" * 60)
    long.mkdir(parents=True)
    program = (
        "import asyncio, sys\n"
        "from simcluster.emulated.messages import Server\n"
        "async def main():\n"
        "    async def answer(request, _): return {'got': request}\n"
        "    server = Server('control', answer)\n"
        "    print(flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=long, stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        assert messages.ask(long / "control", {"a": 1}) == {"got": {"a": 1}}
        server.kill()


def test_a_cluster_runs_jobs_and_leaves_nothing():
    with simcluster.start("slurm", nodes=2) as cluster:
        assert cluster.isolation == ()
        assert [found.name for found in list_clusters()] == [cluster.name]
        cluster.run("sbatch --wait --wrap 'hostname; srun hostname; (sleep 4321 &); sleep 4321 &'", check=True)
        assert cluster.run("cat slurm-1.out").stdout == "node1\nnode1\n"
        until(lambda: not commands("sleep 4321"), "what the job left is ended")

        job = cluster.run("sbatch --parsable --wrap 'sleep 4321 & sleep 4321'", check=True).stdout.strip()
        until(lambda: commands("sleep 4321") == 2, "the job runs")
        assert f"{job} " in cluster.run("squeue -h").stdout
        cluster.run(f"scancel {job}", check=True)
        until(lambda: not cluster.run("squeue -h").stdout, "it is cancelled")
        assert not commands("sleep 4321")

        found = cluster.run("PATH=/usr/bin:/bin:$PATH; . ~/.bashrc; command -v python3").stdout
        assert found == f"{Path(cluster.home).parent}/shared/bin/python3\n"

        cluster.run("nohup sleep 4321 >&- 2>&- <&- &")
        until(lambda: commands("sleep 4321"), "the login's program goes on")
        (record,) = list_records()
    assert not commands("sleep 4321")
    assert not record.path.exists()
    assert not record.directory.exists()


def test_a_job_that_takes_too_much_memory_is_ended():
    with simcluster.start("slurm", nodes=1) as cluster:
        hungry = 'python3 -c "import time; x = bytearray(100 << 20); time.sleep(60)"'
        cluster.run(["sbatch", "--wait", "--mem=50", "--wrap", hungry])
        assert [job.state for job in cluster.jobs()] == ["OUT_OF_MEMORY"]


def test_a_node_can_be_paused_and_killed():
    with simcluster.start("slurm", nodes=1) as cluster:
        ticking = "while :; do echo >> ticks; sleep 0.05; done"
        cluster.run(["sbatch", "--no-requeue", "--wrap", ticking], check=True)
        ticks = Path(cluster.home, "ticks")
        until(ticks.exists, "the job ticks")
        with cluster.faults.node.pause("node1"):
            before = ticks.read_text()
            until(lambda: "down*" in cluster.run("sinfo -h").stdout, "the node is missed")
            assert ticks.read_text() == before
        with cluster.faults.node.kill("node1"):
            before = ticks.read_text()
            until(lambda: "down*" in cluster.run("sinfo -h").stdout, "the node is missed")
            assert ticks.read_text() == before


def test_a_cluster_goes_with_its_killed_owner():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, start_new_session=True) as owner:
        try:
            owner.stdout.readline()
            (record,) = list_records()
            until(lambda: commands("sleep 4322") == 4, "the programs run")
        finally:
            os.killpg(owner.pid, signal.SIGKILL)
    until(lambda: not record.path.exists() and not record.directory.exists(), "files are left")
    until(lambda: not commands("sleep 4322"), "programs are left")


def test_what_a_killed_daemon_left_is_removed():
    cluster = simcluster.start("ssh")
    (record,) = list_records()
    cluster.run("nohup sleep 4324 >&- 2>&- <&- &")
    os.kill(record.keeper.pid, signal.SIGKILL)
    until(lambda: not commands("sleep 4324"), "programs are left")
    until(lambda: list_clusters() == [], "the cluster is still listed")
    assert not record.directory.exists()
    cluster.close()
