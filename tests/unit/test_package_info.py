"""The package of one function: its name, its description, and where it is kept."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import clustrix
from clustrix.errors import PackagingError
from clustrix.file_packaging import (
    ExecutionContext,
    FilePackager,
    PackageInfo,
    create_execution_context,
    package_function_for_execution,
)

ROOT = Path(clustrix.__file__).parents[1]


@dataclasses.dataclass
class Config:
    local_work_dir: str | None = None
    local_cache_dir: str = ""
    environment_variables: dict[str, str] = dataclasses.field(default_factory=dict)
    password: str | None = None
    cluster_host: str | None = None


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(str(tmp_path), str(tmp_path / "cache"))


def test_the_data_classes_have_the_fields_of_the_contract_in_order() -> None:
    assert [item.name for item in dataclasses.fields(PackageInfo)][:8] == [
        "package_id", "package_path", "function_name", "dependencies", "size_bytes", "created_at", "config_hash", "metadata",
    ]  # fmt: skip
    assert [item.name for item in dataclasses.fields(ExecutionContext)] == [
        "working_directory", "python_version", "environment_variables", "cluster_config", "function_args", "function_kwargs",
    ]  # fmt: skip


def test_the_data_classes_are_positional(config: Config) -> None:
    graph = package_function_for_execution(module_function, config).dependencies
    info = PackageInfo("0123", "/p.zip", "f", graph, 12, "2026-01-01T00:00:00Z", "ab", {"k": 1})
    assert (info.package_id, info.package_path, info.function_name, info.dependencies) == ("0123", "/p.zip", "f", graph)
    assert (info.size_bytes, info.created_at, info.config_hash) == (12, "2026-01-01T00:00:00Z", "ab")
    assert info.metadata == {"k": 1}
    context = ExecutionContext("/w", "3.12.1", {"A": "b"}, config, (1,), {"y": 2})
    assert (context.working_directory, context.python_version, context.environment_variables) == (
        "/w",
        "3.12.1",
        {"A": "b"},
    )
    assert (context.cluster_config, context.function_args, context.function_kwargs) == (config, (1,), {"y": 2})


def test_a_context_holds_where_and_with_what_the_call_was_made(config: Config, tmp_path: Path) -> None:
    context = create_execution_context(dataclasses.replace(config, environment_variables={"A": "b"}), (1,), {"y": 2})
    assert context.working_directory == str(tmp_path)
    assert context.python_version == ".".join(map(str, sys.version_info[:3]))
    assert (context.environment_variables, context.function_args, context.function_kwargs) == (
        {"A": "b"},
        (1,),
        {"y": 2},
    )


def test_every_record_of_metadata_has_the_keys_of_the_contract(config: Config, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1\n")

    def reads() -> object:
        import json as j

        from clustrix.filesystem import cluster_ls

        return j.dumps([module_function(1), Path("table.csv").read_text(), cluster_ls(".")])

    info = package_function_for_execution(reads, config)
    with zipfile.ZipFile(info.package_path) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    found = metadata["dependencies"]
    assert {tuple(sorted(item)) for item in found["imports"]} == {
        ("alias", "is_from_import", "lineno", "module", "names")
    }
    assert [item["lineno"] for item in found["imports"] if item["alias"] == "j"] == [2]
    assert [set(item) for item in found["file_references"]] == [{"path", "operation", "lineno", "is_relative"}]
    assert [set(item) for item in found["filesystem_calls"]] == [{"function", "args", "lineno", "context"}]
    for item in found["local_functions"]:
        assert set(item) == {"function_name", "lineno", "defined_in_scope", "source_file"}
        assert not Path(item["source_file"]).is_absolute()
    assert found["requires_cluster_filesystem"] is True
    assert {"entry", "definition_order"} <= set(metadata["execution_info"])


def test_the_package_is_named_by_its_id_and_described_by_its_metadata(config: Config) -> None:
    info = package_function_for_execution(module_function, config, (1,), {"y": 2})
    path = Path(info.package_path)
    assert path.name == f"clustrix_package_{info.package_id}.zip"
    assert path.parent == Path(config.local_cache_dir) / "packages"
    assert len(info.package_id) == 16
    assert info.size_bytes == path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    assert metadata["package_id"] == info.package_id
    assert metadata["function_info"]["name"] == "module_function"
    assert set(metadata["function_info"]) == {"name", "qualname", "module", "source"}
    assert set(metadata["dependencies"]) == {
        "requires_dependencies", "requires_cluster_filesystem", "imports", "local_functions", "file_references",
        "filesystem_calls", "external_dependencies",
    }  # fmt: skip
    for key in (
        "has_dependencies",
        "has_filesystem_ops",
        "external_dependencies",
        "python_version",
        "working_directory",
        "created_at",
    ):
        assert key in info.metadata
    assert info.metadata["has_dependencies"] == metadata["dependencies"]["requires_dependencies"]


def module_function(x: int, y: int = 2) -> int:
    return x + y


def test_arguments_are_no_part_of_the_package(config: Config) -> None:
    first = package_function_for_execution(module_function, config, (1,))
    second = FilePackager().package_function(module_function, create_execution_context(config, (2,), {"y": 3}))
    assert first.package_id == second.package_id


def test_the_configurations_hash_leaves_the_password_out(config: Config) -> None:
    plain = package_function_for_execution(module_function, config).config_hash
    secret = package_function_for_execution(module_function, dataclasses.replace(config, password="x")).config_hash
    other = package_function_for_execution(module_function, dataclasses.replace(config, cluster_host="h")).config_hash
    assert plain == secret
    assert plain != other


def test_the_package_directory_of_the_environment_is_read_at_each_call(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("CLUSTRIX_PACKAGE_DIR", str(tmp_path / name))
        assert Path(package_function_for_execution(module_function, config).package_path).parent == tmp_path / name


def test_a_package_that_is_there_is_never_written_again(config: Config) -> None:
    path = Path(package_function_for_execution(module_function, config).package_path)
    path.write_bytes(b"kept")
    package_function_for_execution(module_function, config)
    assert path.read_bytes() == b"kept"


def test_packages_are_pruned_by_age_when_another_is_written(config: Config) -> None:
    directory = Path(config.local_cache_dir) / "packages"
    directory.mkdir(parents=True)
    for name, days in (("old", 31), ("used", 2)):
        path = directory / f"clustrix_package_{name}.zip"
        path.write_bytes(b"")
        os.utime(path, (time.time() - days * 86400,) * 2)
    package_function_for_execution(module_function, config)
    left = {path.name for path in directory.iterdir()}
    assert "clustrix_package_old.zip" not in left
    assert "clustrix_package_used.zip" in left


def test_decisions_are_logged_on_request(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fresh() -> int:
        return 1

    monkeypatch.setenv("CLUSTRIX_DEBUG_PACKAGING", "1")
    with caplog.at_level("INFO", logger="clustrix"):
        package_function_for_execution(fresh, config)
    assert any("ships main.py" in record.message for record in caplog.records)


@pytest.mark.parametrize("builtin", [len, print, [].append, str.join, functools.reduce, hashlib.sha256, int.__add__])
def test_builtins_are_a_value_error(builtin: Any, config: Config) -> None:
    with pytest.raises(ValueError, match="built-in or C function"):
        package_function_for_execution(builtin, config)


def test_a_function_of_the_standard_library_needs_no_files(config: Config) -> None:
    info = package_function_for_execution(textwrap.dedent, config)
    with zipfile.ZipFile(info.package_path) as archive:
        assert archive.namelist() == ["metadata.json"]
    assert info.metadata["entry"] == {"kind": "module", "module": "textwrap", "name": "dedent"}


def test_an_error_is_both_ours_and_a_value_error(config: Config) -> None:
    with pytest.raises(PackagingError):
        package_function_for_execution(functools.partial(int, base=2), config)


WARM = """
import sys
from clustrix.file_packaging import package_function_for_execution
class Config:
    local_work_dir = None
    local_cache_dir = sys.argv[1]
    environment_variables = {}
LIMIT = 1
TABLE = [1]
BINDING = {"x": object}
def helper(): return 1
def f(): return helper() + LIMIT + len(TABLE) + len(BINDING)
def packed(): return package_function_for_execution(f, Config())
ids = [packed().package_id, packed().package_id]
LIMIT = 2; ids.append(packed().package_id)
TABLE.append(2); ids.append(packed().package_id)
def helper(): return 2
ids.append(packed().package_id)
BINDING["y"] = Config
ids.append(packed().package_id)
with open("in.txt", "w") as stream: stream.write("1")
def helper(): return open("in.txt").read()
ids.append(packed().package_id)
with open("in.txt", "w") as stream: stream.write("12")
ids.append(packed().package_id)
for number, one in enumerate(ids): print(ids.index(one))
"""


def test_a_warm_package_notices_each_change_of_what_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "warm.py").write_text(WARM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "warm.py", str(tmp_path / "cache")]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert done.stdout.split() == ["0", "0", "2", "3", "4", "5", "6", "7"], done.stderr
