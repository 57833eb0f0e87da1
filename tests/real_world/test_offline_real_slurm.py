"""A real Slurm whose machines have no route out: what jobs need comes from the client, once."""

import re
import socket

import pytest
import workload_numbers

import clustrix
import simcluster
from clustrix import cluster

pytestmark = pytest.mark.real_world

INDEX = "pypi.org"
REACH = "import socket; socket.create_connection(('{address}', 443), 5).close()"
NUMPY = {"3.6": "numpy==1.19.5", "3.12": "numpy==2.3.5"}


@pytest.fixture(scope="module")
def offline():
    with simcluster.start(
        "slurm", backend="docker", nodes=1, pythons=["3.6", "3.12"], accounting=False, internet=False
    ) as site:
        yield site


@pytest.fixture(autouse=True)
def configured(offline, configure_for):
    """``@cluster`` runs on ``offline``, with nothing there yet."""
    offline.run("rm -rf ~/.clustrix", check=True)
    configure_for(offline)


@pytest.mark.parametrize("runner", [[], ["srun", "--mem=100"]], ids=["login node", "compute node"])
def test_no_machine_of_the_cluster_reaches_the_index_that_is_reached_from_here(offline, runner):
    reach = REACH.format(address=socket.gethostbyname(INDEX))
    exec(reach)  # here it can be done
    there = offline.run([*runner, "python3", "-c", reach])
    assert there.returncode == 1
    assert re.search(r"timeout|timed out|unreachable", there.stderr)


@pytest.mark.parametrize(("python", "installer"), [("3.6", "pip"), ("3.12", "uv")])
def test_a_job_has_what_it_needs_from_wheels_of_the_client(offline, python, installer, capfd):
    clustrix.configure(package_manager=installer)
    asked = cluster(python=python, requirements=[NUMPY[python], "six==1.16.0"])(workload_numbers.numpy_and_six)
    assert asked() == (tuple(map(int, python.split("."))), 1.5, "1.16.0")
    said = capfd.readouterr().err
    assert "the client sends the wheels" in said
    assert re.search(rf"getting {NUMPY[python].replace('==', '-')}-\S+\.whl from the client", said)
    log = offline.run("cat ~/.clustrix/envs/*/build.log", check=True).stdout
    assert re.search(rf"\$ \S*/{installer} (pip )?install|\$ \S*python -I \S*/{installer} install", log)


def test_what_was_sent_for_one_environment_is_not_sent_again_for_another(capfd):
    cluster(python="3.12", requirements=[NUMPY["3.12"], "six==1.16.0"])(workload_numbers.numpy_and_six)()
    capfd.readouterr()
    cluster(python="3.12", requirements=[NUMPY["3.12"], "six==1.16.0", "attrs==22.2.0"])(
        workload_numbers.numpy_and_six
    )()
    assert re.findall(r"getting (\w+)-\S+ from the client", capfd.readouterr().err) == ["attrs"]
