"""The two ends of a copy of files: one lists and reads, the other takes and writes; either may be here or on a cluster.

A file is written aside, checked by digest and renamed into place, with its permissions and its time: one that has size and
time of the source is there already. Of large ones the blocks that came are kept, so that a copy which was cut off goes on.
"""

import errno
import hashlib
import json
import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .file_names import resolve, text_of, to_bytes

__all__ = [
    "BLOCK",
    "Entry",
    "digests",
    "fetch",
    "fetch_block",
    "finish",
    "link",
    "prepare",
    "read_entries",
    "require_directory_of",
    "store",
    "store_block",
    "tree",
]

BLOCK = 4 << 20
"""Bytes. What is larger is copied in blocks of this size."""

Answer = Tuple[Dict[str, Any], Any]


class Entry(NamedTuple):
    """What there is to copy: ``kind`` is file, directory or link; ``name`` is relative to the top, and empty for the top itself."""

    name: str
    kind: str
    size: int = 0
    modified_ns: int = 0
    mode: int = 0
    target: str = ""


def read_entries(body: Any) -> List[Entry]:
    """The entries that a message holds."""
    return [Entry(*item) for item in json.loads(bytes(body).decode("utf-8"))]


# The end that is copied from.


def tree(base: str, path: str, on_error: str) -> Answer:
    """All of ``path``: it itself if it is a file, else what is below it, directories before what is in them. Links stay links."""
    top = resolve(base, path)
    info = os.stat(top)
    skipped: List[str] = []
    if stat.S_ISDIR(info.st_mode):
        entries = [Entry("", "directory", mode=stat.S_IMODE(info.st_mode))]
        _add_below(top, "", entries, skipped, on_error)
    else:
        entries = [_entry("", top, info)]
    return {"skipped": skipped}, json.dumps(entries).encode("ascii")


def _add_below(top: bytes, before: str, entries: List[Entry], skipped: List[str], on_error: str) -> None:
    waiting = [(before, top)]
    while waiting:
        before, directory = waiting.pop()
        try:
            for name in sorted(os.listdir(directory)):
                whole = os.path.join(directory, name)
                info = os.lstat(whole)
                entry = _entry(before + text_of(name), whole, info)
                if entry.kind == "other":
                    skipped.append(text_of(whole))
                    continue
                entries.append(entry)
                if entry.kind == "directory":
                    waiting.append((entry.name + "/", whole))
        except OSError as error:
            if on_error == "raise":
                raise
            skipped.append(text_of(error.filename or directory))


def _entry(name: str, whole: bytes, info: os.stat_result) -> Entry:
    mode = stat.S_IMODE(info.st_mode) & 0o777
    if stat.S_ISDIR(info.st_mode):
        return Entry(name, "directory", mode=mode)
    if stat.S_ISLNK(info.st_mode):
        return Entry(name, "link", target=text_of(os.readlink(whole)))
    if stat.S_ISREG(info.st_mode):
        return Entry(name, "file", info.st_size, info.st_mtime_ns, mode)
    return Entry(name, "other")  # sockets, pipes and devices are of their machine


def fetch(base: str, path: str, names: List[str], on_error: str) -> Answer:
    """The contents of small files, one after the other, with size and digest of each; None for one that can't be read."""
    top = resolve(base, path)
    contents: List[bytes] = []
    facts: List[Optional[Tuple[int, str]]] = []
    for name in names:
        try:
            with open(_below(top, name), "rb", buffering=0) as stream:
                content = stream.read()
        except OSError:
            if on_error == "raise":
                raise
            facts.append(None)
            continue
        contents.append(content)
        facts.append((len(content), hashlib.sha256(content).hexdigest()))
    return {"facts": facts}, b"".join(contents)


