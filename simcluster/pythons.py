"""Finds the Pythons of this machine: pyenv's, uv's, the system's, and the one that runs this."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.spec import PYTHONS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Interpreter", "find_pyenv", "find_pythons"]


@dataclass(frozen=True)
class Interpreter:
    """An installed Python, no virtual environment. `version` is "3.12", `source` who installed it."""

    version: str
    path: Path
    prefix: Path
    source: str

    @property
    def site_directories(self) -> tuple[Path, ...]:
        """Where packages are installed for this Python, as far as the directories exist."""
        library = self.prefix / "lib"
        candidates = [
            library / f"python{self.version}" / "site-packages",
            library / f"python{self.version}" / "dist-packages",
            library / "python3" / "dist-packages",  # Debian's own, shared by its versions
        ]
        if self.prefix == Path("/usr"):
            local = Path("/usr/local/lib", f"python{self.version}")
            candidates += [local / "dist-packages", local / "site-packages"]
        return tuple(path for path in candidates if path.is_dir())


def find_pythons() -> dict[str, Interpreter]:
    """The interpreters by version, the oldest first; of several of one version pyenv's, then uv's, then the system's."""
    found: dict[str, Interpreter] = {}
    for interpreter in (*find_pyenv().values(), *_find_uv(), *_find_system(), *_running()):
        found.setdefault(interpreter.version, interpreter)
    return {version: found[version] for version in PYTHONS if version in found}


def find_pyenv() -> dict[str, Interpreter]:
    """The newest patch release of each version that pyenv has here."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return _newest(versions, r"(3\.\d+)\.(\d+)", "pyenv")


def _find_uv() -> Iterator[Interpreter]:
    data = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    root = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", data / "uv" / "python"))
    yield from _newest(root, r"cpython-(3\.\d+)\.(\d+)-.*", "uv").values()


def _newest(root: Path, pattern: str, source: str) -> dict[str, Interpreter]:
    found: dict[str, tuple[int, Interpreter]] = {}
    for prefix in root.glob("*3.*"):
        match = re.fullmatch(pattern, prefix.name)
        if match and not prefix.is_symlink() and (path := prefix / "bin" / f"python{match[1]}").exists():
            this = (int(match[2]), Interpreter(match[1], path.resolve(), prefix.resolve(), source))
            found[match[1]] = max(found.get(match[1], this), this, key=lambda pair: pair[0])
    return {version: interpreter for version, (_, interpreter) in found.items()}


def _find_system() -> Iterator[Interpreter]:
    directories = dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"])
    for directory in filter(None, directories):
        for version in PYTHONS:
            path = Path(directory, f"python{version}")
            # A directory on PATH may be one that this user can't look into.
            if os.access(path, os.R_OK | os.X_OK) and path.is_file() and not _is_stand_in(path):
                real = path.resolve()
                yield Interpreter(version, real, real.parent.parent, "system")


def _is_stand_in(path: Path) -> bool:
    """Whether a program is a virtual environment's, or a shim of pyenv's or the like: a script that looks for a Python."""
    if (path.parent.parent / "pyvenv.cfg").exists():
        return True
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _running() -> Iterator[Interpreter]:
    path = Path(sys.base_exec_prefix, "bin", f"python{sysconfig.get_python_version()}")
    if path.exists():
        real = path.resolve()
        yield Interpreter(sysconfig.get_python_version(), real, real.parent.parent, "this one")
