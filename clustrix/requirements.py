"""Which distributions a function's imports need, as the client has them.

The versions are upper bounds for the cluster's Python, which may be too old for the client's own; they are no lock:
what exactly is installed is decided for that interpreter when its environment is made.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clustrix.errors import PackagingError
from clustrix.local_modules import is_standard_library

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["explicit_requirements", "requirements_for"]

_OWN_PACKAGES = ("clustrix", "simcluster")


def requirements_for(imports: Iterable[str], optional: Iterable[str] = ()) -> tuple[str, ...]:
    """PEP 508 requirements for names of imported modules, sorted: ``numpy<=2.1.0``.

    What the client doesn't have is required by its bare name; of ``optional`` ones (always imported within
    ``try/except ImportError``) it is left out. The standard library and clustrix itself need nothing.
    """
    left_out = set(optional)
    found: set[str] = set()
    for name in set(imports) | left_out:
        top = name.partition(".")[0]
        if top in _OWN_PACKAGES:
            continue
        providers = _providers(top, name) if not _is_in_this_python(top) else ()
        if providers:
            found.update(_bounded(distribution) for distribution in providers)
        elif not is_standard_library(top) and name not in left_out:
            found.add(_canonical(top))
    return tuple(sorted(found))


def explicit_requirements(value: str | Path | Iterable[str]) -> tuple[str, ...]:
    """The user's own requirements: PEP 508 strings, or the path of a requirements file.

    :raises PackagingError: the file can't be read, or a line is not a requirement; the message names it
    """
    if isinstance(value, str | Path):
        try:
            lines = Path(value).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise PackagingError(
                f"requirements={str(value)!r} can't be read: {error}. Give a list or a file."
            ) from error
        origin = str(value)
    else:
        lines, origin = list(value), "requirements"
    return tuple(sorted(set(_validated(lines, origin))))


def _validated(lines: list[str], origin: str) -> Iterable[str]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - 15 ms, seldom needed

    for number, line in enumerate(lines, 1):
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not text:
            continue
        try:
            yield str(Requirement(text))
        except InvalidRequirement as error:
            raise PackagingError(
                f"{origin}, line {number}: {line.strip()!r} is not a requirement ({str(error).splitlines()[0]}). "
                "Write a name with versions, such as 'numpy>=1.19'; options and nested files are not supported yet."
            ) from error


def _is_in_this_python(top: str) -> bool:
    return top in sys.stdlib_module_names


def _bounded(distribution: _Distribution) -> str:
    name = _canonical(distribution.header("Name"))
    version = distribution.header("Version").partition("+")[0]
    return f"{name}<={version}" if re.fullmatch(r"[0-9][0-9a-zA-Z.!_-]*", version) else name


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class _Distribution(NamedTuple):
    """An installed distribution: its metadata file, and the paths that it installed, each after a line break."""

    metadata: Path
    record: str

    def header(self, name: str) -> str:
        """A header of the metadata file (PyPA, "Core metadata specifications"): the first line that has it."""
        match = re.search(
            rf"^{name}:[ \t]*(.*?)\s*$", self.metadata.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
        return match[1] if match else ""


@cache
def _installed() -> list[_Distribution]:
    """Every distribution on the path, as PyPA's "Recording installed projects" has them on disk.

    importlib.metadata knows the same, but its import takes 22 ms and packages_distributions() 35 to 114 more; this takes 5.
    """
    found = []
    for directory in dict.fromkeys(sys.path):
        root = Path(directory or ".")
        infos = [name for name in _names_in(root) if name.endswith((".dist-info", ".egg-info"))]
        for info in (root / name for name in sorted(infos)):
            metadata = info / ("METADATA" if info.suffix == ".dist-info" else "PKG-INFO")
            record = _text_of(info / "RECORD")
            if not record:
                names = _text_of(info / "top_level.txt").split()
                record = "".join(f"{name}/__init__.py,,\n" for name in names)
            if record and metadata.is_file():
                found.append(_Distribution(metadata, "\n" + record))
    return found


def _names_in(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:  # sys.path may name what does not exist, or an archive
        return []


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@cache
def _providers(top: str, name: str) -> tuple[_Distribution, ...]:
    """The distributions that installed a module: of several that share a top-level name, those which have the rest."""
    package = re.compile(rf"\n{re.escape(top)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
    having = [item for item in _installed() if package.search(item.record)]
    path = name.replace(".", "/")
    while len(having) > 1 and "/" in path:
        exact = re.compile(rf"\n{re.escape(path)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
        having = [item for item in having if exact.search(item.record)] or having
        path = path.rpartition("/")[0]
    if len(having) > 1:
        having = [
            item for item in having if f"\n{top}/__init__.py," in item.record or f"\n{top}.py," in item.record
        ] or having
    unique = {_canonical(item.header("Name")): item for item in reversed(having)}
    return tuple(unique[key] for key in sorted(unique))