def fetch_block(base: str, path: str, name: str, offset: int, size: int) -> Answer:
    """A block of a large file, with its digest, and the file's facts by which it is seen whether that changed meanwhile."""
    with open(_below(resolve(base, path), name), "rb", buffering=0) as stream:
        info = os.fstat(stream.fileno())
        stream.seek(offset)
        content = _read_all(stream, min(size, max(0, info.st_size - offset)))
    digest = hashlib.sha256(content).hexdigest()
    return {"size": info.st_size, "modified_ns": info.st_mtime_ns, "digest": digest}, content


def digests(base: str, path: str, name: str, size: int) -> Answer:
    """The digest of each block of the first ``size`` bytes of a file."""
    return {"digests": _digests(_below(resolve(base, path), name), size)}, b""


def _digests(whole: bytes, size: int) -> List[str]:
    with open(whole, "rb") as stream:
        blocks = (stream.read(min(BLOCK, size - start)) for start in range(0, size, BLOCK))
        return [hashlib.sha256(block).hexdigest() for block in blocks]


# The end that is copied to.


def prepare(base: str, path: str, body: Any) -> Answer:
    """Make the directories, and say of each file what is here: True for all of it, or the digests of the blocks that came earlier."""
    top = resolve(base, path)
    known: Dict[str, bytes] = {}
    made: Set[str] = set()
    require_directory_of(top)
    here: List[Any] = []
    for entry in read_entries(body):
        whole = _checked(top, entry.name, known)
        if entry.kind == "directory":
            if _make_directory(whole, entry.mode):
                made.add(entry.name)
        elif entry.kind == "file":
            is_new = bool(entry.name) and entry.name.rpartition("/")[0] in made
            here.append([] if is_new else _is_there(whole, entry) or _came_earlier(whole, entry))
    return {"here": here}, b""


def require_directory_of(whole: bytes) -> None:
    """Raises FileNotFoundError if there is no directory to make the file or directory ``whole`` in."""
    directory = os.path.dirname(whole)
    if not os.path.lexists(directory):
        raise FileNotFoundError(
            errno.ENOENT, "No such directory; make it first (cluster_mkdir on the cluster),", directory
        )


def _make_directory(whole: bytes, mode: int) -> bool:
    """Whether it was not there."""
    try:
        os.mkdir(whole)
    except FileExistsError:
        if not os.path.isdir(whole):
            raise
        return False
    os.chmod(whole, mode | 0o700)  # it will be written to
    return True


def _is_there(whole: bytes, entry: Entry) -> bool:
    try:
        info = os.lstat(whole)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), whole)
    return stat.S_ISREG(info.st_mode) and (info.st_size, info.st_mtime_ns) == (entry.size, entry.modified_ns)


def _came_earlier(whole: bytes, entry: Entry) -> List[str]:
    if entry.size <= BLOCK:
        return []
    part = _part(whole, entry)
    try:
        return _digests(part, min(os.path.getsize(part), entry.size))
    except FileNotFoundError:
        return []


def store(base: str, path: str, entries: List[Any], facts: List[Any], body: Any) -> Answer:
    """Write small files, whose contents come one after the other."""
    top, start = resolve(base, path), 0
    known: Dict[str, bytes] = {}
    view = memoryview(body)
    for fields, (size, digest) in zip(entries, facts):
        entry = Entry(*fields)
        content = view[start : start + size]
        start += size
        whole = _checked(top, entry.name, known)
        part = _part(whole, entry)
        _check(content, digest, whole)
        handle = os.open(part, _WRITE | os.O_TRUNC, 0o600)
        try:
            try:
                _write_all(handle, content)
            finally:
                os.close(handle)
            _put(part, whole, entry)
        except BaseException:
            os.unlink(part)
            raise
    return {}, b""


