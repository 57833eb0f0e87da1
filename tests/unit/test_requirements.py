"""Imports become requirements at the client's versions."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from clustrix.errors import PackagingError
from clustrix.requirements import explicit_requirements, requirements_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_module_is_bounded_by_the_version_installed_here() -> None:
    version = importlib.metadata.version("numpy")
    assert requirements_for(["numpy.linalg", "numpy"]) == (f"numpy<={version}",)


def test_a_modules_distribution_may_have_another_name() -> None:
    assert requirements_for(["yaml"]) == (f"pyyaml<={importlib.metadata.version('PyYAML')}",)


def test_the_standard_library_of_any_python_and_clustrix_need_nothing() -> None:
    names = [
        "os.path",
        "sys",
        "asyncore",
        "imp",
        "zoneinfo",
        "tomllib",
        "distutils.core",
        "clustrix",
        "simcluster.spec",
    ]
    assert requirements_for(names) == ()


def test_what_is_not_installed_here_is_required_by_its_name() -> None:
    assert requirements_for(["Not_There.inner"]) == ("not-there",)


def test_an_optional_import_is_required_only_where_it_is_installed_here() -> None:
    assert requirements_for([], optional=["not_there"]) == ()
    assert requirements_for([], optional=["numpy"]) == requirements_for(["numpy"])


def test_a_name_that_several_distributions_share_is_the_one_with_the_module(tmp_path: Path) -> None:
    for name, module in (("shared-a", "a"), ("shared-b", "b")):
        info = tmp_path / f"{name.replace('-', '_')}-1.5+cpu.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5+cpu\n")
        (info / "RECORD").write_text(f"shared/{module}/__init__.py,,\n{info.name}/METADATA,,\n")
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from clustrix.requirements import requirements_for as r\n"
        "print(r(['shared.a']), r(['shared.b.c']), r(['shared']))"
    )
    import clustrix

    root = clustrix.__path__[0] + "/.."
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), root], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "('shared-a<=1.5',) ('shared-b<=1.5',) ('shared-a<=1.5', 'shared-b<=1.5')"


def test_an_explicit_list_is_kept_and_sorted() -> None:
    assert explicit_requirements(["pandas<2", "numpy >= 1.19 ; python_version<'3.8'"]) == (
        'numpy>=1.19; python_version < "3.8"',
        "pandas<2",
    )


def test_a_requirements_file_may_have_comments(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# what we need\nnumpy==1.19.5  # the last for 3.6\n\nx @ https://host/x.whl#sha256=0\n")
    numpy, x = explicit_requirements(path)
    assert numpy == "numpy==1.19.5"
    assert Requirement(x).url == "https://host/x.whl#sha256=0"
    assert explicit_requirements(str(path)) == explicit_requirements(path)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\n-r more.txt\n")
    with pytest.raises(PackagingError, match=r"requirements\.txt, line 2: '-r more\.txt'"):
        explicit_requirements(path)
    with pytest.raises(PackagingError, match="line 1: 'not a name'"):
        explicit_requirements(["not a name"])


def test_a_missing_file_is_named() -> None:
    with pytest.raises(PackagingError, match=r"nowhere\.txt"):
        explicit_requirements("nowhere.txt")


@given(st.sets(st.sampled_from(["numpy", "yaml", "pytest", "os", "absent_one", "clustrix"])))
def test_requirements_are_valid_sorted_and_independent_of_order(names: set[str]) -> None:
    found = requirements_for(sorted(names))
    assert found == requirements_for(sorted(names, reverse=True)) == tuple(sorted(found))
    for text in found:
        Requirement(text)
