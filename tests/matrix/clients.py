"""The clients' Pythons: a virtual environment for each, with this checkout and the libraries that the use cases use."""

from __future__ import annotations

import subprocess
from pathlib import Path

from uv import find_uv_bin

from simcluster.pythons import find_pythons

__all__ = ["client_python"]

ROOT = Path(__file__).parent.parent.parent
LIBRARIES = ("attrs", "numpy", "pandas")


def client_python(version: str, directory: Path) -> Path:
    """The interpreter of the environment for ``version`` in ``directory``, which is made, or brought up to date."""
    home = directory / version
    python = home / "bin" / "python"
    uv = find_uv_bin()
    if not python.exists():
        subprocess.run([uv, "venv", "-q", "--clear", "-p", find_pythons()[version].path, home], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", python, "-e", f"{ROOT}[uv]", *LIBRARIES], check=True)
    return python
