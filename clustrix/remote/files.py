"""The operations on files, as the agent, a job and the client itself do them: one function each, by name.

An operation takes a ``Place`` (where relative paths begin), its arguments and the bytes that came with them, and gives plain data and bytes.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import stat
from typing import Any, Callable, Dict, NamedTuple, Tuple

from . import copying, listing
from .disk_usage import disk_usage
from .file_names import home, join_names, resolve, shown_prefix, split_names, text_of, to_bytes

__all__ = ["LARGEST_READ", "Answer", "LocalPlace", "answer_for_wire", "raise_from_wire"]

LARGEST_READ = 8 << 20
"""Bytes that one message brings of a file; who wants more asks again."""

Answer = Tuple[Dict[str, Any], Any]
"""What an operation found, and its bytes."""


class LocalPlace(NamedTuple):
    """The machine of this process, with relative paths from the directory ``base``."""

    base: str

    def perform(self, operation: str, arguments: Dict[str, Any], body: Any = b"") -> Answer:
        """Raises what Python's own functions raise, with the whole path and this machine's name."""
        try:
            return _done(operation, self.base, arguments, body)
        except OSError as error:
            raise _located(error, platform.node(), _asked_path(self.base, arguments)) from error


def answer_for_wire(operation: str, base: str, arguments: Dict[str, Any], body: Any) -> Answer:
    """As ``LocalPlace.perform``, with what the operation raises as data."""
    try:
        return _done(operation, base, arguments, body)
    except OSError as error:
        path = _path_of(error) or _asked_path(base, arguments)
        return {"raised": {"errno": error.errno or errno.EIO, "words": error.strerror or str(error), "path": path}}, b""
    except ValueError as error:
        return {"raised": {"words": str(error)}}, b""


def raise_from_wire(found: Dict[str, Any], host: str) -> None:
    """Raise what an operation on ``host`` raised, as the same class."""
    raised = found.get("raised")
    if raised is None:
        return
    if "errno" in raised:
        # OSError itself picks FileNotFoundError and its kin by the number.
        raise OSError(raised["errno"], "%s on %s" % (raised["words"], host), raised["path"])
    raise ValueError("%s: %s" % (host, raised["words"]))


def _done(operation: str, base: str, arguments: Dict[str, Any], body: Any) -> Answer:
    if operation in WITH_BODY:
        return WITH_BODY[operation](base, body=body, **arguments)
    if operation in OPERATIONS:
        return OPERATIONS[operation](base, **arguments)
    raise ValueError("there is no operation %r on files" % operation)


def _located(error: OSError, host: str, path: str) -> OSError:
    return OSError(error.errno or errno.EIO, "%s on %s" % (error.strerror or error, host), _path_of(error) or path)


def _path_of(error: OSError) -> str:
    name = error.filename
    return text_of(name) if isinstance(name, bytes) else str(name or "")


def _asked_path(base: str, arguments: Dict[str, Any]) -> str:
    """The whole path that an operation was asked about, for a message."""
    path = str(arguments.get("path", ""))
    try:
        return text_of(resolve(base, path))
    except (OSError, ValueError):
        return path


def _ls(base: str, path: str) -> Answer:
    return {}, b"\0".join(listing.names_in(resolve(base, path)))


def _find(base: str, path: str, pattern: str, on_error: str) -> Answer:
    return _shown(path, listing.find(pattern, resolve(base, path), on_error))


def _glob(base: str, path: str, pattern: str, on_error: str) -> Answer:
    if pattern.startswith("/") and pattern.strip("/"):
        path, pattern = "/", pattern.lstrip("/")
    return _shown(path, listing.glob(pattern, resolve(base, path), on_error))


def _shown(path: str, found: listing.Found) -> Answer:
    before = to_bytes(shown_prefix(path))
    names = b"\0".join([before + name for name in found.names] if before else found.names)
    if not before and (names[:1] == b"~" or b"\0~" in names):
        # Else it would be the home directory for whoever is handed it.
        names = join_names(
            sorted("./" + name if name == "~" or name[:2] == "~/" else name for name in split_names(names))
        )
    return {"skipped": found.skipped}, names


def _count_files(base: str, path: str, pattern: str, on_error: str) -> Answer:
    found = listing.find(pattern, resolve(base, path), on_error)
    return {"count": len(found.names), "skipped": found.skipped}, b""


def _du(base: str, path: str, on_error: str) -> Answer:
    total, count, skipped = disk_usage(resolve(base, path), on_error)
    return {"bytes": total, "files": count, "skipped": skipped}, b""


def _stat(base: str, path: str) -> Answer:
    name = ([""] + [part for part in home(path).split("/") if part not in ("", ".")])[-1]
    return _facts(os.stat(resolve(base, path)), name), b""


def _facts(info: os.stat_result, name: str) -> Dict[str, Any]:
    return {
        "size": info.st_size,
        "modified": info.st_mtime,
        "is_dir": stat.S_ISDIR(info.st_mode),
        "permissions": "%03o" % stat.S_IMODE(info.st_mode),
        "name": name,
    }


def _scandir(base: str, path: str) -> Answer:
    found = []
    with os.scandir(resolve(base, path)) as entries:
        for entry in entries:
            try:
                info = os.stat(entry.path)
            except OSError:  # a link that leads nowhere, or what has just been removed
                try:
                    info = os.lstat(entry.path)
                except FileNotFoundError:
                    continue
            found.append(list(_facts(info, text_of(entry.name)).values()))
    found.sort(key=lambda fields: fields[-1])
    return {}, json.dumps(found).encode("ascii")


def _test(test: Callable[[bytes], bool]) -> Callable[..., Answer]:
    def tested(base: str, path: str) -> Answer:
        try:
            return {"is_so": test(resolve(base, path))}, b""
        except (OSError, ValueError):  # as os.path has it: what can't be there is not there
            return {"is_so": False}, b""

    return tested


def _read(base: str, path: str, offset: int, size: int) -> Answer:
    """Bytes from ``offset``, at most LARGEST_READ; with the file's facts, by which a reader of several parts sees that it changed."""
    with open(resolve(base, path), "rb") as stream:
        stream.seek(offset)
        content = stream.read(max(0, min(size, LARGEST_READ)))
        info = os.fstat(stream.fileno())
    return {
        "size": info.st_size,
        "modified_ns": info.st_mtime_ns,
        "digest": hashlib.sha256(content).hexdigest(),
    }, content


