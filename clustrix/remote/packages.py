"""The package store on the cluster: archives are checked, unpacked aside, and renamed into place."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from typing import Any, Dict, Optional

from .paths import StatePaths, remove_tree, write_aside

__all__ = ["PackageError", "has_package", "place_data_files", "store_package"]

MAX_UNPACKED = 1 << 30


class PackageError(Exception):
    """The package is not what it should be, or can't be used here."""


def has_package(state: StatePaths, package_id: str) -> bool:
    return os.path.isdir(state.package(package_id))


def store_package(state: StatePaths, package_id: str, archive: bytes) -> None:
    """Unpack ``archive`` as ``packages/<package_id>``; another one who did it meanwhile is no error."""
    import zipfile  # noqa: PLC0415 - most agents find all packages there

    from .archives import UNREADABLE, check_member  # noqa: PLC0415 - likewise

    target = state.package(package_id)
    aside = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(target))
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            if sum(item.file_size for item in package.infolist()) > MAX_UNPACKED:
                raise PackageError("the package %s unpacks to more than %d bytes" % (package_id, MAX_UNPACKED))
            for item in package.infolist():
                check_member(item)
                package.extract(item, aside)
        if _metadata(aside).get("package_id") != package_id:
            raise PackageError("the package that came is not %s" % package_id)
        os.rename(aside, target)
    except UNREADABLE as error:
        raise PackageError("the package %s is damaged: %s" % (package_id, error)) from error
    except OSError:
        if not os.path.isdir(target):
            raise
    finally:
        remove_tree(aside)


def place_data_files(state: StatePaths, package_id: str, work_dir: str) -> None:
    """Put the package's data files under ``work_dir``: equal ones are used; one that is not ours is never replaced.

    What was placed is remembered by content, so a file that was edited on the client replaces the one that came before.
    """
    root = os.path.join(state.package(package_id), "data")
    for directory, _, names in os.walk(root):
        for name in names:
            source = os.path.join(directory, name)
            target = os.path.join(work_dir, os.path.relpath(source, root))
            note = os.path.join(state.placed, hashlib.sha256(os.fsencode(target)).hexdigest())
            wanted = _digest(source)
            there = _digest(target) if os.path.lexists(target) else None
            if there not in (None, wanted, _text(note)):
                raise PackageError(
                    "the data file %s differs from %s on the cluster: rename one of them, or pass the cluster's path as an argument"
                    % (os.path.relpath(source, root), target)
                )
            if there != wanted:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                _copy_aside(source, target)
                write_aside(note, wanted.encode("ascii"))


def _copy_aside(source: str, target: str) -> None:
    handle, aside = tempfile.mkstemp(prefix=".", dir=os.path.dirname(target))
    os.close(handle)
    shutil.copyfile(source, aside)
    os.rename(aside, target)


def _digest(path: str) -> str:
    """SHA-256 of a file's content; empty for what is no file."""
    if not os.path.isfile(path):
        return ""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _metadata(root: str) -> Dict[str, Any]:
    with open(os.path.join(root, "metadata.json"), encoding="utf-8") as stream:
        content = json.load(stream)
    if not isinstance(content, dict):
        raise PackageError("metadata.json of %s is not an object" % root)
    return content
