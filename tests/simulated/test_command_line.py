"""The command `clustrix`, used as a person or a script uses it, on an emulated cluster."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from pointed_at import reached

import simcluster
from clustrix import ClusterConfig, ClustrixError
from clustrix.cli import cli

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("clustrix")


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as started:
        yield started


@pytest.fixture(scope="module")
def home(site, tmp_path_factory):
    """A user's home with a profile that `clustrix init` made."""
    home = tmp_path_factory.mktemp("home")
    profile = home / "profile.yaml"
    ClusterConfig(**reached(site)).save_to_file(profile)
    done = command(home, "init", "--from", profile, "--name", "sim", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ job: ran on node1 under Python 3." in done.stdout
    return home


def command(home, *words, **settings):
    """The ended process of a command line, in the directory of this file."""
    unset = ("XDG_", "CLUSTRIX_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    return subprocess.run(
        [PROGRAM, *map(str, words)],
        env={**variables, "HOME": str(home), **settings},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def said(home, *words, **settings):
    """What a command line that must succeed prints."""
    done = command(home, *words, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_init_proposes_what_a_node_has(home):
    values = json.loads(said(home, "config", "show", "--json"))
    assert (values["cluster_type"], values["default_memory"]) == ("slurm", "4096MB")
    assert "password" not in values


def test_run_prints_the_value(home):
    assert said(home, "run", "counted_workload:counted", "~/runs", "value=[1, 2]") == "[1, 2]\n"


def test_run_as_json_says_where_it_ran(home):
    told = json.loads(
        said(home, "run", "--json", "--python", "3.6", "-o", "nodes=1", "counted_workload.py:counted", "~/runs", "word")
    )
    assert (told["value"], told["node"], told["python"][:4]) == ("word", "node1", "3.6.")


def test_a_function_that_fails_is_exit_1_with_its_own_traceback(home):
    done = command(home, "run", "counted_workload:fails", "~/runs")
    assert done.returncode == 1
    assert 'raise ValueError("mine")' in done.stderr
    assert done.stderr.rstrip().endswith("ValueError: mine")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "counted_workload"], "module:function or script.py:function"),
        (["run", "no_such_module:f"], "there is no module no_such_module in"),
        (["run", "counted_workload:nothing"], "has no nothing"),
        (["run", "counted_workload.py:time"], "is no function, but <module 'time'"),
        (["run", "-o", "cors=3", "counted_workload:fails"], "no keyword 'cors'; did you mean 'cores'?"),
        (["run", "-o", "cores", "counted_workload:fails"], "-o cores: expected is NAME=VALUE"),
        (["jobs", "--profile", "other"], "no profile 'other'; there is sim in"),
        (["stat"], "Missing argument 'PATH...'"),
    ],
)
def test_what_is_asked_wrongly_is_exit_2_and_says_how(home, words, told):
    done = command(home, *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_submitted_job_is_listed_read_followed_and_fetched(home, site):
    job_id = said(home, "run", "--submit", "counted_workload:gate", "~/go", "41").strip()
    listed = json.loads(said(home, "jobs", "--json"))
    assert [(record["job_id"], record["function"]) for record in listed] == [(job_id, "gate")]
    assert job_id in said(home, "jobs", "--offline")
    site.run("touch go", check=True)
    assert said(home, "logs", "-f", job_id) == ""
    assert said(home, "attach", "--keep", job_id) == "41\n"
    assert json.loads(said(home, "attach", "--json", job_id))["value"] == 41
    done = command(home, "attach", job_id)
    assert done.returncode == 1
    assert f"knows no job {job_id}" in done.stderr
    assert f"See {ClustrixError.help_url}\n" in done.stderr


def test_what_a_job_writes_is_printed_and_its_result_stays(home):
    job_id = said(home, "run", "--submit", "counted_workload:counted_sleep", "~/runs", "0.1", "7").strip()
    assert said(home, "logs", "-f", job_id) == "sleeping\n"
    assert said(home, "attach", job_id) == "7\n"


def test_a_cancelled_job_is_gone(home):
    job_id = said(home, "run", "--submit", "counted_workload:gate", "~/never", "1").strip()
    assert said(home, "cancel", job_id) == f"{job_id} is cancelled\n"
    assert job_id not in said(home, "jobs", "--offline")


def test_files_are_those_of_the_cluster(home, site):
    site.run(
        "mkdir -p data/deep; printf 12345 > data/a.csv; printf 1 > data/deep/b.csv; touch 'data/new\nline'", check=True
    )
    assert said(home, "ls", "data") == "a.csv\ndeep\nnew\nline\n"
    assert json.loads(said(home, "ls", "--json", "data")) == ["a.csv", "deep", "new\nline"]
    assert said(home, "find", "data", "--name", "*.csv") == "data/a.csv\ndata/deep/b.csv\n"
    assert json.loads(said(home, "stat", "--json", "data/a.csv"))[0]["size"] == 5
    assert "deep/" in said(home, "ls", "-l", "data")
    assert json.loads(said(home, "du", "--json", "data")) == {"path": "data", "total_bytes": 6, "file_count": 3}
    done = command(home, "ls", "nowhere")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_environments_are_built_listed_shown_and_removed(home):
    built = json.loads(said(home, "env", "build", "--json", "six", "--python", "3.6"))
    assert built["packages"].keys() == {"six"}
    assert built["key"] in said(home, "env", "list")
    assert "six==" in said(home, "env", "show", built["key"])
    assert said(home, "env", "rm", built["key"]) == f"{built['key']} is removed\n"
    assert command(home, "env", "show", built["key"]).returncode == 1


def test_a_package_is_shown_with_its_source(home):
    said(home, "run", "counted_workload:counted", "~/runs", "1")
    packages = list((home / ".cache/clustrix/packages").glob("*.zip"))
    shown = {path: said(home, "inspect", path) for path in packages}
    [package] = [path for path, text in shown.items() if "function     counted of counted_workload" in text]
    assert "modules/counted_workload.py" in shown[package]
    assert "    note(path)" in shown[package]
    assert json.loads(said(home, "inspect", "--json", package))["function_info"]["name"] == "counted"


def test_what_is_no_package_is_said_to_be_none(home, tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text", "")
    done = command(home, "inspect", path)
    assert done.returncode == 1
    assert "is no package of clustrix" in done.stderr


def test_clean_removes_what_can_be_made_again(home):
    said(home, "run", "counted_workload:counted", "~/runs", "1")
    assert json.loads(said(home, "clean", "--json"))["removed"] == []
    assert json.loads(said(home, "clean", "--all", "--json"))["removed"]
    assert not list((home / ".cache/clustrix/packages").glob("*.zip"))


def test_help_needs_neither_the_analysis_nor_a_connection():
    program = "import sys; from clustrix.cli import cli; print(*(name for name in sys.modules if name.split('.')[0] in sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "paramiko", "rich", "yaml", "ast"], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"ast"}


def test_every_command_has_its_help():
    for name, each in cli.commands.items():
        assert each.help, name
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_profiles_are_completed(home):
    done = command(home, _CLUSTRIX_COMPLETE="bash_complete", COMP_WORDS="clustrix jobs --profile s", COMP_CWORD="3")
    assert done.stdout == "plain,sim\n"