def store_block(base: str, path: str, *, entry: List[Any], offset: int, digest: str, body: Any) -> Answer:
    """Write one block of a large file aside. Zeros are not written: the file has a hole there."""
    whole, described = _checked(resolve(base, path), entry[0], {}), Entry(*entry)
    _check(body, digest, whole)
    handle = os.open(_part(whole, described), _WRITE, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as stream:
        if os.fstat(handle).st_size >= offset + len(body) or not _is_zero(body):
            stream.seek(offset)
            _write_all(handle, body)
    return {}, b""


def finish(base: str, path: str, entry: List[Any]) -> Answer:
    """Put a large file into place, all of whose blocks came."""
    whole, described = _checked(resolve(base, path), entry[0], {}), Entry(*entry)
    part = _part(whole, described)
    os.truncate(part, described.size)
    _put(part, whole, described)
    return {}, b""


def link(base: str, path: str, entries: List[Any]) -> Answer:
    """Make the links, when all else is there."""
    top = resolve(base, path)
    known: Dict[str, bytes] = {}
    for fields in entries:
        entry = Entry(*fields)
        whole = _checked(top, entry.name, known)
        if os.path.islink(whole):
            if text_of(os.readlink(whole)) == entry.target:
                continue
            os.unlink(whole)
        os.symlink(to_bytes(entry.target), whole)
    return {}, b""


_WRITE = (
    os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)
_ZEROS = bytes(BLOCK)


def _read_all(stream: Any, size: int) -> Any:
    """Up to ``size`` bytes, fewer at the end of the file."""
    content = memoryview(bytearray(size))
    filled = 0
    while filled < size:
        count = stream.readinto(content[filled:])
        if not count:
            break
        filled += count
    return content[:filled]


def _write_all(handle: int, content: Any) -> None:
    view = memoryview(content)
    while len(view):
        view = view[os.write(handle, view) :]


def _is_zero(content: Any) -> bool:
    return bytes(content[:64]) == _ZEROS[: len(content[:64])] and content == _ZEROS[: len(content)]


def _check(content: Any, digest: str, whole: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != digest:
        raise OSError(errno.EIO, "The copy differs from its source: try again", whole)


def _part(whole: bytes, entry: Entry) -> bytes:
    """Where the new content lies until it is whole; another state of the source has another place."""
    directory, name = os.path.split(whole)
    state = b"%s %d %d" % (name, entry.size, entry.modified_ns)
    return os.path.join(directory, b".clustrix-%s.part" % hashlib.sha256(state).hexdigest()[:20].encode("ascii"))


def _put(part: bytes, whole: bytes, entry: Entry) -> None:
    os.utime(part, ns=(entry.modified_ns, entry.modified_ns))
    os.chmod(part, entry.mode)
    os.replace(part, whole)


def _below(top: bytes, name: str) -> bytes:
    return os.path.join(top, to_bytes(name)) if name else top


def _checked(top: bytes, name: str, known: Dict[str, bytes]) -> bytes:
    """The whole path of what is called ``name`` below ``top``, and nowhere else: the other end may be hostile.

    ``known`` has the directories below it that were found to be no links, by their names.
    Raises ValueError for a name that leads elsewhere by itself, and NotADirectoryError for one that does so by a link.
    """
    if not name:
        return top
    # Of the files of a directory, only the first has it looked at.
    before, slash, last = name.rpartition("/")
    if slash and before not in known:
        _enter(top, before, known)
    return os.path.join(known[before] if slash else top, _part_of(name, last))


def _enter(top: bytes, name: str, known: Dict[str, bytes]) -> None:
    whole, above = top, ""
    for part in name.split("/"):
        above = above + "/" + part if above else part
        whole = os.path.join(whole, _part_of(name, part))
        if above not in known:
            if os.path.islink(whole):
                raise NotADirectoryError(errno.ENOTDIR, "It is a link, through which nothing is copied", whole)
            known[above] = whole


def _part_of(name: str, part: str) -> bytes:
    if part in ("", ".", "..") or "\0" in part or (os.name == "nt" and ("\\" in part or ":" in part)):
        raise ValueError("%r is not the name of a file to copy" % name)
    return to_bytes(part)
