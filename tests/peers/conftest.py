from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from simcluster import Cluster

PROGRAMS = Path(__file__).parent / "programs"
# One that hangs says where: SIGABRT has Python print what each thread does.
_PYTHON = "timeout --signal=ABRT --kill-after=10 240 python -u -X faulthandler"


@dataclass(frozen=True)
class Site:
    """A cluster as somebody uses it who has logged in: virtual environments of their own, programs started there."""

    cluster: Cluster

    def install(self, *requirements: str) -> str:
        """Make a virtual environment in the home directory, and give its directory."""
        directory = posixpath.join(self.cluster.home, "venvs", requirements[0].partition("[")[0])
        self.cluster.run(["python3", "-m", "venv", directory], check=True, timeout=120)
        pip = posixpath.join(directory, "bin", "pip")
        self.cluster.run(
            [pip, "install", "--quiet", "--disable-pip-version-check", *requirements], check=True, timeout=280
        )
        print(
            self.cluster.run([pip, "list", "--disable-pip-version-check"], check=True).stdout
        )  # read when a test fails
        return directory

    def start(self, environment: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a file of programs/ on the login host, in a directory of its own."""
        directory = posixpath.join(self.cluster.scratch, program)
        text = (PROGRAMS / program).read_text(encoding="utf-8")
        self.cluster.run(["mkdir", "-p", directory], check=True)
        self.cluster.run(["tee", f"{directory}/{program}"], input=text, check=True)
        line = f"cd {directory} && . {environment}/bin/activate && exec {_PYTHON} {program} {' '.join(arguments)}"
        return self.cluster.run(line, timeout=280)


@pytest.fixture(scope="session")
def site_of(simcluster_factory: Callable[[ClusterSpec], Cluster]) -> Callable[[str], Site]:
    """A site with that scheduler, on the backend that SIMCLUSTER_BACKEND names. All workers of pytest share it."""
    backend = os.environ.get("SIMCLUSTER_BACKEND", "emulated")

    def make(scheduler: str) -> Site:
        if backend == "docker" and scheduler != "slurm":
            pytest.skip(f"there are no containers with {scheduler}")
        spec = ClusterSpec(scheduler, backend=backend, nodes=2, cpus_per_node=4, pythons=("3.12",))
        return Site(simcluster_factory(spec))

    return make
