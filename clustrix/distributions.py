"""What is installed on the client: which distribution a module is of, at which version, and where that came from."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Distribution",
    "canonical_name",
    "installed_distributions",
    "installed_versions",
    "providers",
    "required_below",
    "shipped_files",
]

_COMPILED = re.compile(r"\.(so|pyd|dylib)(,|$)", re.MULTILINE)


def canonical_name(name: str) -> str:
    """The one spelling of a distribution's name (PyPA, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Distribution(NamedTuple):
    """An installed distribution: its metadata file, and the paths that it installed, each after a line break."""

    metadata: Path
    record: str

    @property
    def name(self) -> str:
        return canonical_name(self._header("Name"))

    @property
    def version(self) -> str:
        """The version without a local part: ``2.1.0`` of ``2.1.0+cu121``, which no public index has."""
        return self._header("Version").partition("+")[0]

    @property
    def requires(self) -> list[str]:
        """The Requires-Dist headers, with their markers."""
        text = self.metadata.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        return re.findall(r"^Requires-Dist:[ \t]*(.*?)\s*$", text, re.MULTILINE)

    @property
    def is_shipped(self) -> bool:
        """Whether no index has it as it is here, so that its source goes along with the function.

        That is: editable, or installed from a directory of this computer, or pure Python from a version control system
        (PyPA, "Recording the Direct URL Origin"). conda's distributions name the directory where they were built, which is
        not here.
        """
        root = self.metadata.parent
        if root.suffix == ".egg-info":
            return not {"site-packages", "dist-packages"} & set(root.parts)
        origin = self._origin
        if "dir_info" in origin:
            return _directory_of(str(origin.get("url", ""))).is_dir()
        return "vcs_info" in origin and not _COMPILED.search(self.record)

    @property
    def _origin(self) -> dict[str, Any]:
        try:
            origin = json.loads(_text_of(self.metadata.parent / "direct_url.json") or "{}")
        except ValueError:
            return {}
        return origin if isinstance(origin, dict) else {}

    def _header(self, name: str) -> str:
        """A header of the metadata file (PyPA, "Core metadata specifications"): the first line that has it."""
        match = re.search(
            rf"^{name}:[ \t]*(.*?)\s*$", self.metadata.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
        return match[1] if match else ""


@cache
def installed_distributions() -> tuple[Distribution, ...]:
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
                found.append(Distribution(metadata, "\n" + record))
    return tuple(found)


@cache
def installed_versions() -> dict[str, str]:
    """The version of every distribution that is installed here, by canonical name."""
    return {item.name: item.version for item in reversed(installed_distributions())}


def required_below(roots: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The installed distributions that ``roots`` (name: extras) need in turn, with their versions; the roots left out."""
    by_name = {item.name: item for item in reversed(installed_distributions())}
    pending = [(name, frozenset(extras)) for name, extras in roots.items()]
    seen = set(pending)
    for name, extras in pending:
        for line in by_name[name].requires if name in by_name else ():
            match = re.match(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^]]*)\])?", line)
            needed_for = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
            if match is None or (needed_for and needed_for[1] not in extras):
                continue
            inner = (canonical_name(match[1]), frozenset(re.findall(r"[\w.-]+", match[2] or "")))
            if inner not in seen:
                seen.add(inner)
                pending.append(inner)
    return {name: by_name[name].version for name, _ in pending if name in by_name and name not in roots}


@cache
def shipped_files() -> frozenset[str]:
    """The real paths of files in a site-packages that go along as source (see Distribution.is_shipped)."""
    found: set[str] = set()
    for item in installed_distributions():
        if (item.metadata.parent / "direct_url.json").is_file() and item.is_shipped:
            root = item.metadata.parent.parent.resolve()
            names = [line.partition(",")[0].strip('"') for line in item.record.splitlines()]
            found.update(str(root / name) for name in names if name and not name.startswith("__editable__"))
    return frozenset(found)


@cache
def providers(top: str, name: str) -> tuple[Distribution, ...]:
    """The distributions that installed a module: of several that share a top-level name, those which have the rest."""
    package = re.compile(rf"\n{re.escape(top)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
    having = [item for item in installed_distributions() if package.search(item.record)]
    path = name.replace(".", "/")
    while len(having) > 1 and "/" in path:
        exact = re.compile(rf"\n{re.escape(path)}(/|\.py,|\.[^/\n]*\.(so|pyd),)")
        having = [item for item in having if exact.search(item.record)] or having
        path = path.rpartition("/")[0]
    if len(having) > 1:
        having = [
            item for item in having if f"\n{top}/__init__.py," in item.record or f"\n{top}.py," in item.record
        ] or having
    unique = {item.name: item for item in reversed(having)}
    return tuple(unique[key] for key in sorted(unique))


def _directory_of(url: str) -> Path:
    """The directory of a file URL; urllib.request knows how, but its import takes 50 ms."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    return (
        Path(path.lstrip("/") if sys.platform == "win32" else path) if parts.scheme == "file" else Path("/nonexistent")
    )


def _names_in(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:  # sys.path may name what does not exist, or an archive
        return []


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
