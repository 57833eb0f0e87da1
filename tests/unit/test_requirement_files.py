"""Files in which people write down what they need: each kind is read, and a bad line is named."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from clustrix.errors import PackagingError
from clustrix.requirement_files import _logical_lines, _pip_version
from clustrix.requirements import explicit_constraints, explicit_requirements

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = """
version = 1
requires-python = ">=3.10"

[[package]]
name = "mine"
version = "0.1"
source = { editable = "." }
dependencies = [
    { name = "pandas", extra = ["parquet"] },
    { name = "colorama", marker = "sys_platform == 'win32'" },
    { name = "member" },
    { name = "wheel-of-a-server" },
]

[[package]]
name = "member"
version = "0.2"
source = { git = "https://host/member?rev=1#1" }
dependencies = [{ name = "numpy", version = "1.26.4", source = { registry = "https://host/simple" }, marker = "python_version < '3.11'" }]

[[package]]
name = "pandas"
version = "2.2.0"
source = { registry = "https://host/simple" }
dependencies = [{ name = "numpy" }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://host/simple" }

[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://host/simple" }
resolution-markers = ["python_full_version < '3.11'"]

[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://host/simple" }
resolution-markers = ["python_full_version >= '3.12'", "python_full_version == '3.11.*'"]

[[package]]
name = "wheel-of-a-server"
version = "1.0"
source = { url = "https://host/wheel_of_a_server-1.0-py3-none-any.whl" }
"""


def test_a_requirements_file_reads_those_it_names_relative_to_itself(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "requirements.txt").write_text("-r inner/base.txt\n--constraint=inner/limits.txt\nsix\n")
    (inner / "base.txt").write_text("\ufeffnumpy[extra] \\\n  >=1.19  # joined\n-rmore.txt\n", encoding="utf-8")
    (inner / "more.txt").write_text("attrs ; python_version < '3.8'\n")
    (inner / "limits.txt").write_text("attrs<22\npytz==2020.1\n")
    path = tmp_path / "requirements.txt"
    assert explicit_requirements(path) == (
        'attrs; python_version < "3.8"',
        'attrs<22; python_version < "3.8"',
        "numpy[extra]>=1.19",
        "six",
    )
    assert explicit_constraints(path) == ("attrs<22", "pytz==2020.1")


def test_a_file_that_reads_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("six\n-r a.txt\n")
    with pytest.raises(PackagingError, match=r"a\.txt is read by itself"):
        explicit_requirements(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--index-url https://host/simple", r"--index-url is not carried to the cluster: set UV_DEFAULT_INDEX"),
        ("-i https://host/simple", "-i is not carried"),
        ("-e .", "-e is not carried to the cluster: an editable project is shipped as source"),
        ("six==1.17 --hash=sha256:00", "--hash is not carried to the cluster: clustrix locks with hashes of its own"),
        ("--pre", "--pre is not carried"),
        ("-r nowhere.txt", r"names .*nowhere\.txt, which is not a file here"),
        ("./project", "A project's directory is shipped as source"),
        ("two words", "'two words' is not a requirement"),
    ],
)
def test_what_a_requirements_file_may_not_hold_is_named_with_file_and_line(
    tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "project").mkdir()
    path = tmp_path / "requirements.txt"
    path.write_text(f"# first\nnumpy \\\n  >=1\n{line}\n")
    with pytest.raises(PackagingError, match=rf"requirements\.txt, line 4: .*{said}"):
        explicit_requirements(path)


def test_a_wheel_may_be_named_by_its_path_and_variables_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "My_Own-1.0-py3-none-any.whl"
    wheel.touch()
    monkeypatch.setenv("WANTED", "six")
    path = tmp_path / "requirements.txt"
    path.write_text("./My_Own-1.0-py3-none-any.whl\n${WANTED}\n")
    assert explicit_requirements(path) == (f"my-own @ {wheel.as_uri()}", "six")


def test_a_pyproject_gives_its_dependencies(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[project]\nname = 'x'\ndependencies = [\n  'numpy>=1.19',\n  \"pandas[parquet]\",\n]\n")
    assert explicit_requirements(path) == ("numpy>=1.19", "pandas[parquet]")
    assert explicit_constraints(path) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[project]\ndependencies = ['numpy',\n 'not a name']", r"line 3: 'not a name' is not a requirement"),
        ("[project]\ndynamic = ['dependencies']", "the build backend makes"),
        ("[tool.poetry.dependencies]\nnumpy = '*'", r"has no \[project\]"),
        ("[project]\ndependencies = 'numpy'", "is not a list"),
        ("[project]\nname = ]\n", r"is not TOML: .*line 2"),
    ],
)
def test_a_pyproject_without_dependencies_says_so(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(PackagingError, match=rf"pyproject\.toml.*{said}"):
        explicit_requirements(path)


def test_a_uv_lock_gives_what_its_projects_need_at_its_versions(tmp_path: Path) -> None:
    path = tmp_path / "uv.lock"
    path.write_text(_LOCK)
    *found, wheel = explicit_requirements(path)
    assert Requirement(wheel).url == "https://host/wheel_of_a_server-1.0-py3-none-any.whl"
    assert found == [
        'colorama; sys_platform == "win32"',
        'colorama==0.4.6; sys_platform == "win32"',
        'numpy==1.26.4; python_version < "3.11"',
        'numpy==1.26.4; python_version < "3.11" and python_full_version < "3.11"',
        'numpy==2.1.0; python_version < "3.11" and (python_full_version >= "3.12" or python_full_version == "3.11.*")',
        "pandas==2.2.0",
        "pandas[parquet]",
    ]
    assert explicit_constraints(path) == (
        "pandas==2.2.0",
        "colorama==0.4.6",
        'numpy==1.26.4; python_full_version < "3.11"',
        'numpy==2.1.0; python_full_version >= "3.12" or python_full_version == "3.11.*"',
    )
    path.write_text("version = 1\npackage = 3\n")
    with pytest.raises(PackagingError, match=r"uv\.lock has no \[\[package\]\] tables"):
        explicit_requirements(path)


def test_a_conda_environment_gives_what_pip_can_install(tmp_path: Path) -> None:
    path = tmp_path / "environment.yml"
    path.write_text(
        "name: x\nchannels: [conda-forge]\ndependencies:\n- python=3.8\n- numpy=1.19\n- conda-forge::pandas >=1.1,<2\n"
        "- scipy=1.5.2=py38h8c5af15_0\n- pytorch\n- pip\n- librosa\n- pip:\n  - six==1.17.0\n"
    )
    assert explicit_requirements(path) == (
        "librosa",
        "numpy==1.19.*",
        "pandas<2,>=1.1",
        "scipy==1.5.2",
        "six==1.17.0",
        "torch",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "dependencies:\n- numpy\n- cudatoolkit=11\n",
            r", line 3: 'cudatoolkit=11' is a package of conda's.*environment=",
        ),
        ("dependencies:\n- r-base\n", r", line 2: 'r-base' is a package of conda's"),
        ("dependencies:\n- numpy=1|2\n", r", line 2: 'numpy=1\|2' is not a requirement"),
        ("dependencies:\n- pip:\n  - -r other.txt\n", r", line 3: '-r other\.txt': name such a file"),
        ("dependencies: numpy\n", "has no list of 'dependencies'"),
        ("- a\n- ]", ", line 2: this is not YAML"),
    ],
)
def test_what_pip_cannot_install_of_a_conda_environment_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "environment.yaml"
    path.write_text(text)
    with pytest.raises(PackagingError, match=rf"environment\.yaml{said}|environment\.yaml {said}"):
        explicit_requirements(path)


_numbers = st.lists(st.integers(0, 99), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))


@given(_numbers, st.sampled_from(["=", "==", ""]), st.sampled_from(["", "=py38_0", " py38_0"]))
def test_the_version_that_conda_names_is_among_those_that_pip_may_take(number: str, operator: str, build: str) -> None:
    specifier = SpecifierSet(_pip_version(operator + number + build))
    assert specifier.contains(number)
    assert specifier.contains(f"{number}.1") == (operator == "=" and not build)


_words = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)


@given(st.lists(st.tuples(_words, st.booleans(), st.sampled_from(["", " # why", "\t"])), max_size=6))
def test_lines_are_joined_numbered_and_freed_of_comments(items: list[tuple[str, bool, str]]) -> None:
    lines, wanted = [], []
    for word, is_split, tail in items:
        wanted.append((len(lines) + 1, f"{word}>=1"))
        lines += [f"{word}\\", f">=1{tail}"] if is_split else [f"{word}>=1{tail}", "# nothing \\"]
    assert [(number, text.replace(" ", "")) for number, text in _logical_lines(lines)] == wanted


@given(st.lists(_words.filter(lambda word: word[0].isalpha() and word[-1] != "_"), max_size=6))
def test_a_list_reads_as_the_file_that_holds_it(names: list[str]) -> None:
    found = explicit_requirements(names)
    assert {Requirement(item).name for item in found} == set(names)
    assert found == explicit_requirements([f"  {name}  # why" for name in reversed(names)])
