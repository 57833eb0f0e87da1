"""``include``: modules and files that analysis can't see come along because the user says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from clustrix import cluster
from clustrix.errors import ConfigurationError, PackagingError
from clustrix.file_packaging import package_function_for_execution

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Config:
    environment_variables: dict[str, str] = {}  # noqa: RUF012 - the shape of a configuration

    def __init__(self, directory: Path) -> None:
        self.local_work_dir = str(directory)
        self.local_cache_dir = str(directory / "cache")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    for name, text in {
        "plugins/__init__.py": "",
        "plugins/one.py": "import beside\n",
        "plugins/deep/__init__.py": "",
        "plugins/deep/two.py": "",
        "beside.py": "",
        "space/part.py": "",
        "data/a.csv": "1",
        "data/b/c.csv": "2",
        "alone.txt": "3",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "out.txt").symlink_to(sys.executable)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Config(tmp_path)


def shipped(config: Config, *include: str) -> list[str]:
    def f() -> int:
        return 1

    info = package_function_for_execution(f, config, include=include)
    packed = info.metadata
    assert packed["has_dependencies"] == bool(include)
    return sorted(info.dependencies.local_modules) + sorted(info.dependencies.data_files)


def test_nothing_comes_along_unasked(config: Config) -> None:
    assert shipped(config) == []


def test_a_package_comes_with_all_its_modules_and_what_they_import(config: Config) -> None:
    assert shipped(config, "plugins") == ["beside", "plugins", "plugins.deep", "plugins.deep.two", "plugins.one"]


def test_a_namespace_comes_with_its_modules(config: Config) -> None:
    assert shipped(config, "space") == ["space.part"]


def test_one_module_comes_with_the_packages_above_it(config: Config) -> None:
    assert shipped(config, "plugins.deep.two") == ["plugins", "plugins.deep", "plugins.deep.two"]


def test_files_and_directories_come_as_data(config: Config) -> None:
    assert shipped(config, "alone.txt", "data") == ["alone.txt", "data/a.csv", "data/b/c.csv"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("../x", "only files below"),
        ("data/../../x", "only files below"),
        ("/etc/passwd", "only files below"),
        ("~/x", "only files below"),
        ("C:\\x", "only files below"),
        ("not/there.txt", "neither a module nor a file"),
        ("not_there", "neither a module nor a file"),
        ("out.txt", "is a link to"),
    ],
)
def test_what_is_not_below_the_working_directory_is_refused(config: Config, entry: str, says: str) -> None:
    with pytest.raises(PackagingError, match=says):
        shipped(config, entry)


@pytest.mark.parametrize("value", ["plugins", [1], {"a": 1}])
def test_a_wrong_value_is_refused_when_decorating(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="include="):
        cluster(include=value)