def _write(base: str, path: str, *, part: str, offset: int, is_last: bool, body: Any) -> Answer:
    """A part of a file's new content, which is seen when the last is there. An old file's permissions stay, and a link stays one."""
    target = os.path.realpath(resolve(base, path))
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    copying.require_directory_of(target)
    if not part.isalnum():
        raise ValueError("%r can't name a part: letters and digits do" % part)
    new = os.path.join(os.path.dirname(target), ("." + part + ".part").encode("ascii"))
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(new, flags | (0 if offset else os.O_CREAT | os.O_EXCL), 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.seek(offset)
            stream.write(body)
        if is_last:
            if os.path.exists(target):
                os.chmod(new, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(new, target)
    except BaseException:
        os.unlink(new)
        raise
    return {}, b""


def _mkdir(base: str, path: str, parents: bool, exist_ok: bool) -> Answer:
    directory = resolve(base, path)
    try:
        if parents:
            os.makedirs(directory)
        else:
            os.mkdir(directory)
    except FileExistsError:
        if not exist_ok or not os.path.isdir(directory):
            raise
    return {}, b""


def _rm(base: str, path: str, recursive: bool, missing_ok: bool) -> Answer:
    whole = resolve(base, path)
    if not os.path.lexists(whole) and missing_ok:
        return {}, b""
    if not stat.S_ISDIR(os.lstat(whole).st_mode):
        os.unlink(whole)
        return {}, b""
    if not recursive:
        raise IsADirectoryError(errno.EISDIR, "Is a directory, and recursive=True is not given,", whole)
    inside = os.path.realpath(resolve(base, "."))
    removed = os.path.realpath(whole)
    if inside == removed or inside.startswith(os.path.join(removed, b"")):
        raise ValueError("%s holds the work directory, and is not removed" % text_of(removed))
    import shutil  # noqa: PLC0415 - nobody else here needs it

    shutil.rmtree(whole)
    return {}, b""


def _rename(base: str, path: str, to: str) -> Answer:
    os.replace(resolve(base, path), resolve(base, to))
    return {}, b""


def _mark(base: str, path: str) -> Answer:
    """What only the storage of the directory ``path`` has, made when first asked for: who sees it is on the same storage."""
    name = os.path.join(resolve(base, path), b"storage")
    with contextlib.suppress(FileExistsError):
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(16).hex().encode("ascii"))
    with open(name, encoding="ascii") as stream:
        return {"mark": stream.read()}, b""


OPERATIONS: Dict[str, Callable[..., Answer]] = {
    "ls": _ls,
    "scandir": _scandir,
    "find": _find,
    "glob": _glob,
    "count_files": _count_files,
    "du": _du,
    "stat": _stat,
    "exists": _test(os.path.exists),
    "isdir": _test(os.path.isdir),
    "isfile": _test(os.path.isfile),
    "read": _read,
    "mkdir": _mkdir,
    "rm": _rm,
    "rename": _rename,
    "tree": copying.tree,
    "fetch": copying.fetch,
    "fetch_block": copying.fetch_block,
    "digests": copying.digests,
    "finish": copying.finish,
    "link": copying.link,
    "mark": _mark,
}
WITH_BODY: Dict[str, Callable[..., Answer]] = {
    "write": _write,
    "prepare": copying.prepare,
    "store": copying.store,
    "store_block": copying.store_block,
}
