"""The fixtures, marker and options of the pytest plugin, in test runs of their own."""

import json
import subprocess
import sys

import pytest

import simcluster
from simcluster.backends import load_backend
from simcluster.emulated.backend import list_clusters

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PLUGINS = ("-p", "simcluster.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def run(pytester, monkeypatch, tmp_path):
    """run(source, *options): the outcome of a test run on a machine without other clusters and Docker."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(source, *options):
        pytester.makepyfile(test_inner=f"import json, os, time\nimport pytest\n{source}")
        return pytester.runpytest_subprocess(*PLUGINS, "-rs", *options)

    yield run
    for cluster in list_clusters():
        load_backend("emulated").end(cluster)


def test_a_test_gets_the_cluster_of_its_marker(run):
    source = """
@pytest.mark.simcluster("slurm", nodes=3, cpus_per_node=2)
def test_inner(sim_cluster):
    assert list(sim_cluster.nodes) == ["node1", "node2", "node3"]
    assert sim_cluster.spec.cpus_per_node == 2
    assert "node[1-3]" in sim_cluster.run("sinfo", check=True).stdout
"""
    run(source).assert_outcomes(passed=1)


def test_markers_of_modules_classes_and_functions_add_up(run):
    source = """
pytestmark = pytest.mark.simcluster("slurm", nodes=1, cpus_per_node=2)

@pytest.mark.simcluster(cpus_per_node=3)
class TestInner:
    @pytest.mark.simcluster(memory_per_node="1GB")
    def test_inner(self, sim_cluster):
        spec = sim_cluster.spec
        assert (spec.nodes, spec.cpus_per_node, spec.memory_per_node) == (1, 3, "1GB")
"""
    run(source).assert_outcomes(passed=1)


def test_each_scheduler_has_a_fixture(run):
    source = """
@pytest.mark.simcluster(nodes=1)
def test_slurm(slurm_cluster):
    assert slurm_cluster.run("sbatch --version").stdout.startswith("slurm")

@pytest.mark.simcluster(nodes=1)
def test_pbs(pbs_cluster):
    pbs_cluster.run("echo sleep 1000 | qsub", check=True)
    assert len(pbs_cluster.jobs()) == 1

@pytest.mark.simcluster(nodes=1)
def test_sge(sge_cluster):
    assert sge_cluster.run("qhost").stdout.startswith("HOSTNAME")

def test_ssh(ssh_host):
    assert ssh_host.run("echo hello").stdout == "hello\\n"
    assert not ssh_host.nodes
"""
    run(source).assert_outcomes(passed=4)


def test_the_command_line_says_what_the_marker_does_not(run):
    source = """
@pytest.mark.simcluster(nodes=1)
def test_one(sim_cluster):
    assert sim_cluster.spec.scheduler in {"slurm", "ssh"}
    assert list(sim_cluster.pythons) == ["3.12"]

@pytest.mark.simcluster("ssh", pythons=["3.11"])
def test_two(sim_cluster):
    assert sim_cluster.spec.scheduler == "ssh"
    assert list(sim_cluster.pythons) == ["3.11"]
"""
    result = run(
        source, "-v", "--simcluster-scheduler=slurm", "--simcluster-scheduler=ssh", "--simcluster-pythons=3.12"
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_one?slurm? PASSED*", "*::test_one?ssh? PASSED*", "*::test_two PASSED*"])


def test_a_missing_backend_skips_the_test_with_the_reason(run):
    source = """
def test_inner(sim_cluster):
    pass

def test_factory(simcluster_factory):
    import simcluster
    simcluster_factory(simcluster.ClusterSpec(backend="docker"))
"""
    result = run(source, "--simcluster-backend=docker")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*no Docker engine: none is running; start it*"])


def test_strictly_a_missing_backend_is_a_failure(run):
    source = """
@pytest.mark.simcluster(backend="docker")
def test_inner(sim_cluster):
    pass
"""
    result = run(source, "--simcluster-strict")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no Docker engine: none is running; start it*"])
    result.stdout.no_fnmatch_line("*another exception*")


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('"lsf"', "*SpecError: scheduler='lsf': *"),
        ('"slurm", nods=3', "*SpecError: unknown settings nods; *"),
        ('"slurm", pythons=["2.7"]', "*SpecError: pythons='2.7': *"),
        ('"slurm", "pbs"', "*SpecError: @pytest.mark.simcluster takes one scheduler*"),
    ],
)
def test_a_wrong_spec_is_an_error(run, marker, said):
    result = run(f"@pytest.mark.simcluster({marker})\ndef test_inner(sim_cluster): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_the_factory_gives_one_cluster_for_each_spec(run):
    source = """
from simcluster import ClusterSpec

def test_inner(simcluster_factory):
    one, same, other = (simcluster_factory(spec) for spec in (ClusterSpec("ssh"), "ssh", ClusterSpec("ssh", nodes=1)))
    assert one.name == same.name != other.name
    one.close()
    assert same.run("hostname").stdout == "login\\n"

@pytest.mark.simcluster("ssh", nodes=1)
def test_again(simcluster_factory, sim_cluster):
    assert simcluster_factory(ClusterSpec("ssh", nodes=1)).name == sim_cluster.name
"""
    run(source).assert_outcomes(passed=2)


def test_nothing_is_left_of_the_clusters_of_a_run(run):
    run("def test_inner(sim_cluster, ssh_host): pass").assert_outcomes(passed=1)
    assert list_clusters() == []


def test_kept_clusters_stay_and_say_how_to_log_in(run, pytester):
    result = run(
        "@pytest.mark.simcluster('ssh')\ndef test_inner(sim_cluster):\n    open('name', 'w').write(sim_cluster.name)",
        "--simcluster-keep",
    )
    (cluster,) = list_clusters()
    assert cluster.name == (pytester.path / "name").read_text(encoding="utf-8")
    result.stdout.fnmatch_lines([f"{cluster.name} stays up", f"*ssh -F {cluster.ssh_config} {cluster.name}", "*down*"])
    with simcluster.attach(cluster.name) as attached:
        assert attached.run("true").returncode == 0


def test_help_shows_the_options_and_markers_are_registered(run, pytester):
    shown = run("", "--help").stdout
    for option in ("backend", "scheduler", "pythons", "keep", "report", "strict"):
        shown.fnmatch_lines([f"*--simcluster-{option}*"])
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.simcluster(scheduler, *"])


@pytest.mark.parametrize(
    ("backend", "missing"), [("docker", "docker"), ("emulated", "asyncssh"), ("emulated", "filelock")]
)
def test_without_the_extra_only_tests_with_clusters_are_skipped(run, pytester, backend, missing):
    pytester.makeconftest(f"import sys; sys.modules[{missing!r}] = None")
    result = run("def test_inner(): pass\n\ndef test_cluster(sim_cluster): pass", f"--simcluster-backend={backend}")
    result.assert_outcomes(passed=1, skipped=1)
    said = f'SKIPPED*the {backend} backend needs {missing}, which comes with: pip install "clustrix?simcluster?"'
    result.stdout.fnmatch_lines([said])


def test_unused_the_plugin_imports_nothing_of_simcluster_but_itself():
    program = "import pytest, sys; before = set(sys.modules); import simcluster.pytest_plugin; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"simcluster", "simcluster.pytest_plugin", "simcluster.pytest_plugin.run"}


def test_the_report_shows_tests_and_jobs_on_one_axis(run, pytester):
    source = """
@pytest.mark.simcluster("slurm", nodes=1)
class TestInner:
    def test_passes(self, sim_cluster):
        sim_cluster.run("sbatch --wait --job-name=traced --wrap true", check=True)
        with sim_cluster.faults.scheduler.slow(0.01):
            pass

    def test_fails(self, sim_cluster):
        assert False, "on purpose"

    def test_elsewhere(self):
        pass
"""
    run(source, "--simcluster-report=report.html").stdout.fnmatch_lines(["report: file://*/report.html"])
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    rows = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["rows"]
    tests = {row[1].rpartition("::")[2]: row[2] for row in rows if row[0] == "test"}
    assert tests == {"test_passes": "passed", "test_fails": "failed"}
    assert [row[2] for row in rows if row[0] == "job"] == ["traced"]
    assert [row[1] for row in rows if row[0] == "fault"] == ["scheduler.slow"]
    assert "on purpose" in page


def test_a_marker_and_a_fixture_that_name_different_schedulers_are_an_error(run):
    source = """
@pytest.mark.simcluster("slurm")
def test_inner(pbs_cluster):
    pass
"""
    result = run(source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*SpecError: the marker names 'slurm' and the fixture gives 'pbs'*"])
