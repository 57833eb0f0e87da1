"""What is released: the wheel and the sdist install with the core's dependencies alone, and the client needs nothing of POSIX."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import clustrix
from clustrix.lock import find_uv

ROOT = Path(__file__).parents[2]
# What Windows' Python lacks of the standard library.
OF_POSIX = ("crypt", "fcntl", "grp", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty")


def run(*words, cwd):
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(words, cwd=cwd, env=variables, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A directory with sdist and wheel, the wheel being made of the sdist."""
    directory = tmp_path_factory.mktemp("dist")
    run(find_uv(), "build", "--quiet", "--python", sys.executable, "--out-dir", directory, ROOT, cwd=directory)
    return directory


@pytest.fixture(scope="module")
def python(released, tmp_path_factory):
    """The Python of an environment with the wheel and what it depends on."""
    directory = tmp_path_factory.mktemp("environment")
    run(find_uv(), "venv", "--quiet", "--python", sys.executable, directory, cwd=directory)
    program = directory / "bin" / "python"
    wheel = next(released.glob("*.whl"))
    run(find_uv(), "pip", "install", "--quiet", "--python", program, wheel, cwd=directory)
    return program


def test_the_wheel_is_typed_and_has_the_recipes(released):
    with zipfile.ZipFile(next(released.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {"clustrix/py.typed", "simcluster/py.typed", "simcluster/recipes/slurm/Dockerfile"} <= names
    assert not {name for name in names if name.split("/")[0] in ("tests", "benchmarks", "examples", "docs")}


def test_the_version_is_that_of_the_package(released):
    assert next(released.glob("*.whl")).name.split("-")[1] == clustrix.__version__
    assert (released / f"clustrix-{clustrix.__version__}.tar.gz").exists()


def test_every_name_opens_with_the_core_alone(python, tmp_path):
    program = "import clustrix; print(len([getattr(clustrix, name) for name in clustrix.__all__]))"
    assert int(run(python, "-c", program, cwd=tmp_path)) == len(clustrix.__all__)


def test_the_commands_answer_with_the_core_alone(python, tmp_path):
    assert "doctor" in run(python.with_name("clustrix"), "--help", cwd=tmp_path)
    assert clustrix.__version__ in run(python.with_name("clustrix"), "--version", cwd=tmp_path)
    done = subprocess.run([python.with_name("simcluster")], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'pip install "clustrix[simcluster]"' in done.stderr


def test_the_client_needs_nothing_of_posix(tmp_path):
    program = f"""
import sys
for name in {OF_POSIX}:
    sys.modules[name] = None
import importlib, pkgutil, clustrix
names = [item.name for item in pkgutil.iter_modules(clustrix.__path__, "clustrix.")]
names += [item.name for item in pkgutil.iter_modules(clustrix.__path__, "clustrix.") if item.ispkg]
for package in ("clustrix.connection", "clustrix.commands", "clustrix.downlevel"):
    names += [item.name for item in pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")]
for name in names:
    if not name.startswith(("clustrix.remote", "clustrix.fsspec_files")):
        importlib.import_module(name)
from clustrix import *
"""
    run(sys.executable, "-c", program, cwd=tmp_path)


def test_the_workflow_runs_every_session_that_ci_runs():
    known = {
        node.name
        for node in ast.parse((ROOT / "noxfile.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(how) for how in node.decorator_list)
    }
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    run = [name for sessions in jobs["nox"]["strategy"]["matrix"]["sessions"] for name in sessions.split()]
    assert sorted(run) == sorted(known - {"bench", "demo", "realworld_clients"})
    ci = (ROOT / ".ci" / "run").read_text()
    assert set(run) <= {
        word for line in ci.splitlines() if line.lstrip().startswith("sessions ") for word in line.split()
    } | {word for line in (ROOT / "Makefile").read_text().splitlines() if "nox -s" in line for word in line.split()}
