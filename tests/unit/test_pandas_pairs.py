"""What one pandas writes every other one reads: 1.1 with numpy 1.19, 2.0, 2.3, and the newest, in all pairs.

Each is the newest that its Python can have, in an environment that uv makes once, for all of these tests.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
from other_pythons import interpreter
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "remote" / "wire_cases.py"
VERSIONS = ["3.6", "3.8", "3.10", "3.13"]

needs_all = pytest.mark.skipif(
    not os.environ.get("CI") and any(interpreter(version) is None for version in VERSIONS),
    reason=f"needs the Pythons {', '.join(VERSIONS)}",
)


def run(*command: Path | str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of that version that has pandas."""

    @cache
    def make(version: str) -> Path:
        there = tmp_path_factory.mktemp("with_pandas") / version
        run(find_uv_bin(), "venv", "--quiet", "--python", str(interpreter(version)), there)
        python = there / "bin" / "python"
        run(find_uv_bin(), "pip", "install", "--quiet", "--only-binary", ":all:", "--python", python, "pandas")
        return python

    return make


@pytest.fixture(scope="module")
def far_side(tmp_path_factory):
    directory = tmp_path_factory.mktemp("far_side")
    (directory / "clustrix_remote").symlink_to(ROOT / "clustrix" / "remote", target_is_directory=True)
    return directory


@pytest.fixture(scope="module")
def written(tmp_path_factory, far_side, python):
    """The directory that a version wrote its cases to; each writes once."""

    @cache
    def write(version: str) -> Path:
        directory = tmp_path_factory.mktemp(f"written_by_{version}")
        run(python(version), PROGRAM, far_side, "write", directory)
        return directory

    return write


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory, far_side, python, written):
    """What a version finds in what all of them wrote; each reads once."""

    @cache
    def read(version: str) -> dict[str, dict[str, str]]:
        directory = tmp_path_factory.mktemp(f"read_by_{version}")
        results = {writer: directory / f"{writer}.json" for writer in VERSIONS}
        pairs = [path for writer, result in results.items() for path in (written(writer), result)]
        run(python(version), PROGRAM, far_side, "read", *pairs)
        return {writer: json.loads(result.read_text()) for writer, result in results.items()}

    return read


@needs_all
@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(VERSIONS, VERSIONS)))
def test_what_one_pandas_writes_another_reads(writer, reader, verdicts):
    found = verdicts(reader)[writer]
    assert len([case for case in found if case.startswith("pandas")]) >= 7
    assert {case: verdict for case, verdict in found.items() if verdict != "ok"} == {}
