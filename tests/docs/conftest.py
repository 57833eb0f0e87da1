"""One emulated cluster for all pages, and the home of a reader whose cluster it is, by the name login.hpc.example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simcluster

USER_FILES = ("CLUSTRIX_", "XDG_")  # what else would lead to the files of whoever runs the tests


@pytest.fixture(scope="session")
def site():
    with simcluster.start("slurm", cpus_per_node=8, memory_per_node="32GB", pythons=["3.6", "3.12"]) as started:
        yield started


@pytest.fixture
def home(tmp_path_factory):
    """The variables of a shell, and kernel, of somebody whose home is empty."""
    directory = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(USER_FILES)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {**kept, "HOME": str(directory), "PATH": path, "IPYTHONDIR": str(directory / "ipython")}
    yield variables
    # A page that fails half-way has not come to its `simcluster down`; a home knows only its own clusters.
    subprocess.run(["simcluster", "down", "--all"], env=variables, check=True)


@pytest.fixture
def environment(site, home):
    """The same of the reader, who has an ssh configuration, and a profile as `clustrix init` makes it."""
    # What the pages before have left there, clustrix's own directory apart.
    site.run("find ~ -mindepth 1 -maxdepth 1 ! -name '.*' -exec rm -rf {} +", check=True)
    directory = Path(home["HOME"])
    settings = directory / ".ssh" / "config"
    settings.parent.mkdir(mode=0o700)
    settings.write_text(
        f"Host login.hpc.example\n  HostName {site.ssh.host}\n  Port {site.ssh.port}\n"
        f"  IdentityFile {site.ssh.key_file}\n  IdentitiesOnly yes\n  UserKnownHostsFile {site.ssh.known_hosts_file}\n"
    )
    profile = directory / ".clustrix" / "config.yaml"
    profile.parent.mkdir(mode=0o700)
    profile.write_text("active: hpc\nprofiles:\n  hpc:\n    cluster_host: login.hpc.example\n    default_memory: 1GB\n")
    # ssh finds its settings in the home that the system knows, not in HOME.
    programs = directory / "bin"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {settings} "$@"\n')
    ssh.chmod(0o755)
    return {**home, "PATH": os.pathsep.join([str(programs), home["PATH"]])}
