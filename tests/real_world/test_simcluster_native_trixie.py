"""The native backend where another Slurm is installed, and where the kernel allows no namespaces: in a container."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import native_program
import pytest

import simcluster
from simcluster.docker.engine import connect
from simcluster.docker.images import ensure_image
from simcluster.docker.schedulers.slurm import image_recipe

pytestmark = pytest.mark.real_world

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def image():
    """Debian 13 with Slurm 24.11, and this test's Python without a package."""
    with closing(connect()) as client:
        recipe = image_recipe(simcluster.ClusterSpec(backend="docker", version="24.11"))
        return ensure_image(client, recipe, (VERSION,)).id


@pytest.mark.parametrize("user", ["root", "alice"])
def test_slurm_24_11_runs_without_namespaces(image, user):
    project = Path(simcluster.__file__).parents[1]
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--init", "--user", user),
            *("--volume", f"{project}:/project:ro", "--volume", f"{Path(__file__).parent}:/tests:ro"),
            *("--volume", f"{packages}:/packages:ro"),
            *(
                "--env",
                "PYTHONPATH=/project:/packages",
                "--env",
                "PYTHONDONTWRITEBYTECODE=1",
                "--env",
                "HOME=/tmp/home",
            ),
            *("--entrypoint", f"/opt/python/{VERSION}/bin/python{VERSION}"),
            *(image, f"/tests/{Path(native_program.__file__).name}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    met = json.loads(done.stdout)
    assert met["version"].startswith("24.11.")
    assert met["user"] == user
    assert met["isolation"] == []
    assert met["job"][0] in {"node1", "node2"}
    assert met["job"][1:5] == [met["home"], user, "0", "python runs"]
    assert met["tasks"] == ["node1", "node2"]
    assert met["jobs"] == [["COMPLETED", "0:0"]] * 2
    assert met["bare"] == ([f"home={met['home']}", "Python"] if user == "root" else ["home="])
    assert met["accounted"] == f"first|{user}|COMPLETED"  # the image has slurmdbd
