"""The Pythons of this machine that a cluster may have: looked for on PATH (`python3.6`), then with pyenv."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

VERSIONS = [f"3.{minor}" for minor in range(6, 14)]


@cache
def interpreter(version: str) -> str | None:
    """The path of a Python of that version that can be started."""
    on_path = shutil.which(f"python{version}")
    of_pyenv = pyenv_root().glob(f"versions/{version}.*/bin/python")
    return next((path for path in [on_path, *map(str, of_pyenv)] if path and is_version(path, version)), None)


def needed(version: str) -> str:
    """The path of such a Python; without one the test is skipped, and fails in CI."""
    path = interpreter(version)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no Python {version} here")
    return path


@cache
def pyenv_root() -> Path:
    if "PYENV_ROOT" in os.environ:
        return Path(os.environ["PYENV_ROOT"])
    return Path.home() / ".pyenv"


def is_version(path: str, version: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version
