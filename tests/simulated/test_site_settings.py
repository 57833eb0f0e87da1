"""What a site needs around a job: modules, commands, variables, an environment of the user's, a Python of the right version."""

import json
import shlex

import pytest
import site_workload
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster

OLD = {"python": "3.6"}


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    """``@cluster`` runs on ``site``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield


def refused(site, match, **options):
    """The call is refused before anything is queued."""
    before = len(site.jobs())
    with pytest.raises(clustrix.EnvironmentSetupError, match=match):
        cluster(**options)(site_workload.version)()
    assert len(site.jobs()) == before


def test_modules_come_first_then_commands_which_see_variables_then_the_function(site):
    asked = cluster(
        **OLD,
        modules=["python/3.12"],
        environment_variables={"TOKEN": "it's $x"},
        pre_execution_commands=["export SEEN=$(python3 -V)", "export AFTER=$SEEN$TOKEN"],
    )(site_workload.variables)
    value = asked("LOADEDMODULES", "AFTER")
    assert value["LOADEDMODULES"] == "python/3.12"
    assert value["AFTER"].startswith("Python 3.12.")
    assert value["AFTER"].endswith("it's $x")


def test_variables_are_in_the_private_file_alone(site):
    future = cluster(**OLD, environment_variables={"TOKEN": "s3cret-word"}, pre_execution_commands=["sleep 600"])(
        site_workload.version
    ).submit()
    found = site.run(
        f"until squeue -h -n {future.job_id} -t R | grep -q .; do sleep 0.05; done; "
        "grep -rl s3cret-word $(ls -d ~/.clustrix/*) | xargs stat -c '%a %n'; scontrol write batch_script "
        f"$(squeue -h -n {future.job_id} -o %i) - | grep -c s3cret-word",
        timeout=60,
    )
    future.cancel()
    holders, count = found.stdout.splitlines()[:-1], found.stdout.splitlines()[-1]
    assert [(line.split()[0], line.rpartition("/")[2]) for line in holders] == [("600", "environment")]
    assert count == "0"


def test_a_module_that_is_not_there_is_refused_by_name(site):
    refused(site, r"no module nosuch/1: .*module avail", **OLD, modules=["python/3.12", "nosuch/1"])


def test_a_module_that_fails_in_the_job_alone_ends_it_with_its_name(site):
    there_only = cluster(**OLD, modules=["python/3.12"], environment_variables={"SIMCLUSTER_MODULES": "/nowhere"})
    with pytest.raises(clustrix.JobFailedError, match=r"it ended in 'module load python/3\.12'") as caught:
        there_only(site_workload.version)()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("command", "code"), [("ls /nosuch/file", 2), ("echo hello; exit 3", 3), ("exit 0", 0)])
def test_a_command_that_ends_the_job_is_named(site, command, code):
    with pytest.raises(clustrix.JobFailedError, match="never came to its function") as caught:
        cluster(**OLD, pre_execution_commands=["true", command])(site_workload.version)()
    assert repr(command) in str(caught.value)
    assert (caught.value.exit_code or 0) == code


@pytest.fixture(scope="module")
def venv(site):
    site.run(
        "python3.12 -m venv --without-pip ~/'my venv' && touch ~/'my venv'/lib/python3.12/site-packages/yaml.py",
        check=True,
    )
    return f"{site.home}/my venv"


def test_an_existing_virtual_environment_is_used_as_it_is(site, venv):
    for named in (venv, "~/my venv"):
        assert cluster(environment=named)(site_workload.prefix)() == venv
    value = cluster(environment=venv)(site_workload.variables)("VIRTUAL_ENV", "PATH")
    assert value["VIRTUAL_ENV"] == venv
    assert value["PATH"].startswith(f"{venv}/bin:")


def test_what_an_existing_environment_lacks_is_refused_by_name(site, venv):
    before = len(site.jobs())
    with pytest.raises(clustrix.EnvironmentSetupError, match=r"my venv \(Python 3\.12\.\d+\).* lacks .*: click\."):
        cluster(environment=venv)(site_workload.uses_a_library)()
    assert len(site.jobs()) == before
    site.run(f"touch '{venv}/lib/python3.12/site-packages/click.py'", check=True)
    assert cluster(environment=venv)(site_workload.uses_a_library)() == "clickyaml"


def test_an_environment_of_conda_is_used_by_name_and_its_packages_scripts_run(site):
    python = site.pythons["3.12"]
    site.run(
        "mkdir -p ~/miniforge3/envs/x/{bin,conda-meta,etc/conda/activate.d}; cd ~/miniforge3/envs/x; "
        f"ln -s $(readlink -f {python}) bin/python; echo 'export DATA=$CONDA_PREFIX/share' > etc/conda/activate.d/gdal.sh; "
        f"echo {shlex.quote(json.dumps({'env_vars': {'KEPT': 'by conda'}}))} > conda-meta/state",
        check=True,
    )
    clustrix.configure(conda_env_name="x")
    value = cluster(site_workload.variables)("CONDA_DEFAULT_ENV", "DATA", "KEPT")
    assert value == {"CONDA_DEFAULT_ENV": "x", "DATA": f"{site.home}/miniforge3/envs/x/share", "KEPT": "by conda"}


def test_an_environment_that_is_not_there_or_of_another_python_is_refused(site, venv):
    refused(site, "no conda environment on the cluster is called nosuch", environment="nosuch")
    refused(site, "~/nosuch is not on the cluster", environment="~/nosuch")
    refused(site, r"can't run a job with python='3\.6'", environment=venv, **OLD)


@pytest.mark.parametrize("setting", [{"requirements": ["click"]}, {"python_executable": "/usr/bin/python3"}])
def test_an_existing_environment_and_a_setting_that_would_change_it_exclude_each_other(setting):
    with pytest.raises(clustrix.ConfigurationError, match="existing environment 'x'"):
        cluster(environment="x", **setting)(site_workload.version)()


def test_a_python_that_is_not_there_is_an_error_that_tells_what_would_bring_it(site):
    refused(site, r"no Python 3\.9 .*3\.6\.\d+ .*3\.12\.\d+ .*With provision_python=True", python="3.9")
    refused(site, r"no Python 3\.9 .*needs a uv on the login node", python="3.9", provision_python=True)


@pytest.mark.parametrize("name", ["CLUSTRIX_PYTHON_EXECUTABLE", "CLUSTRIX_REMOTE_PYTHON_PATH"])
def test_the_interpreter_can_be_named_by_a_variable_of_the_client(site, monkeypatch, name):
    monkeypatch.setenv(name, site.pythons["3.6"])
    assert cluster(site_workload.version)() == (3, 6)


def test_every_python_of_the_cluster_is_told_with_where_it_was_found(site):
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        found = executor._session.request("interpreters")["interpreters"]
    versions = {".".join(map(str, item["version"][:2])) for item in found}
    assert {"3.6", "3.12"} <= versions
    assert all(item["source"] and item["libc"] and item["has_venv"] in (True, False) for item in found)
