"""Test runs with xdist: one cluster for each spec, and nothing left of it however a process ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from simcluster.emulated.backend import list_clusters
from simcluster.emulated.registry import list_records
from simcluster.ownership import start_time

pytest_plugins = ["pytester"]

OPTIONS = ("-p", "simcluster.pytest_plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider", "-q")
DEADLINE = 60
HEADER = """
import os, signal, time
from pathlib import Path
import pytest

pytestmark = pytest.mark.simcluster(nodes=1)
notes = Path(__file__).parent

def wait_for(name):
    deadline = time.monotonic() + 60
    while not (notes / name).exists():
        assert time.monotonic() < deadline, name
        time.sleep(0.01)

def note(name, text=""):
    (notes / f".{name}").write_text(str(text))
    (notes / f".{name}").rename(notes / name)

def states(cluster):
    return {job.name: job.state for job in cluster._cluster.jobs()}
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


@pytest.fixture
def run(pytester):
    """run(source, *options): the outcome of a test run with workers."""

    def run(source, *options):
        pytester.makepyfile(test_inner=HEADER + source)
        result = pytester.runpytest_subprocess(*OPTIONS, *options)
        assert list_clusters() == []
        return result

    return run


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def read(path):
    wait_until(path.exists, f"{path.name} did not come")
    return path.read_text(encoding="utf-8")


def test_four_workers_share_one_cluster_for_each_spec(run, pytester):
    source = """
@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("nodes", [1, 2])
def test_inner(simcluster_factory, nodes, number):
    import simcluster
    name = simcluster_factory(simcluster.ClusterSpec("slurm", nodes=nodes)).name
    note(f"{nodes}-{os.environ['PYTEST_XDIST_WORKER']}-{number}", name)
"""
    run(source, "-n", "4").assert_outcomes(passed=16)
    notes = list(pytester.path.glob("[12]-*"))
    assert len({note.name.split("-")[1] for note in notes}) > 1
    for nodes in (1, 2):
        assert len({note.read_text() for note in notes if note.name.startswith(f"{nodes}-")}) == 1


def test_tests_have_work_directories_and_jobs_of_their_own(run, pytester):
    source = """
@pytest.mark.parametrize("number", range(2))
def test_inner(sim_cluster, number):
    assert sim_cluster.run("pwd").stdout == f"{sim_cluster.workdir}\\n"
    assert sim_cluster.run("ls -A").stdout == ""
    name = f"job{number}"
    sim_cluster.run(["sbatch", f"--job-name={name}", "--array=1-3%1", "--wrap", "sleep 1000"], check=True)
    note(f"submitted{number}")
    wait_for(f"submitted{1 - number}")
    assert {job.name for job in sim_cluster.jobs()} == {name}
    if number == 0:
        note("leaves")
    else:
        wait_for("leaves")
        deadline = time.monotonic() + 60
        while states(sim_cluster)["job0"] != "CANCELLED":
            assert time.monotonic() < deadline
        assert states(sim_cluster)["job1"] in {"RUNNING", "PENDING"}
"""
    run(source, "-n", "2").assert_outcomes(passed=2)


def test_jobs_from_the_home_directory_are_cancelled_too(run):
    source = """
def test_first(sim_cluster):
    sim_cluster._cluster.run("sbatch --job-name=home --wrap 'sleep 1000'", check=True)
    assert [job.name for job in sim_cluster.jobs()] == ["home"]

def test_second(sim_cluster):
    assert sim_cluster.jobs() == []
    assert states(sim_cluster) == {"home": "CANCELLED"}
"""
    run(source).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("fixture", "submit"),
    [("slurm_cluster", "sbatch -D / --wrap 'sleep 1000'"), ("pbs_cluster", "echo sleep 1000 | qsub -J 1-2"),
     ("sge_cluster", "echo sleep 1000 | qsub -t 1-2")],
)  # fmt: skip
def test_jobs_of_each_scheduler_are_known_by_the_work_directory_and_cancelled(run, fixture, submit):
    source = f"""
def test_first({fixture}):
    {fixture}.run({submit!r}, check=True)
    assert {{job.directory for job in {fixture}.jobs()}} == {{{fixture}.workdir}}

def test_second({fixture}):
    assert {fixture}.jobs() == []
    assert set(states({fixture}).values()) == {{"CANCELLED"}}
"""
    run(source).assert_outcomes(passed=2)


