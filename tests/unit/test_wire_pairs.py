"""What one Python writes every other one reads: all pairs of 3.6 to 3.13, as far as they are on this machine.

Those that have numpy pass its objects, too.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from functools import cache
from pathlib import Path

import pytest
from other_pythons import VERSIONS, interpreter

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "remote" / "wire_cases.py"


def run(version: str, *arguments: Path | str) -> None:
    python = interpreter(version)
    assert python is not None
    done = subprocess.run([python, PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Python {version}: {done.stderr}"


@pytest.fixture(scope="module")
def far_side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("far_side")
    (directory / "clustrix_remote").symlink_to(ROOT / "clustrix" / "remote", target_is_directory=True)
    return directory


@pytest.fixture(scope="module")
def written(tmp_path_factory, far_side):
    """The directory that a version wrote its cases to; each writes once."""

    @cache
    def write(version: str) -> Path:
        directory = tmp_path_factory.mktemp(f"written_by_{version}")
        run(version, far_side, "write", directory)
        return directory

    return write


@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(VERSIONS, VERSIONS)))
def test_what_one_python_writes_another_reads(writer, reader, far_side, written, tmp_path):
    missing = [version for version in dict.fromkeys([writer, reader]) if interpreter(version) is None]
    if missing:
        pytest.skip(f"there is no Python {' and no '.join(missing)} on this machine")
    result = tmp_path / "verdicts.json"
    run(reader, far_side, "read", written(writer), result)
    verdicts = json.loads(result.read_text())
    assert len(verdicts) > 10
    assert {case: verdict for case, verdict in verdicts.items() if verdict != "ok"} == {}
