import gc
import subprocess
import sys

import pytest
from click.testing import CliRunner

import simcluster
from simcluster.commands import cli


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
        (["up", "lsf"], "'slurm', 'ssh'"),
        (["up"], "which scheduler?"),
        (["up", "slurm", "--pythons", "3.5"], "3.6, 3.7"),
        (["up", "slurm", "--nodes", "0"], "at least 1"),
        (["up", "slurm", "--backend", "native"], "'emulated', 'native', 'docker'"),
        (["up", "slurm", "--name", "../x"], "letters, digits"),
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
    program = "import sys; sys.modules['testcontainers'] = None; from simcluster.cli import cli; cli()"
    done = subprocess.run([sys.executable, "-c", program, "ls"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "clustrix[simcluster]"' in done.stderr


def test_importing_simcluster_needs_no_extra():
    program = "import sys; sys.modules.update(docker=None, testcontainers=None, click=None); import simcluster"
    subprocess.run([sys.executable, "-c", program], check=True)
