"""Finds the Pythons of the cluster and picks the one a job runs under."""

import glob
import os
import re
import subprocess
from typing import Dict, List, NamedTuple, Optional, Tuple

__all__ = ["Interpreter", "InterpreterNotFoundError", "choose_interpreter", "inspect_interpreter", "listing"]

_QUESTION = "import sys,platform,sysconfig;print('\\n'.join(['%d.%d.%d'%sys.version_info[:3],sysconfig.get_platform(),platform.python_implementation()]))"
_ROOTS = (
    "/opt/python/*/bin",
    "/usr/local/bin",
    "/usr/bin",
    "~/.pyenv/versions/*/bin",
    "/opt/conda/bin",
    "~/miniconda3/bin",
)


class InterpreterNotFoundError(Exception):
    """No Python of the cluster is what was asked for; the message lists those that were found."""


class Interpreter(NamedTuple):
    """A Python on the cluster: its absolute path, version (3, 6, 15), and platform such as ``linux-x86_64``."""

    path: str
    version: Tuple[int, ...]
    platform: str

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


_KNOWN: Dict[str, Optional[Interpreter]] = {}


def choose_interpreter(python: Optional[str], python_executable: Optional[str], client: Tuple[int, ...]) -> Interpreter:
    """The interpreter for a job: ``python_executable``, else the version ``python`` ("3.6", "3.6.15"), else the nearest.

    Nearest to the client's version means: the newest that is not newer, else the oldest that is.
    """
    if python_executable:
        path = os.path.expanduser(python_executable)
        found = inspect_interpreter(path)
        if found is None:
            raise InterpreterNotFoundError(
                "python_executable %s does not run as a Python 3.6 or newer on the cluster" % path
            )
        return found
    if python:
        wanted = tuple(int(part) for part in python.split("."))
        for path in _candidates(wanted):
            found = inspect_interpreter(path)
            if found and found.version[: len(wanted)] == wanted:
                return found
        raise InterpreterNotFoundError("no Python %s on the cluster; found: %s" % (python, listing() or "none"))
    found_all = _all()
    if not found_all:
        raise InterpreterNotFoundError("no Python 3.6 or newer on the cluster: set python_executable")
    not_newer = [item for item in found_all if item.version[:2] <= client[:2]]
    return max(not_newer, key=lambda item: item.version) if not_newer else min(found_all, key=lambda item: item.version)


def inspect_interpreter(path: str) -> Optional[Interpreter]:
    """What the program at ``path`` says of itself, or None when it is not a CPython of 3.6 or newer that runs."""
    if path not in _KNOWN:
        _KNOWN[path] = _ask(path)
    return _KNOWN[path]


def _ask(path: str) -> Optional[Interpreter]:
    command = [path, "-I", "-S", "-c", _QUESTION]
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.decode("utf-8", "replace").split()
    if answer.returncode != 0 or len(lines) != 3 or lines[2] != "CPython":
        return None
    version = tuple(int(part) for part in lines[0].split("."))
    return Interpreter(path, version, lines[1]) if version >= (3, 6) else None


def _candidates(wanted: Tuple[int, ...]) -> List[str]:
    """Paths where a Python of this version may be: by name on the PATH first, then any in the usual places."""
    names = ["python" + ".".join(map(str, wanted[:2])), "python3", "python"]
    directories = os.environ.get("PATH", "").split(os.pathsep)
    directories += [match for root in _ROOTS for match in sorted(glob.glob(os.path.expanduser(root)))]
    paths = [os.path.join(directory, name) for name in names for directory in directories if directory]
    return [path for path in dict.fromkeys(paths) if os.access(path, os.X_OK)]


def _all() -> List[Interpreter]:
    directories = os.environ.get("PATH", "").split(os.pathsep)
    directories += [match for root in _ROOTS for match in sorted(glob.glob(os.path.expanduser(root)))]
    found: Dict[Tuple[int, ...], Interpreter] = {}
    for directory in dict.fromkeys(filter(None, directories)):
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), "python3*"))):
            if re.match(r"python3(\.\d+)?$", os.path.basename(path)):
                item = inspect_interpreter(path)
                if item:
                    found.setdefault(item.version, item)
    return [found[version] for version in sorted(found)]


def listing() -> str:
    """The Pythons of the cluster in words."""
    return ", ".join("%s (%s)" % (item.version_text, item.path) for item in _all())
