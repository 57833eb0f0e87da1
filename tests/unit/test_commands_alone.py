"""The command `clustrix` where it needs no cluster: what it says of mistakes in somebody's script, and where none is configured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clustrix import ClustrixError
from clustrix.commands.init import _proposed_name

PROGRAM = Path(sys.executable).with_name("clustrix")


def command(home, *words):
    unset = ("XDG_", "CLUSTRIX_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    return subprocess.Popen(
        [PROGRAM, *words],
        cwd=home,
        env={**variables, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def f(:\n", 'script.py", line 1'),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("\n1 / 0\n", 'script.py", line 2, in <module>'),
    ],
)
def test_what_a_script_raises_when_it_is_read_is_told_from_its_own_lines_on(tmp_path, text, told):
    (tmp_path / "script.py").write_text(text)
    process = command(tmp_path, "run", "script.py:f")
    _, words = process.communicate()
    assert process.returncode == 1
    assert told in words
    assert "importlib" not in words
    assert "click" not in words


def test_a_wrong_keyword_in_a_script_is_told_with_its_line(tmp_path):
    (tmp_path / "script.py").write_text("from clustrix import cluster\n\n@cluster(memry='1GB')\ndef f(): pass\n")
    _, words = command(tmp_path, "run", "script.py:f").communicate()
    assert "script.py, line 3: @cluster has no keyword 'memry'; did you mean 'memory'?\n" in words
    assert f"See {ClustrixError.help_url}#configurationerror\n" in words


def test_where_no_cluster_is_configured_it_says_whose_files_and_whose_work(tmp_path):
    (tmp_path / "script.py").write_text("def f(): return 3\n")
    listed, words = command(tmp_path, "ls").communicate()
    assert listed == "script.py\n"
    assert "these are files of this computer, for no cluster is configured: `clustrix init`" in words
    value, words = command(tmp_path, "run", "script.py:f").communicate()
    assert value == "3\n"
    assert "the function runs on this computer, for no cluster is configured" in words


def test_a_profile_may_be_named_before_the_command_and_after_it(tmp_path):
    (tmp_path / ".clustrix").mkdir(mode=0o700)
    (tmp_path / ".clustrix" / "config.yaml").write_text("profiles:\n  one: {account: a}\n  two: {account: b}\n")
    for words in (["--profile", "two", "config", "show"], ["config", "show", "--profile", "two"]):
        printed, _ = command(tmp_path, *words, "--json").communicate()
        assert json.loads(printed)["account"] == "b"


def test_who_reads_no_further_ends_it_without_a_word(tmp_path):
    process = command(tmp_path, "config", "show")
    process.stdout.close()
    with process.stderr as stream:
        assert stream.read() == ""
    process.wait()


@pytest.mark.parametrize(
    ("host", "file", "name"),
    [
        ("login.hpc.example", None, "login"),
        ("127.0.0.1", "clusters/mine/profile.yaml", "mine"),
        ("login.hpc.example", "clusters/mine/profile.yaml", "login"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "/profile.yaml", "10.0.0.1"),
    ],
)
def test_a_profile_is_called_by_what_people_call_the_cluster(host, file, name):
    assert _proposed_name(host, file) == name
