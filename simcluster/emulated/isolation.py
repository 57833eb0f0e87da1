"""What of this computer a cluster must not see, and what it needs all the same.

Computed in the process that starts the cluster, for it is that one's project, packages and home that are to be hidden.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simcluster.pythons import Interpreter

__all__ = ["NETWORK_VARIABLES", "SEEN_AS", "TreePlan", "plan_tree"]

SEEN_AS = "/simcluster"
"""Where a machine with a file tree of its own sees its cluster's commands, modules and socket."""

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
)
NETWORK_VARIABLES = (*_PROXIES, *(name.upper() for name in _PROXIES), *_CERTIFICATES)
"""How programs reach the network from this machine: all that a cluster inherits of its caller's environment."""

_SYSTEM = {"bin", "dev", "etc", "lib", "lib32", "lib64", "nix", "proc", "sbin", "sys", "System", "usr"}
_REPLACED = ("/home", "/tmp", "/scratch", SEEN_AS)  # noqa: S108
_KEPT_PACKAGES = ("pip", "setuptools", "_distutils_hack", "distutils")


@dataclass(frozen=True)
class TreePlan:
    """The parts of a machine's file tree that are the same on all machines; see `machine.namespaces.Plan`."""

    replaced: tuple[str, ...]
    hidden: tuple[str, ...]
    bound: tuple[tuple[str, str], ...]
    emptied: tuple[str, ...]
    kept: tuple[str, ...] = _KEPT_PACKAGES

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TreePlan:
        """A plan that went through JSON."""
        pairs = tuple((source, target) for source, target in values["bound"])
        names = {name: tuple(values[name]) for name in ("replaced", "hidden", "emptied", "kept")}
        return cls(bound=pairs, **names)


def plan_tree(interpreters: Iterable[Interpreter], hide: Iterable[str | Path] = ()) -> TreePlan:
    """Hide the caller's home, project, packages and `hide`; keep these interpreters, and the one that runs this."""
    interpreters = list(interpreters)
    hidden = _outermost({path for path in _callers_own() if not _is_system(path)} | {_real(path) for path in hide})
    covers = [*hidden, *map(Path, _REPLACED)]
    needed = {interpreter.prefix for interpreter in interpreters} | {_real(sys.base_prefix)}
    needed |= {_real(os.environ[name]) for name in _CERTIFICATES if Path(os.environ.get(name, "/-")).exists()}
    bound = sorted(str(path) for path in needed if any(path.is_relative_to(cover) for cover in covers))
    emptied = {_real(path) for path in site.getsitepackages([sys.base_prefix, sys.base_exec_prefix])}
    emptied |= {path for interpreter in interpreters for path in interpreter.site_directories}
    return TreePlan(
        replaced=_REPLACED,
        hidden=tuple(map(str, hidden)),
        bound=tuple((path, path) for path in bound),
        emptied=tuple(sorted(str(path) for path in emptied if path.is_dir())),
    )


def _callers_own() -> set[Path]:
    standard = {_real(path) for path in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
    own = {_real(Path.home()), _project(Path.cwd().resolve()), Path(__file__).resolve().parents[2]}
    own |= {_project(_real(path)) for path in sys.path if path and Path(path).is_dir()}
    own.add(Path("/run/user"))  # sockets of the caller's desktop and agents
    if sys.prefix != sys.base_prefix:
        own.add(_real(sys.prefix))
    return {path for path in own if not any(path.is_relative_to(library) for library in standard)}


def _project(directory: Path) -> Path:
    """The project that a directory belongs to, or the directory itself."""
    for marker in (".git", "pyproject.toml"):
        for parent in (directory, *directory.parents):
            if (parent / marker).exists() and not _is_system(parent):
                return parent
    return directory


def _is_system(path: Path) -> bool:
    parts = path.parts[1:]
    return not parts or parts[0] in _SYSTEM or parts in {("opt",), ("run",), ("var",), ("tmp",), ("home",)}


def _outermost(paths: set[Path]) -> list[Path]:
    return sorted(path for path in paths if not any(other in path.parents for other in paths))


def _real(path: str | Path) -> Path:
    return Path(path).expanduser().resolve()
