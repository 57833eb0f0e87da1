"""Files of the cluster for whoever is there or elsewhere: ``cluster_ls`` and its kin, and the same as methods.

The client's ``clustrix.filesystem`` and a job's are these functions; where a configuration's files are, each of the two says.

Names and paths are text; one that is no UTF-8 has surrogates in it (``surrogateescape``), as Python's own functions give it. A
relative path begins in ``remote_work_dir``, without a cluster in ``local_work_dir``; ``~`` at its beginning is the home directory.
What is missing, no directory or forbidden raises FileNotFoundError, NotADirectoryError, PermissionError as Python does, with host and path.
"""

import json
import os
import warnings
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Union

from .file_names import split_names
from .files import LARGEST_READ

if TYPE_CHECKING:
    from .transfer import Copied

__all__ = [
    "ClusterFilesystem",
    "DiskUsage",
    "FileInfo",
    "cluster_count_files",
    "cluster_du",
    "cluster_exists",
    "cluster_find",
    "cluster_get",
    "cluster_glob",
    "cluster_isdir",
    "cluster_isfile",
    "cluster_ls",
    "cluster_mkdir",
    "cluster_put",
    "cluster_read",
    "cluster_rm",
    "cluster_stat",
    "cluster_write",
]

Path = Union[str, PurePath, "os.PathLike[str]"]
Progress = Callable[[int, int], object]
AT_ONCE = 4


class Settings:
    """What the client, or the job, has this module know: both have another answer."""

    place_of: Callable[[Any], Any]
    """The place of a configuration's files, which has ``perform`` (see files.py); None stands for the one in force."""
    local_place_of: Callable[[Any], Any]
    """The place of the files that ``put`` reads and ``get`` writes."""
    progress: Callable[[str], Optional[Progress]] = staticmethod(lambda _doing: None)
    """Who is told of a copy if the caller names nobody."""


class FileInfo(NamedTuple):
    """``size`` in bytes, ``modified`` in Unix seconds, ``permissions`` in octal, such as "640". Of a link: what it leads to."""

    size: int
    modified: float
    is_dir: bool
    permissions: str
    name: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is no directory."""
        return not self.is_dir

    @property
    def modified_datetime(self) -> datetime:
        """When it was changed, in this machine's local time, without a zone as ``datetime.fromtimestamp`` gives it."""
        return datetime.fromtimestamp(self.modified)  # noqa: DTZ006 - see above


class DiskUsage(NamedTuple):
    """The bytes of regular files as their sizes have it (``du -b`` without directories), and how many these are.

    Links have no bytes; a file with several names (hard links) counts once.
    """

    total_bytes: int
    file_count: int

    @property
    def total_mb(self) -> float:
        """In units of 1024**2 bytes."""
        return self.total_bytes / (1 << 20)

    @property
    def total_gb(self) -> float:
        """In units of 1024**3 bytes."""
        return self.total_bytes / (1 << 30)


