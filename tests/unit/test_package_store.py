"""Packages on the client's disk: one for each content, never written twice, kept until they are old or too many."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import clustrix
from clustrix import package_store
from clustrix.config import ClusterConfig
from clustrix.file_packaging import FilePackager, create_execution_context, package_function_for_execution

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(clustrix.__file__).parents[1]

PACK = """
import sys
from clustrix.config import ClusterConfig
from clustrix.file_packaging import package_function_for_execution
import own_part
NAMES = {"b", "a", "c"}
def f(x):
    with open("table.csv") as stream:
        return own_part.twice(x), sorted(NAMES), stream.read()
for function in (f, own_part.twice):
    info = package_function_for_execution(function, ClusterConfig(local_cache_dir=sys.argv[1]))
    print(info.package_path)
"""


def function_of(number: int) -> Callable[[], int]:
    """A function of its own for each number: as a captured literal it is part of the package."""

    def numbered() -> int:
        return number

    return numbered


@pytest.fixture
def config(tmp_path: Path) -> ClusterConfig:
    return ClusterConfig(local_cache_dir=str(tmp_path / "cache"))


def packed(number: int, config: ClusterConfig) -> Path:
    return Path(package_function_for_execution(function_of(number), config).package_path)


def test_directory_time_hash_seed_and_user_are_no_part_of_a_package(tmp_path: Path) -> None:
    made = []
    for name, more in (
        ("one", {"PYTHONHASHSEED": "1", "TZ": "UTC", "USER": "ada", "LC_ALL": "C.UTF-8"}),
        ("two", {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "USER": "bob", "LC_ALL": "C"}),
    ):
        place = tmp_path / name
        place.mkdir()
        for file, text in (
            ("script.py", PACK),
            ("own_part.py", "def twice(x): return 2 * x\n"),
            ("table.csv", "1,2\n"),
        ):
            (place / file).write_text(text)
            os.utime(place / file, (time.time() - 86400 * len(made),) * 2)
        (place / "table.csv").chmod(0o600 if made else 0o644)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
        command = [sys.executable, "script.py", str(place / "cache")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        made.append([Path(line) for line in done.stdout.splitlines()])
    for first, second in zip(*made, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()


def test_another_process_finds_a_package_and_does_not_write_it_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PACK)
    (tmp_path / "own_part.py").write_text("def twice(x): return 2 * x\n")
    (tmp_path / "table.csv").write_text("1,2\n")
    command = [sys.executable, "script.py", str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    seen = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
        path = Path(done.stdout.splitlines()[0])
        status = path.stat()
        seen.append((path, status.st_ino, status.st_mtime_ns))
    assert seen[0] == seen[1]


def test_a_package_outlives_its_packager_and_its_function(config: ClusterConfig) -> None:
    packager = FilePackager()
    info = packager.package_function(function_of(1), create_execution_context(config))
    del packager
    gc.collect()
    assert Path(info.package_path).stat().st_size == info.size_bytes


def test_one_that_was_removed_is_written_again_with_equal_bytes(config: ClusterConfig) -> None:
    path = packed(1, config)
    content = path.read_bytes()
    path.unlink()
    assert packed(1, config) == path
    assert path.read_bytes() == content


def test_nothing_but_packages_is_left_in_their_directory(config: ClusterConfig) -> None:
    path = packed(1, config)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_without_a_directory_of_their_own_packages_are_below_local_cache_dir(
    config: ClusterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTRIX_PACKAGE_DIR", "")
    assert packed(1, config).is_relative_to(tmp_path / "cache")


def test_the_least_recently_used_go_when_all_are_too_large(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, used = packed(1, config), packed(2, config)
    for path, hours in ((old, 3), (used, 2)):
        os.utime(path, (time.time() - hours * 3600,) * 2)
    monkeypatch.setattr(package_store, "LARGEST", used.stat().st_size * 2)
    new = packed(3, config)
    assert {path.name for path in new.parent.iterdir()} == {used.name, new.name}


def test_the_package_that_was_just_made_is_never_pruned(config: ClusterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_store, "LARGEST", 0)
    assert packed(1, config).exists()


def test_using_a_package_makes_it_young_again(config: ClusterConfig) -> None:
    path = packed(1, config)
    os.utime(path, (time.time() - 29 * 86400,) * 2)
    packed(1, config)
    assert time.time() - path.stat().st_mtime < 86400


def test_pruning_touches_nothing_that_is_no_package(config: ClusterConfig) -> None:
    path = packed(1, config)
    other = path.parent / "notes.txt"
    other.write_text("mine")
    os.utime(other, (0, 0))
    assert package_store.prune(path.parent) == []
    assert other.exists()


def test_with_debugging_on_nothing_is_pruned(config: ClusterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    old = packed(1, config)
    os.utime(old, (time.time() - 31 * 86400,) * 2)
    monkeypatch.setenv("CLUSTRIX_DEBUG_PACKAGING", "1")
    packed(2, config)
    assert old.exists()


def test_debugging_is_looked_up_at_each_call(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    function = function_of(4)
    with caplog.at_level("INFO", logger="clustrix"):
        package_function_for_execution(function, config)
        assert not caplog.records
        monkeypatch.setenv("CLUSTRIX_DEBUG_PACKAGING", "1")
        package_function_for_execution(function, config)
    assert any("ships main.py" in record.message for record in caplog.records)


def test_a_module_that_is_nowhere_is_packed_and_required_by_its_name(config: ClusterConfig) -> None:
    def uses() -> object:
        import only_on_the_cluster_7

        return only_on_the_cluster_7

    info = package_function_for_execution(uses, config)
    assert info.requirements == ["only-on-the-cluster-7"]
    assert info.metadata["external_dependencies"] == ["only_on_the_cluster_7"]
