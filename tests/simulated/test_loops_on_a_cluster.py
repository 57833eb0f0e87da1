"""Proven loops in jobs: over the job's cores, with the values, exceptions and lines of the plain loop."""

import traceback
from pathlib import Path

import loop_workload
import pytest
from pointed_at import pointed_at

import simcluster
from clustrix import cluster

SOURCE = Path(loop_workload.__file__).read_text()


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.13"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site, tmp_path, monkeypatch):
    with pointed_at(site, tmp_path, monkeypatch, memory="400MB"):
        yield


def in_a_job(function, python="3.6", **options):
    return cluster(**{"cores": 2, "local_parallel_threshold": 0, "python": python, "parallel": True, **options})(
        function
    )


@pytest.mark.parametrize("python", ["3.6", "3.13"])
def test_a_jobs_loop_runs_over_its_cores_and_gives_what_the_plain_one_gives(python):
    made, version, has_children = in_a_job(loop_workload.wave, python)(500, -1)
    assert version == tuple(map(int, python.split(".")))
    assert made == loop_workload.wave(500, -1)[0]
    assert has_children


def test_an_exception_has_the_users_lines():
    with pytest.raises(ZeroDivisionError) as raised:
        in_a_job(loop_workload.wave)(500, 250)
    shown = "".join(traceback.format_exception(raised.value))
    line = next(number for number, line in enumerate(SOURCE.splitlines(), 1) if "total += 1" in line)
    assert f'loop_workload.py", line {line}, in wave\n    total += 1 / (x if i != bad else 0)\n' in shown


def test_a_function_of_a_script_has_its_loops_in_parallel_too(tmp_path):
    namespace = {"__name__": "__main__"}
    path = tmp_path / "script.py"
    path.write_text(SOURCE)
    exec(compile(SOURCE, str(path), "exec"), namespace)
    made, _, has_children = in_a_job(namespace["wave"])(300, -1)
    assert made == loop_workload.wave(300, -1)[0]
    assert has_children


@pytest.mark.parametrize("options", [{"parallel": False}, {"cores": 1}, {"parallel": None, "auto_parallel": False}])
def test_where_it_is_not_wanted_or_there_is_one_core_the_loop_is_plain(options):
    made, _, has_children = in_a_job(loop_workload.wave, **options)(300, -1)
    assert made == loop_workload.wave(300, -1)[0]
    assert not has_children


def test_what_is_not_proven_runs_plainly_and_is_told(caplog):
    function = in_a_job(loop_workload.steps)
    assert function(100) == loop_workload.steps(100)
    assert function(100) == loop_workload.steps(100)
    (said,) = [record.getMessage() for record in caplog.records if "parallel loops" in record.getMessage()]
    line = next(number for number, line in enumerate(SOURCE.splitlines(), 1) if "math.sin(value)" in line)
    assert f"loop_workload.py) runs without parallel loops: line {line}: 'value' is read" in said
    assert f"line {line}: runs as it is: 'value' is read" in str(function.explain(100))
