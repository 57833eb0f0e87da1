"""What is rewritten for an older Python gives there what the original gives here, with the same lines in tracebacks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from downlevel_cases import CASES

import clustrix.remote
from clustrix.downlevel import rewrite

OLD = [(3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 11)]
DRIVER = Path(__file__).with_name("downlevel_driver.py")
READABLE = {name: text for name, (since, text) in CASES.items() if since <= sys.version_info[:2]}


def python_of(version):
    name = "{}.{}".format(*version)
    if version == sys.version_info[:2]:
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT", Path("~/.pyenv").expanduser()))
    candidates = [*sorted(map(str, root.glob(f"versions/{name}.*/bin/python"))), shutil.which(f"python{name}")]
    for path in filter(None, candidates):
        asked = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        if asked.stdout.startswith(f"Python {name}."):
            return path
    if os.environ.get("CI"):
        pytest.fail(f"there is no Python {name} here")
    pytest.skip(f"there is no Python {name} here")


@pytest.fixture(scope="session")
def far_side(tmp_path_factory):
    """A directory in which ``clustrix_remote`` and the ``clustrix`` of jobs are, as on a cluster."""
    root = tmp_path_factory.mktemp("far-side")
    remote = Path(clustrix.remote.__file__).parent
    (root / "clustrix_remote").symlink_to(remote)
    return [str(root), str(remote / "front")]


def answers(python, far_side, directory, texts):
    directory.mkdir()
    paths = []
    for number, text in enumerate(texts):
        paths.append(directory / f"case_{number}.py")
        paths[-1].write_text(text, encoding="utf-8")
    command = [python, "-X", "utf8", "-W", "ignore", str(DRIVER), *(f"{path}:" for path in far_side), *map(str, paths)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(READABLE, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="session")
def expected(far_side, tmp_path_factory):
    directory = tmp_path_factory.mktemp("here") / "cases"
    return answers(sys.executable, far_side, directory, READABLE.values())


@pytest.fixture(scope="session", params=OLD, ids=lambda version: "{}.{}".format(*version))
def under_old(request, far_side, tmp_path_factory):
    """(version, answers of the rewritten cases there)"""
    python = python_of(request.param)
    directory = tmp_path_factory.mktemp("old") / "cases"
    texts = [rewrite(text, request.param).text for text in READABLE.values()]
    return request.param, answers(python, far_side, directory, texts)


@pytest.mark.parametrize("case", READABLE)
def test_the_old_python_answers_as_this_one(under_old, expected, case):
    assert under_old[1][case] == expected[case]


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("case", READABLE)
def test_every_statement_stays_on_its_line(case, version):
    assert rewrite(READABLE[case], version).text.count("\n") == READABLE[case].count("\n")


@pytest.mark.parametrize("case", CASES)
def test_what_a_python_can_read_is_left_as_it_is(case):
    since, text = CASES[case]
    if since > sys.version_info[:2]:
        pytest.skip("this Python can't read it")
    rewritten = rewrite(text, since)
    assert (rewritten.text, rewritten.features) == (text, ())