def test_faults_and_lost_nodes_are_mended(run):
    source = """
def test_first(sim_cluster):
    sim_cluster.faults.scheduler.reject_submits("Invalid account").start()
    assert sim_cluster.run("sbatch --wrap true").returncode == 1
    sim_cluster.nodes["node1"].kill()

def test_second(sim_cluster):
    assert sim_cluster.run("sbatch --wait --wrap true").returncode == 0
    assert sim_cluster.faults.active() == []
"""
    run(source).assert_outcomes(passed=2)


@pytest.mark.parametrize("marker", ["", "@pytest.mark.simcluster(exclusive=True)"])
def test_who_breaks_a_cluster_has_it_alone(run, marker):
    source = f"""
{marker}
def test_breaks(sim_cluster):
    with sim_cluster.faults.scheduler.down(timeout=0.1):
        note("broken")
        assert sim_cluster.run("squeue").returncode != 0
    note("mended")

def test_other(request):
    wait_for("broken")
    sim_cluster = request.getfixturevalue("sim_cluster")
    assert (notes / "mended").exists()
    assert sim_cluster.run("squeue").returncode == 0
"""
    run(source, "-n", "2", "--dist=load").assert_outcomes(passed=2)


def test_a_cluster_that_can_not_be_mended_is_replaced(run):
    source = """
def test_breaks(sim_cluster):
    note("first", sim_cluster.name)
    sim_cluster.nodes["node1"].restart()
    sim_cluster._cluster._control.unlink()

def test_next(sim_cluster):
    assert sim_cluster.name != (notes / "first").read_text()
    assert sim_cluster.run("true").returncode == 0
"""
    result = run(source)
    result.assert_outcomes(passed=2, errors=1)


def test_a_missing_backend_skips_in_workers_too(run):
    source = "\n@pytest.mark.simcluster(backend='docker')\ndef test_inner(sim_cluster): pass\n"
    result = run(source, "-n", "1", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*no Docker engine: none is running; start it*"])


def test_the_report_has_a_lane_for_each_worker(run, pytester):
    source = "\n@pytest.mark.parametrize('n', range(6))\ndef test_inner(sim_cluster, n): sim_cluster.run('sbatch --wrap true')\n"
    run(source, "-n", "2", "--simcluster-report=report.html").assert_outcomes(passed=6)
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("6 tests: 6 passed", "gw0", "gw1", "6 jobs"))


def test_a_killed_worker_leaves_its_cluster_to_the_others_but_no_jobs_and_faults(run):
    source = """
def test_killed(sim_cluster):
    sim_cluster.run(["sbatch", "--job-name=left", "--wrap", "sleep 1000"], check=True)
    sim_cluster.faults.scheduler.reject_submits("Invalid account").start()
    note("name", sim_cluster.name)
    os.kill(os.getpid(), signal.SIGKILL)

def test_survives(request):
    wait_for("name")
    sim_cluster = request.getfixturevalue("sim_cluster")
    assert sim_cluster.name == (notes / "name").read_text()
    assert states(sim_cluster) == {"left": "CANCELLED"}
    assert sim_cluster.run("sbatch --wrap true").returncode == 0
"""
    result = run(source, "-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running*test_killed*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_killed_owner_leaves_nothing(pytester, workers):
    source = """
@pytest.mark.parametrize("number", range(2))
def test_inner(sim_cluster, number):
    sim_cluster.run("sbatch --wrap 'sleep 1000'", check=True)
    note(f"pid{number}", os.getpid())
    time.sleep(1000)
"""
    pytester.makepyfile(test_inner=HEADER + source)
    command = [sys.executable, "-m", "pytest", *OPTIONS, *workers]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=pytester.path) as owner:
        pids = [int(read(pytester.path / f"pid{number}")) for number in range(len(workers) or 1)]
        (record,) = list_records()
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not any(start_time(pid) for pid in pids), "workers are left")
    wait_until(lambda: start_time(record.keeper.pid) is None, "the daemon is left")
    assert not record.path.exists()
    assert not record.directory.exists()
