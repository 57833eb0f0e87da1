"""What is no plain function or class at module level goes into a job, of Python 3.6 too, and comes back."""

from __future__ import annotations

import datetime as dt
import functools
import json
import subprocess
import sys
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pointed_at import pointed_at
from workload_callables import Scale, adding, counting, later, subtract

import clustrix
import simcluster
from clustrix import cluster
from clustrix.errors import PackagingError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def site() -> Iterator[Any]:
    with simcluster.start("slurm", nodes=1, pythons=["3.6", "3.12"]) as started:
        yield started


@pytest.fixture(autouse=True)
def configured(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pointed_at(site, tmp_path, monkeypatch, memory="300MB"):
        yield


CALLABLES: dict[str, Callable[[int], Any]] = {
    "lambda": lambda x: x * 3,
    "partial": functools.partial(subtract, 10),
    "partial of a lambda": functools.partial(lambda a, b: a - b, 10),
    "bound method": Scale(3).times,
    "class method": Scale.name,
    "object": Scale(3),
    "factory": adding(5),
    "nonlocal": counting(),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_it_gives_what_it_gives_here(name: str) -> None:
    expected = CALLABLES[name](2) if name != "nonlocal" else 12
    assert cluster(python="3.6")(CALLABLES[name])(2) == expected


@pytest.mark.parametrize("python", ["3.6", "3.12"])
def test_what_a_script_makes_within_functions_goes_there_and_back(python: str) -> None:
    """Classes, their objects, functions and lambdas: captured, as arguments and as results, compared with the plain call."""
    settings = json.dumps(clustrix.get_config().public_dict())
    script = Path(__file__).with_name("workload_made.py")
    done = subprocess.run([sys.executable, script, settings, python], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_a_value_too_new_for_the_jobs_python_is_refused_with_its_path_before_the_first_job_is_queued(site: Any) -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("UTC"))
    other = {"memory": "90MB"}  # a wish of its own: nothing is known of its Python
    queued = len(site.history().jobs)
    with pytest.raises(
        SerializationError, match=r"args\[0\]\[1\].tzinfo: zoneinfo.ZoneInfo needs Python 3.9.*under Python 3.6"
    ):
        cluster(python="3.6", **other)(lambda value: [value])([1, noon])
    half = functools.partial(max, noon)
    with pytest.raises(SerializationError, match=r"tzinfo: zoneinfo.ZoneInfo needs Python 3.9.*under Python 3.6"):
        cluster(python="3.6", **other)(lambda: half)()
    assert len(site.history().jobs) == queued
    assert cluster(python="3.12", **other)(lambda: noon)() == noon


def test_a_coroutine_function_gives_what_awaiting_it_gives() -> None:
    assert cluster(python="3.6")(later)(2) == 3


def test_a_generator_function_is_refused_with_a_way_out() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(PackagingError, match=r"numbers is a generator function.*list\("):
        cluster(numbers)()
