"""Which distributions a function's imports need, as the client has them.

The versions are upper bounds for the cluster's Python, which may be too old for the client's own; they are no lock:
what exactly is installed is decided for that interpreter when its environment is made.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from clustrix.errors import PackagingError
from clustrix.local_modules import is_standard_library

if TYPE_CHECKING:
    import importlib.metadata
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


def _bounded(distribution: importlib.metadata.Distribution) -> str:
    name = _canonical(distribution.metadata["Name"])
    version = str(distribution.version).partition("+")[0]
    return f"{name}<={version}" if re.fullmatch(r"[0-9][0-9a-zA-Z.!_-]*", version) else name


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _installed() -> list[tuple[importlib.metadata.Distribution, str]]:
    """Each distribution with the paths that it installed, one a line and each after a line break.

    packages_distributions() parses all of these lists, which takes 35 to 114 ms; to search the text takes 5.
    """
    import importlib.metadata  # noqa: PLC0415 - 15 ms, and a function may import nothing

    found = []
    for distribution in importlib.metadata.distributions():
        record = distribution.read_text("RECORD")
        if record is None:
            names = distribution.read_text("top_level.txt") or ""
            record = "".join(f"{name}/__init__.py,,\n" for name in names.split())
        found.append((distribution, "\n" + record))
    return found


@cache
def _providers(top: str, name: str) -> tuple[importlib.metadata.Distribution, ...]:
    """The distributions that installed a module: of several that share a top-level name, those which have the rest."""
    package = re.compile(rf"\n{re.escape(top)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
    having = [(found, record) for found, record in _installed() if package.search(record)]
    path = name.replace(".", "/")
    while len(having) > 1 and "/" in path:
        exact = re.compile(rf"\n{re.escape(path)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
        having = [item for item in having if exact.search(item[1])] or having
        path = path.rpartition("/")[0]
    if len(having) > 1:
        having = [item for item in having if f"\n{top}/__init__.py," in item[1] or f"\n{top}.py," in item[1]] or having
    unique = {_canonical(found.metadata["Name"]): found for found, _ in reversed(having)}
    return tuple(unique[key] for key in sorted(unique))
