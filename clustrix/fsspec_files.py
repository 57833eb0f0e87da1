"""The cluster's files for fsspec, and so for pandas, dask and xarray: ``clustrix://profile/path``.

The path is relative to the profile's ``remote_work_dir``; one more slash makes it absolute (``clustrix://profile//scratch/x``). Without
a profile, as in ``clustrix:///path``, the configuration in force says which cluster. This module needs fsspec, which nothing else here does.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from clustrix.config import ClusterConfig, ProfileManager
from clustrix.errors import ConfigurationError
from clustrix.filesystem import ClusterFilesystem, FileInfo

__all__ = ["ClustrixFileSystem"]

_PREFIX = "clustrix://"


class ClustrixFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The files of a profile's cluster; errors are Python's own, as those of `ClusterFilesystem`."""

    protocol = "clustrix"
    root_marker = ""

    def __init__(self, profile: str = "", **options: Any) -> None:
        if self._cached:
            return
        super().__init__(**options)
        self.profile = profile
        self.files = ClusterFilesystem(_config_of(profile) if profile else None)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(item) for item in path]
        text = Path(path).as_posix() if not isinstance(path, str) else path
        if text.startswith(_PREFIX):
            text = text[len(_PREFIX) :].partition("/")[2]
        return text.rstrip("/") or ("/" if text.startswith("/") else "")

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, str]:
        profile = urlpath[len(_PREFIX) :].partition("/")[0] if urlpath.startswith(_PREFIX) else ""
        return {"profile": profile} if profile else {}

    def unstrip_protocol(self, name: str) -> str:
        return f"{_PREFIX}{self.profile}/{self._strip_protocol(name)}"

    def ls(self, path: str, detail: bool = True, **_options: Any) -> list[Any]:
        path, whole = self._strip_protocol(path), self._whole(path)
        if self.files.isfile(whole):
            found = [self.info(path)]
        else:
            before = f"{path.rstrip('/')}/" if path else ""
            found = [_described(before + info.name, info) for info in self.files.scandir(whole)]
        return found if detail else [item["name"] for item in found]

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        return _described(self._strip_protocol(path), self.files.stat(self._whole(path)))

    def exists(self, path: str, **_options: Any) -> bool:
        return self.files.exists(self._whole(path))

    def created(self, path: str) -> Any:
        raise NotImplementedError(f"{path}: a cluster's file systems don't say when a file was made")

    def modified(self, path: str) -> Any:
        return self.files.stat(self._whole(path)).modified_datetime

    def mkdir(self, path: str, create_parents: bool = True, **_options: Any) -> None:
        self.files.mkdir(self._whole(path), parents=create_parents, exist_ok=False)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.files.mkdir(self._whole(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        path = self._whole(path)
        if self.files.ls(path):
            raise OSError(f"{path} is not empty")
        self.files.rm(path, recursive=True)

    def _rm(self, path: str) -> None:
        path = self._whole(path)
        self.files.rm(path, recursive=self.files.isdir(path))

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        if maxdepth is not None:
            raise NotImplementedError("maxdepth: remove what is meant by its name")
        for item in [path] if isinstance(path, str) else path:
            self.files.rm(self._whole(item), recursive=recursive)

    def mv(self, path1: str, path2: str, **_options: Any) -> None:
        self.files.rename(self._whole(path1), self._whole(path2))

    def cp_file(self, path1: str, path2: str, **_options: Any) -> None:
        self.files.write(self._whole(path2), self.files.read(self._whole(path1)))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_options: Any) -> bytes:
        path = self._whole(path)
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.files.stat(path).size
            start, end = (size + item if item is not None and item < 0 else item for item in (start, end))
        start = max(0, start or 0)
        return self.files.read(path, start, None if end is None else max(0, end - start))

    def pipe_file(self, path: str, value: bytes, **_options: Any) -> None:
        self.files.write(self._whole(path), value)

    def get_file(self, rpath: str, lpath: str, **_options: Any) -> None:
        if self.files.isdir(self._whole(rpath)):
            Path(lpath).mkdir(parents=True, exist_ok=True)
            return
        self.files.get(self._whole(rpath), Path(lpath).absolute())

    def put_file(self, lpath: str, rpath: str, **_options: Any) -> None:
        if Path(lpath).is_dir():
            self.files.mkdir(self._whole(rpath))
            return
        self.files.put(Path(lpath).absolute(), self._whole(rpath))

    def _whole(self, path: str) -> str:
        """The path as the cluster's functions take it: the top has a name there."""
        return self._strip_protocol(path) or "."

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> _File:
        if mode not in ("rb", "wb"):
            raise ValueError(f"{path}: mode {mode!r} is not one of 'rb' and 'wb'")
        size = {"size": self.files.stat(path).size} if mode == "rb" else {}
        return _File(self, path, mode, block_size or "default", **size, **options)


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """Read in blocks; written to a new file, which takes its place when it is closed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.files.read(self.path, start, end - start))

    def _initiate_upload(self) -> None:
        self._part = secrets.token_hex(8)

    def _upload_chunk(self, final: bool = False) -> bool:
        content = self.buffer.getvalue()
        self._end = self.offset + len(content)
        self.fs.files.write_part(self.path, content, self._part, self.offset, is_last=final and self.autocommit)
        return True

    def commit(self) -> None:
        self.fs.files.write_part(self.path, b"", self._part, self._end, is_last=True)


def _described(name: str, info: FileInfo) -> dict[str, Any]:
    kind = "directory" if info.is_dir else "file"
    size = 0 if info.is_dir else info.size
    return {"name": name, "size": size, "type": kind, "mtime": info.modified, "mode": int(info.permissions, 8)}


def _config_of(profile: str) -> ClusterConfig:
    """The profile as the project's or the user's file has it, whatever this process was told beside."""
    managers = [ProfileManager(name) for name in ("clustrix.yml", "clustrix.yaml") if Path(name).exists()]
    managers.append(ProfileManager())
    for manager in managers:
        if profile in manager.names():
            return manager.get(profile)
    known = ", ".join(sorted({name for manager in managers for name in manager.names()}))
    raise ConfigurationError(f"{_PREFIX}{profile}/...: no profile {profile!r}; there is {known or 'none'}")
