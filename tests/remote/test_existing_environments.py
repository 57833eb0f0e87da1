import json
import os
import subprocess
import sys

import pytest
from clustrix_remote import existing_environments, interpreters
from clustrix_remote.existing_environments import EnvironmentUnusableError, find_environment, missing_imports
from clustrix_remote.notes import Notes

OWN = os.path.realpath(sys.executable)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("CONDA", "MAMBA"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    interpreters.keep_notes(Notes())
    yield tmp_path
    interpreters.keep_notes(Notes())


@pytest.fixture
def venv(home):
    """A virtual environment with a package, a namespace that two distributions share, and one that breaks when imported."""
    subprocess.run([OWN, "-m", "venv", "--without-pip", str(home / "my venv")], check=True)
    site = home / "my venv" / "lib" / ("python%d.%d" % sys.version_info[:2]) / "site-packages"
    for name in ("whole/__init__.py", "shared/one/__init__.py", "broken/__init__.py"):
        (site / name).parent.mkdir(parents=True)
        (site / name).write_text("raise RuntimeError" if name.startswith("broken") else "")
    return str(home / "my venv")


def conda_environment(prefix):
    """What makes a directory an environment of conda's: conda-meta, and a Python."""
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(OWN)
    return str(prefix)


def test_a_virtual_environment_is_named_by_its_path_and_run_by_its_own_python(venv):
    found = find_environment("~/my venv")
    assert (found.prefix, found.python) == (venv, os.path.join(venv, "bin", "python"))
    assert found.in_words == "the virtual environment %s (Python %d.%d.%d)" % (venv, *sys.version_info[:3])
    assert "VIRTUAL_ENV" in found.activation()


def test_what_a_function_imports_and_the_environment_lacks_is_named_and_nothing_is_imported_for_it(venv):
    imports = [
        "json",
        "whole",
        "whole.made_at_import",
        "shared.one",
        "shared.two",
        "broken",
        "nowhere",
        "nowhere.at.all",
    ]
    assert missing_imports(find_environment(venv), imports, [], {}) == ["shared.two", "nowhere", "nowhere.at.all"]


def test_what_the_jobs_variables_and_modules_bring_is_not_missing(venv, home):
    for name in ("more", "most"):
        (home / name).mkdir()
        (home / name / (name + ".py")).write_text("")
    (home / ".bash_profile").write_text("module() { export PYTHONPATH=$PYTHONPATH:%s; }\n" % (home / "most"))
    asked = missing_imports(find_environment(venv), ["more", "most"], ["most"], {"PYTHONPATH": str(home / "more")})
    assert asked == []


def test_asking_changes_nothing_in_the_environment(venv):
    def tree():
        return sorted((path, sorted(files)) for path, _, files in os.walk(venv))

    before = tree()
    missing_imports(find_environment(venv), ["whole", "shared.one"], [], {})
    assert tree() == before


def test_an_environment_of_conda_is_found_by_name_and_by_path(home):
    prefix = conda_environment(home / "miniforge3" / "envs" / "x")
    for named in ("x", prefix, "~/miniforge3/envs/x"):
        found = find_environment(named)
        assert (found.prefix, found.conda_name) == (prefix, "x")


def test_the_variables_that_conda_keeps_for_an_environment_are_in_its_activation(home):
    prefix = conda_environment(home / "miniforge3" / "envs" / "x")
    state = {"env_vars": {"A": "it's 1", "B": "***unset***"}}
    with open(os.path.join(prefix, "conda-meta", "state"), "w") as stream:
        stream.write(json.dumps(state))
    assert "export A='it'\"'\"'s 1'\n" in find_environment("x").activation()
    assert "unset" not in find_environment("x").activation()


def test_a_name_that_no_environment_has_is_an_error_that_lists_those_that_are_there(home):
    prefix = conda_environment(home / "miniforge3" / "envs" / "x")
    with pytest.raises(EnvironmentUnusableError, match=r"called y; found: .*x \(%s\)" % prefix):
        find_environment("y")


def test_a_name_that_two_environments_have_is_an_error_that_names_both(home):
    for root in ("miniforge3", "mambaforge"):
        conda_environment(home / root / "envs" / "x")
    with pytest.raises(EnvironmentUnusableError, match=r"several .*mambaforge/envs/x, .*miniforge3/envs/x"):
        find_environment("x")


def test_a_path_where_no_environment_is_and_one_whose_python_is_broken_are_errors(home):
    with pytest.raises(EnvironmentUnusableError, match="~/nosuch is not on the cluster"):
        find_environment("~/nosuch")
    (home / "broken" / "bin").mkdir(parents=True)
    (home / "broken" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (home / "broken" / "bin" / "python").chmod(0o755)
    with pytest.raises(EnvironmentUnusableError, match=r"broken/bin/python. does not run"):
        existing_environments.find_environment("~/broken")
