"""Newer syntax in jobs under Python 3.6: rewritten where its meaning is kept, refused before the queue where not."""

import subprocess
import sys
import traceback
from pathlib import Path

import downlevel_dataclass
import downlevel_workload
import pytest
import workload_matching
from pointed_at import pointed_at

import clustrix
import simcluster
from clustrix import cluster

# A script as a user has it: the function is the script's own, so it travels as a main file.
SCRIPT = '''\
import multiprocessing
import sys
import traceback

from clustrix import cluster


class Box:
    size: dict[str, int] | None = None

    def __init__(self, /, **cells):
        self.cells = cells


def square(x):
    return (y := x * x) + 0 * y


def report(numbers, /):
    """A docstring."""
    if (count := len(numbers)) > 1:
        box = Box(self=count)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        squares = pool.map(square, numbers)
    return f"{count=} {box.cells['self']!r} {squares=}", sys.version_info[:2]


def failing(numbers: list[int]):
    return [

        half for number in numbers if (half := 1 / number)  # one of them is 0
    ]


if __name__ == "__main__":
    print(cluster(python="3.6")(report)([3, 4]))
    try:
        cluster(python="3.6")(failing)([1, 0])
    except ZeroDivisionError as error:
        print(type(error).__name__, "".join(traceback.format_exception(error)))
'''


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    site.run("rm -rf ~/.clustrix", check=True)
    with pointed_at(site, tmp_path, monkeypatch, memory="300MB"):
        yield


def under_36(function, **options):
    return cluster(python="3.6", **options)(function)


def test_what_python_36_can_not_read_is_rewritten_once_and_reported_once(capfd, site):
    function = under_36(downlevel_workload.through_a_package)
    assert [function([1, 2]), function([3])] == [(["double=4"], 6), (["double=6"], 6)]
    said = [line for line in capfd.readouterr().err.splitlines() if "rewritten for Python 3.6." in line]
    assert len(said) == 1
    for words in ("from __future__ import annotations (", "positional-only parameter (", 'f"{x=}" ('):
        assert words in said[0]
    assert len(site.run("ls ~/.clustrix/overlays").stdout.split()) == 1


@pytest.mark.parametrize("setting", [True, False])
def test_what_it_can_read_and_not_evaluate_is_rewritten_in_one_stage_and_in_two(setting):
    assert under_36(downlevel_workload.annotated, use_two_venv=setting)([1]) == [1, 6]


def test_what_the_old_library_may_lack_is_a_warning_with_its_line(capfd):
    with pytest.raises(AttributeError):
        under_36(downlevel_workload.product)([2, 3])
    clustrix.executors.executor_for(clustrix.get_config()).shutdown()
    assert "may lack math.prod (modules/downlevel_workload.py, line 22; from 3.8 on)" in capfd.readouterr().err


@pytest.mark.parametrize("python", ["3.6", "3.12"])
def test_dataclasses_are_there_under_python_36_too(python):
    expected = "Box(sizes=[3], lid=None)"
    assert cluster(python=python)(downlevel_dataclass.boxed)(3) == (expected, int(python[2:]))


def test_a_traceback_shows_the_users_lines():
    with pytest.raises(ZeroDivisionError) as raised:
        under_36(downlevel_workload.failing_in_a_package)([1])
    shown = "".join(traceback.format_exception(raised.value))
    text = Path(downlevel_workload.steps.__file__).read_text().splitlines()
    number = next(number for number, line in enumerate(text, 1) if "nothing by nothing" in line)
    assert f'steps.py", line {number}, in quotient\n    {text[number - 1].strip()}\n' in shown


def test_what_has_no_equal_is_refused_with_line_feature_and_the_pythons_that_would_do(site):
    with pytest.raises(clustrix.UnsupportedSyntaxError) as refused:
        under_36(workload_matching.matching)([1])
    words = str(refused.value)
    assert "Python 3.6." in words
    assert "modules/workload_matching.py, line 5: match statement. It takes Python 3.10." in words
    assert " 3.12." in words.partition("there are ")[2]
    assert site.run("ls ~/.clustrix/jobs ~/.clustrix/overlays").stdout.count("cx") == 0
    assert cluster(python="3.12")(workload_matching.matching)([1]) == 1


def test_a_script_runs_and_its_spawned_processes_find_the_rewritten_main_file(site, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    profile = tmp_path / "clustrix.yml"
    clustrix.save_config(profile)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    assert first == """('count=2 2 squares=[9, 16]', (3, 6))"""
    assert "ZeroDivisionError" in rest
    assert "half for number in numbers if (half := 1 / number)  # one of them is 0" in rest
    assert "rewritten for Python 3.6." in done.stderr
    lines = [number for number, line in enumerate(SCRIPT.splitlines(), 1) if "(y :=" in line or "(count :=" in line]
    assert f"assignment expression ({script}, lines {lines[0]}, {lines[1]})" in done.stderr
