"""Where Pythons are on a cluster: on the PATH, in the usual directories, of pyenv and its kin, uv, conda and modules."""

import glob
import os
import re
import time
from typing import Dict, Iterator, List, NamedTuple, Tuple

from .environment_modules import VALID_FOR, python_modules
from .login_shell import login_path
from .notes import Notes

__all__ = ["Place", "conda_environments", "is_python_name", "places"]

_SYSTEM = ("/usr/local/bin", "/usr/bin", "/opt/python/*/bin", "/opt/rh/*/root/usr/bin", "/opt/*/bin")
_CONDA_ROOTS = (
    "~/*", "~/.conda", "~/.local/share/*conda*", "~/.local/share/mamba", "~/.micromamba", "/opt/*", "/usr/local/*conda*",
    "/usr/local/miniforge*",
)  # fmt: skip


class Place(NamedTuple):
    """A program that may be a Python, where it was found in words, and the module that it was found by, if any."""

    path: str
    source: str
    modules: Tuple[str, ...] = ()


def is_python_name(name: str) -> bool:
    return re.match(r"python(3(\.\d+)?)?\Z", name) is not None


def places(notes: Notes, is_fresh: bool = False) -> Iterator[Place]:
    """Every place, the likeliest first. ``is_fresh`` asks the login shell again, see ``python_modules``."""
    for directory in dict.fromkeys(_search_path(notes, is_fresh).split(os.pathsep)):
        if os.path.basename(directory) == "shims":
            # A shim is a script that looks for the Python of the moment; behind it are these.
            behind = os.path.dirname(directory)
            yield from _in(os.path.join(glob.escape(behind), "versions/*/bin"), "pyenv")
            yield from _in(os.path.join(glob.escape(behind), "installs/python/*/bin"), "asdf or mise")
        elif directory:
            yield from _in(glob.escape(directory), "PATH")
    for pattern in _SYSTEM:
        yield from _in(pattern, "")
    yield from _in(os.path.join(os.environ.get("PYENV_ROOT", "~/.pyenv"), "versions/*/bin"), "pyenv")
    yield from _in("~/.asdf/installs/python/*/bin", "asdf")
    yield from _in("~/.local/share/mise/installs/python/*/bin", "mise")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    for root in filter(None, (os.environ.get("UV_PYTHON_INSTALL_DIR"), os.path.join(data, "uv/python"))):
        yield from _in(os.path.join(root, "*/bin"), "uv")
    for prefix, name in conda_environments().items():
        yield from _in(os.path.join(glob.escape(prefix), "bin"), "conda environment " + name)
    for found in python_modules(notes, is_fresh):
        yield Place(found.path, "module " + found.module, (found.module,))


def conda_environments() -> Dict[str, str]:
    """Conda's and mamba's environments: their names by prefix. An installation itself is called ``base``, as conda does."""
    listed = _lines(os.path.expanduser("~/.conda/environments.txt"))
    roots = [match for pattern in _CONDA_ROOTS for match in sorted(glob.glob(os.path.expanduser(pattern)))]
    roots += [os.environ[name] for name in ("MAMBA_ROOT_PREFIX", "CONDA_PREFIX_1") if os.environ.get(name)]
    if os.environ.get("CONDA_EXE"):
        roots.append(os.path.dirname(os.path.dirname(os.environ["CONDA_EXE"])))
    directories = [os.path.join(root, "envs") for root in [*roots, *listed]]
    directories += filter(None, os.environ.get("CONDA_ENVS_PATH", "").split(os.pathsep))
    below = [match for path in directories for match in sorted(glob.glob(os.path.join(glob.escape(path), "*")))]
    found: Dict[str, str] = {}
    for prefix in [*roots, *listed, *below]:
        # Every environment keeps what was installed in conda-meta; one that was removed may still be listed.
        if os.path.isdir(os.path.join(prefix, "conda-meta")):
            real = os.path.realpath(prefix)
            is_installation = os.path.isdir(os.path.join(real, "condabin"))
            found.setdefault(real, "base" if is_installation else os.path.basename(real))
    return found


def _search_path(notes: Notes, is_fresh: bool) -> str:
    """The PATH of this process and that of a login shell, which is asked once a day."""
    known = None if is_fresh else notes.get("login shell", "PATH")
    if not known or time.time() - known["when"] > VALID_FOR:
        known = {"when": time.time(), "path": login_path()}
        notes.put("login shell", {"PATH": known})
    return os.environ.get("PATH", "") + os.pathsep + str(known["path"])


def _in(pattern: str, source: str) -> Iterator[Place]:
    """The Pythons of each directory that matches; one without words of its own for it is its own source."""
    for directory in sorted(glob.glob(os.path.expanduser(pattern))):
        try:
            names = sorted(filter(is_python_name, os.listdir(directory)), key=len, reverse=True)
        except OSError:  # a directory on the PATH may be one that this user can't look into
            continue
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield Place(path, source or os.path.dirname(path))


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return [line.strip() for line in stream if line.strip()]
    except OSError:
        return []
