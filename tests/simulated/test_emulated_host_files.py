"""What an emulated cluster shows of this computer, and what it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import simcluster
from simcluster.pythons import find_pythons


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = Path(f"/var/tmp/simcluster-test-{os.getpid()}")
    path.mkdir()
    (path / "file").write_text("hidden")
    yield path
    (path / "file").unlink()
    path.rmdir()


@pytest.fixture(scope="module")
def host(secret):
    with simcluster.start("ssh", backend="emulated", hide=[secret]) as cluster:
        yield cluster


@pytest.fixture
def apart(host):
    if "mount" not in host.isolation:
        pytest.skip("this kernel allows no mount namespaces here")
    return host


def test_a_module_that_was_not_shipped_cant_be_imported(apart):
    for path in apart.pythons.values():
        for module in ("paramiko", "pytest", "clustrix", "simcluster"):
            done = apart.run([path, "-c", f"import {module}"])
            assert "ModuleNotFoundError" in done.stderr


def test_the_callers_project_home_and_packages_are_not_there(apart):
    project = Path(__file__).parents[2]
    for path in (project / "pyproject.toml", Path(pytest.__file__), Path(__file__), Path(sys.prefix, "pyvenv.cfg")):
        assert apart.run(["test", "-e", str(path)]).returncode == 1
    allowed = {
        path.relative_to(Path.home()).parts[0]
        for path in map(Path, apart.pythons.values())
        if path.is_relative_to(Path.home())
    }
    left = set(apart.run(["ls", "-A", str(Path.home())]).stdout.split())
    assert (
        left <= allowed | {Path(sys.base_prefix).relative_to(Path.home()).parts[0]}
        if Path(sys.base_prefix).is_relative_to(Path.home())
        else left <= allowed
    )


def test_what_is_to_be_hidden_is(apart, secret):
    assert (secret / "file").exists()
    assert apart.run(["cat", f"{secret}/file"]).returncode == 1


def test_a_file_of_the_callers_temporary_directory_is_not_there(apart, tmp_path):
    (tmp_path / "file").touch()
    assert apart.run(["test", "-e", str(tmp_path)]).returncode == 1


def test_home_is_where_people_expect_it(apart):
    assert apart.home == f"/home/{apart.ssh.username}"
    program = "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)"
    assert apart.run([next(iter(apart.pythons.values())), "-c", program]).stdout.strip() == apart.home


def test_the_login_host_has_its_own_name(host):
    assert host.run("hostname").stdout.strip() == "login"


def test_processes_of_the_caller_are_not_to_be_seen(host):
    if "pid" not in host.isolation:
        pytest.skip("this kernel allows no process namespaces here")
    assert host.run(["test", "-e", f"/proc/{os.getpid()}"]).returncode == 1 or "pytest" not in host.run("ps ax").stdout


def test_each_python_runs_and_makes_virtual_environments_with_pip(host):
    for version, path in host.pythons.items():
        said = host.run([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True).stdout
        assert said.strip() == version
    newest = list(host.pythons.values())[-1]
    host.run([newest, "-m", "venv", "made"], check=True)
    assert host.run("made/bin/python -m pip --version", check=True).stdout.startswith("pip ")


def test_pythons_are_modules_and_the_oldest_is_the_systems(host):
    oldest, *_, newest = *host.pythons, *host.pythons
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert host.run(["python3", "-c", version]).stdout.strip() == oldest
    done = host.run(f'module load python/{newest} && python -c "{version}" && module list', check=True)
    assert done.stdout.strip() == newest
    assert f"1) python/{newest}" in done.stderr
    assert f"python/{oldest}" in host.run("module avail").stderr
    purged = host.run(f'module load python; module purge; module list; python3 -c "{version}"')
    assert purged.stdout.strip() == oldest
    assert "No modules loaded" in purged.stderr
    terse = host.run(f"module -t avail python/{newest}").stderr.splitlines()
    assert terse[1:] == [f"python/{newest}"]


def test_loading_another_version_replaces_the_first(host):
    first, *_, last = *host.pythons, *host.pythons
    done = host.run(
        f"module load python/{first}; module load python/{last}; module unload python; echo $LOADEDMODULES; echo $PATH"
    )
    assert done.stdout.startswith("\n")
    assert "/modules/" not in done.stdout


def test_an_unknown_module_is_an_error(host):
    done = host.run("module load python/2.2")
    assert done.returncode == 1
    assert '"python/2.2"' in done.stderr


def test_modules_are_there_in_scripts_and_in_login_shells(host):
    for shell in ("bash", "bash -l"):
        assert "python/" in host.run(f"{shell} -c 'module avail'").stderr


def test_a_python_that_is_not_here_is_refused_with_what_is():
    missing = [
        version
        for version in ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
        if version not in find_pythons()
    ]
    if not missing:
        pytest.skip("this machine has them all")
    with pytest.raises(simcluster.SpecError, match=f"uv python install {missing[0]}"):
        simcluster.start("ssh", backend="emulated", pythons=missing[:1])


def test_what_the_command_lists_are_pythons():
    for version, interpreter in find_pythons().items():
        said = subprocess.run([interpreter.path, "--version"], capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"Python {version}.")


@pytest.mark.parametrize(
    ("scheduler", "foreign"), [("ssh", ("sbatch", "qsub")), ("pbs", ("squeue", "qconf")), ("sge", ("sinfo", "qmgr"))]
)
def test_the_programs_of_another_scheduler_that_this_computer_has_are_not_found(scheduler, foreign):
    with simcluster.start(scheduler, backend="emulated") as cluster:
        for name in foreign:
            done = cluster.run([name, "--version"])
            assert (done.stdout, done.returncode) == ("", 127)
            assert f"{name}: command not found" in done.stderr
