"""The kernel's side of a file system in user space: its requests and how they are answered, as in linux/fuse.h."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

__all__ = ["FileSystem", "Listing", "serve"]

Listing = list[tuple[bytes, int, int]]
"""Name, inode number and type (as in the mode) of what is in a directory."""

_MAJOR, _MINOR = 7, 31
_MOST_WRITTEN = 128 << 10
_BUFFER = _MOST_WRITTEN + 4096
_BACKGROUND = 16
# FUSE_ASYNC_READ, FUSE_ATOMIC_O_TRUNC, FUSE_BIG_WRITES, FUSE_AUTO_INVAL_DATA: others write to the same files.
_WANTED = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 12

_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
_SETATTR = struct.Struct("<IIQQQQQQIIIIIIII")
_STATFS = struct.Struct("<QQQQQIIII24x")

_INIT, _DESTROY = 26, 38
_SILENT = {2, 36, 42}
"""FORGET, INTERRUPT and BATCH_FORGET, which nobody waits for."""


class FileSystem(Protocol):
    """One mounted file system. A node is a number that `lookup` and its like gave out; 1 is the top directory.

    Whatever fails raises OSError with the number that the caller is to see.
    """

    def lookup(self, parent: int, name: bytes) -> tuple[int, os.stat_result]: ...
    def forget(self, node: int, count: int) -> None: ...
    def attributes(self, node: int, handle: int | None) -> os.stat_result: ...
    def change(
        self,
        node: int,
        handle: int | None,
        *,
        mode: int | None,
        owner: tuple[int, int] | None,
        size: int | None,
        times: tuple[int | None, int | None],
    ) -> os.stat_result: ...
    def read_link(self, node: int) -> bytes: ...
    def make_link(self, parent: int, name: bytes, target: bytes) -> tuple[int, os.stat_result]: ...
    def make_node(self, parent: int, name: bytes, mode: int, device: int) -> tuple[int, os.stat_result]: ...
    def make_directory(self, parent: int, name: bytes, mode: int) -> tuple[int, os.stat_result]: ...
    def remove(self, parent: int, name: bytes) -> None: ...
    def remove_directory(self, parent: int, name: bytes) -> None: ...
    def rename(self, parent: int, name: bytes, new_parent: int, new_name: bytes) -> None: ...
    def link(self, node: int, parent: int, name: bytes) -> tuple[int, os.stat_result]: ...
    def open(self, node: int, flags: int) -> int: ...
    def create(self, parent: int, name: bytes, flags: int, mode: int) -> tuple[tuple[int, os.stat_result], int]: ...
    def read(self, handle: int, offset: int, size: int) -> bytes: ...
    def write(self, handle: int, offset: int, data: memoryview) -> int: ...
    def allocate(self, handle: int, offset: int, size: int, mode: int) -> None: ...
    def synchronize(self, handle: int) -> None: ...
    def release(self, handle: int) -> None: ...
    def list(self, node: int) -> Listing: ...
    def usage(self) -> os.statvfs_result: ...


def serve(device: int, file_system: FileSystem, lock: threading.Lock) -> None:
    """Answer the requests that come over an open /dev/fuse until the last user of the mount is gone, under a lock."""
    answers = _Answers(file_system)
    while True:
        try:
            request = os.read(device, _BUFFER)
        except OSError as error:
            if error.errno in {errno.EINTR, errno.EAGAIN, errno.ENOENT}:  # the last: who asked was interrupted
                continue
            if error.errno == errno.ENODEV:
                return
            raise
        _, operation, unique, node, *_ = _IN.unpack_from(request)
        if operation == _DESTROY:
            return
        number, body = 0, b""
        try:
            with lock:
                body = answers.to(operation, node, memoryview(request)[_IN.size :])
        except OSError as error:
            number = error.errno or errno.EIO
        if operation not in _SILENT:
            _answer(device, unique, number, body)


def _answer(device: int, unique: int, number: int, body: bytes) -> None:
    try:
        os.write(device, _OUT.pack(_OUT.size + len(body), -number, unique) + body)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENODEV}:  # who asked does not wait any more
            raise


class _Answers:
    """What is answered to each request."""

    def __init__(self, file_system: FileSystem) -> None:
        self._fs = file_system
        self._listings: dict[int, Listing] = {}
        self._by_operation: dict[int, Callable[[int, memoryview], bytes]] = {
            1: self._lookup,
            2: self._forget,
            3: self._getattr,
            4: self._setattr,
            5: lambda node, _: self._fs.read_link(node),
            6: self._symlink,
            8: self._mknod,
            9: self._mkdir,
            10: self._unlink,
            11: self._rmdir,
            12: self._rename,
            13: self._link,
            14: self._open,
            15: self._read,
            16: self._write,
            17: lambda *_: _packed_usage(self._fs.usage()),
            18: self._release,
            20: self._fsync,
            25: lambda *_: b"",
            _INIT: self._init,
            27: self._opendir,
            28: self._readdir,
            29: self._releasedir,
            30: lambda *_: b"",
            35: self._create,
            36: lambda *_: b"",
            42: self._forget_several,
            43: self._fallocate,
        }

    def to(self, operation: int, node: int, body: memoryview) -> bytes:
        """The answer's body; what is not here the kernel does without, for it is told so."""
        if answer := self._by_operation.get(operation):
            return answer(node, body)
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def _init(self, _node: int, body: memoryview) -> bytes:
        _, _, read_ahead, flags = struct.unpack_from("<IIII", body)
        return struct.pack(
            "<IIIIHHIIHHI28x",
            _MAJOR,
            _MINOR,
            read_ahead,
            flags & _WANTED,
            _BACKGROUND,
            _BACKGROUND,
            _MOST_WRITTEN,
            1,
            0,
            0,
            0,
        )

    def _lookup(self, node: int, body: memoryview) -> bytes:
        return _entry(self._fs.lookup(node, _strings(body)[0]))

    def _forget(self, node: int, body: memoryview) -> bytes:
        self._fs.forget(node, *struct.unpack_from("<Q", body))
        return b""

    def _forget_several(self, _node: int, body: memoryview) -> bytes:
        (count,) = struct.unpack_from("<I", body)
        for node, times in struct.iter_unpack("<QQ", body[8 : 8 + 16 * count]):
            self._fs.forget(node, times)
        return b""

    def _getattr(self, node: int, body: memoryview) -> bytes:
        has_handle, _, handle = struct.unpack_from("<IIQ", body)
        return _attributes(self._fs.attributes(node, handle if has_handle & 1 else None))

    def _setattr(self, node: int, body: memoryview) -> bytes:
        valid, _, handle, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = _SETATTR.unpack_from(
            body
        )
        # FATTR_MODE, UID, GID, SIZE, ATIME, MTIME, FH; the kernel fills in the time where it is "now".
        owner = (uid if valid & 2 else -1, gid if valid & 4 else -1) if valid & 6 else None
        times = (
            atime * 10**9 + atime_ns if valid & 16 else None,
            mtime * 10**9 + mtime_ns if valid & 32 else None,
        )
        return _attributes(
            self._fs.change(
                node,
                handle if valid & 64 else None,
                mode=mode if valid & 1 else None,
                owner=owner,
                size=size if valid & 8 else None,
                times=times,
            )
        )

    def _symlink(self, node: int, body: memoryview) -> bytes:
        name, target = _strings(body)[:2]
        return _entry(self._fs.make_link(node, name, target))

    def _mknod(self, node: int, body: memoryview) -> bytes:
        mode, device = struct.unpack_from("<II", body)
        return _entry(self._fs.make_node(node, _strings(body[16:])[0], mode, device))

    def _mkdir(self, node: int, body: memoryview) -> bytes:
        (mode,) = struct.unpack_from("<I", body)
        return _entry(self._fs.make_directory(node, _strings(body[8:])[0], mode))

    def _unlink(self, node: int, body: memoryview) -> bytes:
        self._fs.remove(node, _strings(body)[0])
        return b""

    def _rmdir(self, node: int, body: memoryview) -> bytes:
        self._fs.remove_directory(node, _strings(body)[0])
        return b""

    def _rename(self, node: int, body: memoryview) -> bytes:
        (new_parent,) = struct.unpack_from("<Q", body)
        name, new_name = _strings(body[8:])[:2]
        self._fs.rename(node, name, new_parent, new_name)
        return b""

    def _link(self, node: int, body: memoryview) -> bytes:
        (old,) = struct.unpack_from("<Q", body)
        return _entry(self._fs.link(old, node, _strings(body[8:])[0]))

    def _open(self, node: int, body: memoryview) -> bytes:
        return struct.pack("<QII", self._fs.open(node, *struct.unpack_from("<I", body)), 0, 0)

    def _create(self, node: int, body: memoryview) -> bytes:
        flags, mode = struct.unpack_from("<II", body)
        entry, handle = self._fs.create(node, _strings(body[16:])[0], flags, mode)
        return _entry(entry) + struct.pack("<QII", handle, 0, 0)

    def _read(self, _node: int, body: memoryview) -> bytes:
        return self._fs.read(*struct.unpack_from("<QQI", body))

    def _write(self, _node: int, body: memoryview) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", self._fs.write(handle, offset, body[40 : 40 + size]), 0)

    def _fallocate(self, _node: int, body: memoryview) -> bytes:
        self._fs.allocate(*struct.unpack_from("<QQQI", body))
        return b""

    def _fsync(self, _node: int, body: memoryview) -> bytes:
        self._fs.synchronize(*struct.unpack_from("<Q", body))
        return b""

    def _release(self, _node: int, body: memoryview) -> bytes:
        self._fs.release(*struct.unpack_from("<Q", body))
        return b""

    def _opendir(self, node: int, _body: memoryview) -> bytes:
        handle = max(self._listings, default=0) + 1
        self._listings[handle] = self._fs.list(node)
        return struct.pack("<QII", handle, 0, 0)

    def _readdir(self, node: int, body: memoryview) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        if offset == 0:  # also of rewinddir(3), which is to see what is new
            self._listings[handle] = self._fs.list(node)
        packed = b""
        for number, (name, inode, mode) in enumerate(self._listings[handle][offset:], offset + 1):
            one = struct.pack("<QQII", inode, number, len(name), mode >> 12) + name
            one += bytes(-len(one) % 8)
            if len(packed) + len(one) > size:
                break
            packed += one
        return packed

    def _releasedir(self, _node: int, body: memoryview) -> bytes:
        (handle,) = struct.unpack_from("<Q", body)
        self._listings.pop(handle, None)
        return b""


