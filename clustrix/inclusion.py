"""What a user asks to have sent along: modules by their names, files and directories below the working directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from clustrix.errors import PackagingError
from clustrix.local_modules import is_importable, locate

__all__ = ["Included", "included"]


@dataclass
class Included:
    """One entry of ``include``: module names, or files by their relative paths with forward slashes."""

    modules: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def included(entry: str, root: Path) -> Included:
    """What an entry means: a module (a package with all modules in it), else a file, or every file of a directory.

    :raises PackagingError: it is neither, or not below ``root``
    """
    is_name = all(part.isidentifier() for part in entry.split("."))
    directory = root / entry.replace(".", "/")
    if is_name and is_importable(entry) and (not directory.is_dir() or any(directory.rglob("*.py"))):
        return Included(modules=[entry, *_modules_below(entry, directory)])
    path = PurePosixPath(entry.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(entry).drive or ".." in path.parts or entry.startswith("~"):
        raise PackagingError(
            f"include={entry!r}: only files below {root} come along, by paths relative to it. Copy it there, or put it on "
            "the cluster and give its path there as an argument."
        )
    place = root / path
    if place.is_dir():
        files = [file for file in sorted(place.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
        _stay_below(root, entry, files)
        return Included(files=[file.relative_to(root).as_posix() for file in files])
    if not place.is_file():
        raise PackagingError(f"include={entry!r} is neither a module nor a file below {root}.")
    _stay_below(root, entry, [place])
    return Included(files=[str(path)])


def _stay_below(root: Path, entry: str, files: list[Path]) -> None:
    for file in files:
        if not file.resolve().is_relative_to(root.resolve()):
            raise PackagingError(f"include={entry!r}: {file} is a link to {file.resolve()}, which is not below {root}.")


def _modules_below(package: str, directory: Path) -> list[str]:
    module = locate(package)
    if module is None:  # a namespace, if it is here, or a distribution's
        top = directory
    elif module.relative_path.endswith("/__init__.py"):
        top = Path(module.path).parent
    else:
        return []
    names = []
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top).with_suffix("").parts
        if parts[-1] != "__init__" and all(part.isidentifier() for part in parts):
            names.append(".".join([package, *parts]))
        elif len(parts) > 1 and all(part.isidentifier() for part in parts):
            names.append(".".join([package, *parts[:-1]]))
    return names
