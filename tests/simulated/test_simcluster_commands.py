import gc
import subprocess
import sys

import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli
from simcluster.emulated import backend


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    """An engine's address where there is none. The docker package leaves the socket that failed to the collector."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    yield
    gc.collect()


def needs_no_engine(test):
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    return ignored(pytest.mark.usefixtures("no_engine")(test))


def invoke(*arguments):
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "lsf"], "'ssh'"),
        (["up"], "which scheduler?"),
        (["up", "slurm", "--pythons", "3.5"], "3.6, 3.7"),
        (["up", "slurm", "--nodes", "0"], "at least 1"),
        (["up", "slurm", "--backend", "podman"], "'emulated', 'native', 'docker'"),
        (["up", "slurm", "--name", "../x"], "letters, digits"),
        (["up", "slurm", "--version", "25"], "22.05, 24.11"),
        (["up", "pbs", "--version", "24.11"], "23.06"),
        (["up", "ssh", "--nodes", "3", "--gpus", "1"], "--nodes, --gpus-per-node: "),
        (["down"], "--all"),
        (["down", "x", "--all"], "--all"),
        (["run", "x"], "COMMAND"),
        (["images", "build", "--base", "scratch"], "debian:bookworm-slim"),
    ],
)
def test_what_is_asked_wrongly_exits_2_and_says_what_is_right(arguments, said):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in result.output


@needs_no_engine
@pytest.mark.parametrize("arguments", [["up", "slurm", "--backend", "docker"], ["images", "build"]])
def test_without_an_engine_the_commands_that_need_one_say_how_to_get_one(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "no Docker engine: none is running; start it" in result.output


@needs_no_engine
def test_without_an_engine_there_are_just_no_clusters_on_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert invoke("ls").exit_code == 0
    result = invoke("run", "x", "--", "true")
    assert result.exit_code == 1
    assert "no cluster 'x'" in result.output


@needs_no_engine
def test_start_raises_the_same():
    with pytest.raises(simcluster.BackendUnavailableError, match=r"apt-get install docker\.io"):
        simcluster.start("slurm", backend="docker")


def test_without_the_extra_the_command_says_what_to_install():
    program = "import sys; sys.modules['click'] = None; from simcluster.cli import cli; cli()"
    done = subprocess.run([sys.executable, "-c", program, "ls"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "clustrix[simcluster]"' in done.stderr


def test_importing_simcluster_needs_no_extra():
    program = "import sys; sys.modules.update(docker=None, testcontainers=None, click=None); import simcluster"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.fixture
def state(monkeypatch, tmp_path):
    """A place of the test's own for what clusters remember; a cluster that is left there is removed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path
    for cluster in backend.list_clusters():
        backend.end(cluster)


@needs_no_engine
def test_up_takes_all_that_a_spec_has(state, tmp_path):
    (tmp_path / "site.yaml").write_text("scheduler: slurm\nnodes: 3\ncpus_per_node: 8\npartitions: [{name: old}]\n")
    options = "--nodes 2 --memory 2GB --gpus 1 --partition short:node1:30 --partition long --hide /srv/x --version 22.05 --seed 7"
    result = invoke("up", "--spec", str(tmp_path / "site.yaml"), "--name", "site", *options.split())
    assert result.exit_code == 0, result.output
    (cluster,) = backend.list_clusters()
    spec = cluster.spec
    assert (spec.nodes, spec.cpus_per_node, spec.memory_mb, spec.gpus_per_node) == (2, 8, 2048, 1)
    assert spec.partitions == (simcluster.Partition("short", ("node1",), "30"), simcluster.Partition("long"))
    assert (spec.hide, spec.version, spec.seed) == (("/srv/x",), "22.05", 7)


@needs_no_engine
def test_a_kept_cluster_tells_its_timeline_and_its_log(state, tmp_path):
    assert invoke("up", "slurm", "--name", "kept").exit_code == 0
    result = invoke("timeline", "kept", "-o", str(tmp_path / "run.html"))
    assert (result.exit_code, result.output) == (0, f"{tmp_path}/run.html\n")
    assert "kept" in (tmp_path / "run.html").read_text(encoding="utf-8")
    result = invoke("timeline", "kept", "-o", str(tmp_path / "none" / "run.html"))
    assert (result.exit_code, "can't write" in result.output) == (1, True)
    (cluster,) = backend.list_clusters()
    with (cluster.directory / "daemon.log").open("a", encoding="utf-8") as log:
        log.write("first\nsecond")
    assert invoke("logs", "kept").output.endswith("first\nsecond\n")


@needs_no_engine
def test_following_a_log_ends_with_the_cluster(state):
    assert invoke("up", "slurm", "--name", "kept").exit_code == 0
    (cluster,) = backend.list_clusters()
    with (cluster.directory / "daemon.log").open("a", encoding="utf-8") as log:
        log.write("before\n")
    lines = backend.log_of(cluster, follow=True)
    assert "before" in next(lines)
    backend.end(cluster)
    assert list(lines) == []


@needs_no_engine
@pytest.mark.parametrize("command", ["timeline", "logs"])
def test_what_is_asked_of_a_cluster_that_is_not_there_says_so(state, command):
    result = invoke(command, "gone")
    assert result.exit_code == 1
    assert "no cluster 'gone'" in result.output


def test_the_demo_runs_jobs_and_draws_them(state, tmp_path):
    result = invoke("demo", "-o", str(tmp_path / "demo.html"))
    assert result.exit_code == 0, result.output
    for said in ("$ sinfo", "Submitted batch job 1", "$ squeue", "COMPLETED", "FAILED", "simcluster up slurm"):
        assert said in result.output
    assert "prepare" in (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert backend.list_clusters() == []


def test_the_pythons_of_this_machine_are_listed():
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert any(line.split()[0] == version for line in invoke("pythons").output.splitlines())