class ClusterFilesystem:
    """The files of ``config``'s cluster, by default of the one in force. Constructing connects nowhere.

    Every method is what the function ``cluster_<method>`` is, without ``config``.
    """

    def __init__(self, config: Any = None) -> None:
        self._config = config
        self._known_place: Any = None

    def ls(self, path: Path = ".") -> List[str]:
        """The names in a directory, sorted, those that begin with a dot as well."""
        return split_names(self._perform("ls", path=_text(path))[1])

    def scandir(self, path: Path = ".") -> List[FileInfo]:
        """What ``stat`` says of each thing in a directory, sorted by name; of a link that leads nowhere, what it itself is."""
        return [
            FileInfo(*fields)
            for fields in json.loads(bytes(self._perform("scandir", path=_text(path))[1]).decode("ascii"))
        ]

    def find(self, pattern: str, path: Path = ".", *, on_error: str = "raise") -> List[str]:
        """The files below ``path`` whose name matches, sorted; each begins with ``path``, unless that is ``.``.

        Patterns are those of `fnmatch`, and one with a ``/`` is for the end of the path, as ``pathlib.Path.rglob`` has it. Names that
        begin with a dot match like others. Links to files are found, links to directories are not entered.
        ``on_error="skip"`` goes on after a directory that can't be read, and warns.
        """
        return self._names("find", path, pattern, on_error)

    def glob(self, pattern: str, path: Path = ".", *, on_error: str = "raise") -> List[str]:
        """The files and directories that match, sorted; each begins with ``path``, unless that is ``.``.

        As ``glob.glob(pattern, root_dir=path, recursive=True, include_hidden=True)``, but ``**`` enters no links.
        """
        return self._names("glob", path, pattern, on_error)

    def count_files(self, path: Path = ".", pattern: str = "*", *, on_error: str = "raise") -> int:
        """How many files ``find`` would find."""
        found, _ = self._perform("count_files", path=_text(path), pattern=_text(pattern), on_error=on_error)
        return int(_told(found)["count"])

    def du(self, path: Path = ".", *, on_error: str = "raise") -> DiskUsage:
        """What a file has, or all that is below a directory."""
        found = _told(self._perform("du", path=_text(path), on_error=on_error)[0])
        return DiskUsage(found["bytes"], found["files"])

    def stat(self, path: Path) -> FileInfo:
        """Size, time and permissions; a link is followed."""
        return FileInfo(**self._perform("stat", path=_text(path))[0])

    def exists(self, path: Path) -> bool:
        """Whether there is a file or directory; a link that leads nowhere is none."""
        return bool(self._perform("exists", path=_text(path))[0]["is_so"])

    def isdir(self, path: Path) -> bool:
        """Whether it is a directory, or a link to one."""
        return bool(self._perform("isdir", path=_text(path))[0]["is_so"])

    def isfile(self, path: Path) -> bool:
        """Whether it is a regular file, or a link to one."""
        return bool(self._perform("isfile", path=_text(path))[0]["is_so"])

    def read(self, path: Path, offset: int = 0, size: Optional[int] = None) -> bytes:
        """The bytes of a file from ``offset``: ``size`` of them or, without, all; fewer at its end."""
        if offset < 0 or (size is not None and size < 0):
            raise ValueError("offset=%r, size=%r: neither can be negative" % (offset, size))
        wanted = {"path": _text(path)}
        first = LARGEST_READ if size is None else min(size, LARGEST_READ)
        found, content = self._perform("read", offset=offset, size=first, **wanted)
        end = found["size"] if size is None else min(found["size"], offset + size)
        starts = range(offset + LARGEST_READ, end, LARGEST_READ)
        if not starts:
            return bytes(content)

        def part(start: int) -> Any:
            now, more = self._perform("read", offset=start, size=min(LARGEST_READ, end - start), **wanted)
            if (now["size"], now["modified_ns"]) != (found["size"], found["modified_ns"]):
                raise OSError("%s changed while it was read: read it again" % path)
            return more

        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few files are so large

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return b"".join([content, *pool.map(part, starts)])

    def write(self, path: Path, data: Union[bytes, bytearray, memoryview, str]) -> None:
        """Make ``data`` the content of a file, text as UTF-8: a reader sees the old or the new, nothing between."""
        view = memoryview(data.encode("utf-8") if isinstance(data, str) else data).cast("B")
        name = os.urandom(8).hex()
        for start in range(0, max(1, len(view)), LARGEST_READ):
            part = view[start : start + LARGEST_READ]
            self.write_part(path, part, name, start, is_last=start + len(part) == len(view))

    def write_part(self, path: Path, data: Any, name: str, offset: int, *, is_last: bool) -> None:
        """One part of a new content, the first at 0 and each where the one before ended; ``name``, letters and digits, is that content's own."""
        self._perform("write", data, path=_text(path), part=name, offset=offset, is_last=is_last)

    def put(
        self, local: Path, remote: Path, *, on_error: str = "raise", progress: Optional[Progress] = None
    ) -> "Copied":
        """Copy a file or a tree of this machine to the cluster, where it is then called ``remote``.

        A file goes into ``remote`` if that is a directory or ends in ``/``; a tree is merged into a directory that is there, from which nothing
        is removed. Permissions and times are kept, links stay links. What is there already, by size and time, is not copied again, and
        a large file whose copy was cut off goes on where it was. Every content is checked by its SHA-256.
        ``progress(done, total)`` is told bytes; ``on_error="skip"`` leaves out what can't be read, and warns.
        """
        place = Settings.local_place_of(self._config)
        return self._copied(
            "sending", place, _text(local), self._place(), _text(remote), on_error=on_error, progress=progress
        )

    def get(
        self, remote: Path, local: Path, *, on_error: str = "raise", progress: Optional[Progress] = None
    ) -> "Copied":
        """Copy a file or a tree of the cluster to this machine, likewise."""
        place = Settings.local_place_of(self._config)
        return self._copied(
            "getting", self._place(), _text(remote), place, _text(local), on_error=on_error, progress=progress
        )

    def mkdir(self, path: Path, *, parents: bool = True, exist_ok: bool = True) -> None:
        """Make a directory, by default with those above it, and without complaint if it is there."""
        self._perform("mkdir", path=_text(path), parents=parents, exist_ok=exist_ok)

    def rm(self, path: Path, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a file or a link; with ``recursive`` also a directory and all in it, but none that holds the work directory."""
        self._perform("rm", path=_text(path), recursive=recursive, missing_ok=missing_ok)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file or directory another name; a file of that name is replaced."""
        self._perform("rename", path=_text(path), to=_text(to))

    def _place(self) -> Any:
        if self._known_place is None:
            self._known_place = Settings.place_of(self._config)
        return self._known_place

    def _perform(self, operation: str, _body: Any = b"", **arguments: Any) -> Any:
        return self._place().perform(operation, arguments, _body)

    def _names(self, operation: str, path: Path, pattern: str, on_error: str) -> List[str]:
        found, body = self._perform(operation, path=_text(path), pattern=_text(pattern), on_error=on_error)
        _told(found)
        return split_names(body)

    def _copied(
        self, doing: str, source: Any, path: str, target: Any, to: str, *, on_error: str, progress: Optional[Progress]
    ) -> "Copied":
        from .transfer import copy  # noqa: PLC0415 - most calls copy nothing

        copied = copy(
            source,
            path,
            target,
            to,
            on_error=on_error,
            progress=progress or Settings.progress("%s %s:" % (doing, path)),
        )
        _told({"skipped": copied.skipped})
        return copied


def _text(path: Any) -> str:
    if isinstance(path, PurePath):
        return path.as_posix()  # on Windows it would have backslashes
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError("a path is text, not %r: os.fsdecode gives that" % (text,))
    return text


def _told(found: Dict[str, Any]) -> Dict[str, Any]:
    """What an operation found; what it had to skip is a warning."""
    skipped = found["skipped"]
    if skipped:
        more = " and %d more" % (len(skipped) - 3) if len(skipped) > 3 else ""
        words = "%s%s can't be read, and what is there is left out" % (", ".join(map(repr, skipped[:3])), more)
        warnings.warn(words, UserWarning, stacklevel=5)
    return found


def cluster_ls(path: Path = ".", config: Any = None) -> List[str]:
    """The names in a directory, sorted, those that begin with a dot as well."""
    return ClusterFilesystem(config).ls(path)


def cluster_find(pattern: str, path: Path = ".", config: Any = None, *, on_error: str = "raise") -> List[str]:
    """The files below ``path`` that match, sorted; see `ClusterFilesystem.find`."""
    return ClusterFilesystem(config).find(pattern, path, on_error=on_error)


def cluster_stat(path: Path, config: Any = None) -> FileInfo:
    """Size, time and permissions; a link is followed."""
    return ClusterFilesystem(config).stat(path)


def cluster_exists(path: Path, config: Any = None) -> bool:
    """Whether there is a file or directory."""
    return ClusterFilesystem(config).exists(path)


def cluster_isdir(path: Path, config: Any = None) -> bool:
    """Whether it is a directory, or a link to one."""
    return ClusterFilesystem(config).isdir(path)


def cluster_isfile(path: Path, config: Any = None) -> bool:
    """Whether it is a regular file, or a link to one."""
    return ClusterFilesystem(config).isfile(path)


def cluster_glob(pattern: str, path: Path = ".", config: Any = None, *, on_error: str = "raise") -> List[str]:
    """The files and directories that match, sorted; see `ClusterFilesystem.glob`."""
    return ClusterFilesystem(config).glob(pattern, path, on_error=on_error)


def cluster_du(path: Path = ".", config: Any = None, *, on_error: str = "raise") -> DiskUsage:
    """How many bytes and files there are, see `DiskUsage`."""
    return ClusterFilesystem(config).du(path, on_error=on_error)


def cluster_count_files(path: Path = ".", pattern: str = "*", config: Any = None, *, on_error: str = "raise") -> int:
    """How many files `cluster_find` would find."""
    return ClusterFilesystem(config).count_files(path, pattern, on_error=on_error)


def cluster_read(path: Path, offset: int = 0, size: Optional[int] = None, config: Any = None) -> bytes:
    """The bytes of a file, or a part of them."""
    return ClusterFilesystem(config).read(path, offset, size)


def cluster_write(path: Path, data: Union[bytes, bytearray, memoryview, str], config: Any = None) -> None:
    """Make ``data`` the content of a file, text as UTF-8: a reader sees the old or the new, nothing between."""
    ClusterFilesystem(config).write(path, data)


def cluster_put(
    local: Path, remote: Path, config: Any = None, *, on_error: str = "raise", progress: Optional[Progress] = None
) -> "Copied":
    """Copy a file or a tree to the cluster; see `ClusterFilesystem.put`."""
    return ClusterFilesystem(config).put(local, remote, on_error=on_error, progress=progress)


def cluster_get(
    remote: Path, local: Path, config: Any = None, *, on_error: str = "raise", progress: Optional[Progress] = None
) -> "Copied":
    """Copy a file or a tree of the cluster to this machine; see `ClusterFilesystem.put`."""
    return ClusterFilesystem(config).get(remote, local, on_error=on_error, progress=progress)


def cluster_mkdir(path: Path, config: Any = None, *, parents: bool = True, exist_ok: bool = True) -> None:
    """Make a directory, by default with those above it, and without complaint if it is there."""
    ClusterFilesystem(config).mkdir(path, parents=parents, exist_ok=exist_ok)


def cluster_rm(path: Path, config: Any = None, *, recursive: bool = False, missing_ok: bool = False) -> None:
    """Remove a file or a link; with ``recursive`` also a directory and all in it."""
    ClusterFilesystem(config).rm(path, recursive=recursive, missing_ok=missing_ok)


# Pickles, and whoever looks where they are from, find them under the public name, which the client and a job have.
for _name in __all__:
    globals()[_name].__module__ = "clustrix.filesystem"