def _strings(body: memoryview) -> Sequence[bytes]:
    return bytes(body).split(b"\0")


def _entry(found: tuple[int, os.stat_result]) -> bytes:
    """Nothing of it may be kept, for other machines change it: all times that it is valid are 0."""
    node, about = found
    return struct.pack("<Q32x", node) + _packed(about)


def _attributes(about: os.stat_result) -> bytes:
    return bytes(16) + _packed(about)


def _packed(about: os.stat_result) -> bytes:
    times = [about.st_atime_ns, about.st_mtime_ns, about.st_ctime_ns]
    return _ATTRIBUTES.pack(
        about.st_ino,
        about.st_size,
        about.st_blocks,
        *(max(0, time) // 10**9 for time in times),
        *(max(0, time) % 10**9 for time in times),
        about.st_mode,
        max(1, about.st_nlink),  # what is kept for those who see it late may be removed already
        about.st_uid,
        about.st_gid,
        about.st_rdev & 0xFFFFFFFF,
        about.st_blksize,
        0,
    )


def _packed_usage(about: os.statvfs_result) -> bytes:
    return _STATFS.pack(
        about.f_blocks,
        about.f_bfree,
        about.f_bavail,
        about.f_files,
        about.f_ffree,
        about.f_bsize,
        about.f_namemax,
        about.f_frsize,
        0,
    )
