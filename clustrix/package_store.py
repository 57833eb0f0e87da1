"""Keeps packages on the client's disk, named by their content: written aside, renamed into place, pruned by age and size."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Member", "package_path", "prune", "store", "touch"]

OLDEST = 30 * 86400.0  # seconds since the last use
LARGEST = 1 << 30  # bytes of all packages
_USE_IS_NOTED_AFTER = 3600.0
_EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Member:
    """A file of the package: its name there, its digest, and its content or where that is."""

    name: str
    digest: str
    content: bytes | None = None
    path: str = ""

    def read(self) -> bytes:
        return Path(self.path).read_bytes() if self.content is None else self.content


def package_path(package_id: str, cache_dir: str | None) -> Path:
    """Where a package is or will be: below ``CLUSTRIX_PACKAGE_DIR``, else the cache directory."""
    chosen = os.environ.get("CLUSTRIX_PACKAGE_DIR")
    if chosen:
        directory = Path(chosen).expanduser()
    elif cache_dir:
        directory = Path(cache_dir).expanduser() / "packages"
    else:
        import platformdirs  # noqa: PLC0415 - not needed where a directory is configured

        directory = Path(platformdirs.user_cache_dir("clustrix")) / "packages"
    return directory / f"clustrix_package_{package_id}.zip"


def touch(path: Path) -> int:
    """Note that a package is used, if the last note is old. Its size; -1 if it isn't there."""
    try:
        status = path.stat()
        if time.time() - status.st_mtime > _USE_IS_NOTED_AFTER:
            os.utime(path)
    except OSError:
        return -1
    return status.st_size


def store(path: Path, members: Iterable[Member], *, keep_all: bool = False) -> int:
    """Write a package unless it is there already. Its size in bytes.

    Equal members give equal bytes: members are stored, not deflated, because two versions of zlib deflate differently.
    """
    size = touch(path)
    if size >= 0:
        return size
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".new-", suffix=".zip", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            _write_zip(stream, members)
        _rename(Path(aside), path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    if not keep_all:
        prune(path.parent, kept=path)
    return path.stat().st_size


def prune(directory: Path, *, kept: Path | None = None) -> list[Path]:
    """Remove what was not used for 30 days, and then the least recently used until all together fit into 1 GiB."""
    packages = []
    for path in directory.glob("clustrix_package_*.zip"):
        try:
            status = path.stat()
        except OSError:
            continue  # another process pruned it
        packages.append((status.st_mtime, status.st_size, path))
    removed, total, now = [], sum(size for _, size, _ in packages), time.time()
    for used, size, path in sorted(packages):
        if path != kept and (now - used > OLDEST or total > LARGEST):
            path.unlink(missing_ok=True)
            removed.append(path)
            total -= size
    return removed


def _write_zip(stream: object, members: Iterable[Member]) -> None:
    import zipfile  # noqa: PLC0415 - only a new package needs it

    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for member in sorted(members, key=lambda item: item.name):
            item = zipfile.ZipInfo(member.name, _EARLIEST_ZIP_DATE)
            item.create_system = 3  # Unix, on Windows too
            item.external_attr = 0o100644 << 16
            archive.writestr(item, member.read())


def _rename(aside: Path, path: Path) -> None:
    """Windows refuses to replace a file that somebody reads: then it is there, and equal."""
    try:
        aside.replace(path)
    except PermissionError:
        if not path.exists():
            raise
        aside.unlink(missing_ok=True)
