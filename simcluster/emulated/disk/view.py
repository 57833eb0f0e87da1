"""A shared directory as one machine sees it: the real one, within the limits of what may be written, and late."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcluster.emulated.disk.room import Room
    from simcluster.emulated.disk.stale import Past, Place
    from simcluster.emulated.disk.wire import Listing

__all__ = ["View"]

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC if hasattr(os, "O_PATH") else 0
_NOT_AGAIN = os.O_CREAT | os.O_EXCL | os.O_NOCTTY | os.O_NOFOLLOW | getattr(os, "O_DIRECT", 0)
_DIRECTORY = 4096
"""Bytes that a directory takes."""

Entry = tuple[int, os.stat_result]


@dataclass
class _Node:
    """A file or directory that the kernel knows. `is_kept`: it is what was at its place before a change."""

    descriptor: int
    identity: tuple[int, int]
    place: Place | None = None
    is_kept: bool = False
    count: int = 0

    @property
    def path(self) -> str:
        """A path of it that is good even when it has none any more."""
        return f"/proc/self/fd/{self.descriptor}"


class View:
    """See `wire.FileSystem`."""

    def __init__(self, root: str, machine: str, room: Room, past: Past) -> None:
        self._machine = machine
        self._room = room
        self._past = past
        self._nodes: dict[int, _Node] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self._handles: dict[int, _Node] = {}
        self._last = 0
        self._enter(os.open(root, _PATH), None)

    def lookup(self, parent: int, name: bytes) -> Entry:
        place = self._place(parent, name)
        is_real, before = self._past.seen(self._machine, place)
        if is_real:
            return self._enter(os.open(name, _PATH, dir_fd=self._nodes[parent].descriptor), place)
        if before is None:
            raise _error(errno.ENOENT)
        return self._enter(os.dup(before), place, is_kept=True)

    def forget(self, node: int, count: int) -> None:
        known = self._nodes[node]
        known.count -= count
        if known.count <= 0:
            os.close(known.descriptor)
            del self._nodes[node], self._numbers[known.identity]

    def attributes(self, node: int, handle: int | None) -> os.stat_result:
        return os.fstat(self._nodes[node].descriptor if handle is None else handle)

    def change(
        self,
        node: int,
        handle: int | None,
        *,
        mode: int | None,
        owner: tuple[int, int] | None,
        size: int | None,
        times: tuple[int | None, int | None],
    ) -> os.stat_result:
        known = self._current(node)
        if size is not None:
            growth = size - os.fstat(known.descriptor).st_size
            self._room.take(growth, least=growth)
            self._write_down(known)
            os.truncate(known.path if handle is None else handle, size)
            self._room.give_back(max(0, -growth))
        if owner is not None:
            os.chown(known.path, *owner)
        if mode is not None:
            Path(known.path).chmod(stat.S_IMODE(mode))
        if times != (None, None):
            about = os.fstat(known.descriptor)
            was = (about.st_atime_ns, about.st_mtime_ns)
            os.utime(
                known.path, ns=(was[0] if times[0] is None else times[0], was[1] if times[1] is None else times[1])
            )
        return os.fstat(known.descriptor)

    def read_link(self, node: int) -> bytes:
        return os.readlink(b"", dir_fd=self._nodes[node].descriptor)

    def make_link(self, parent: int, name: bytes, target: bytes) -> Entry:
        with self._changing((parent, name)):
            os.symlink(target, name, dir_fd=self._nodes[parent].descriptor)
        return self.lookup(parent, name)

    def make_node(self, parent: int, name: bytes, mode: int, device: int) -> Entry:
        with self._changing((parent, name)):
            os.mknod(name, mode, device, dir_fd=self._nodes[parent].descriptor)
        return self.lookup(parent, name)

    def make_directory(self, parent: int, name: bytes, mode: int) -> Entry:
        with self._changing((parent, name)):
            self._room.take(_DIRECTORY, least=_DIRECTORY)
            try:
                os.mkdir(name, mode, dir_fd=self._nodes[parent].descriptor)
            except OSError:
                self._room.give_back(_DIRECTORY)
                raise
        return self.lookup(parent, name)

    def remove(self, parent: int, name: bytes) -> None:
        freed = self._size_if_last(parent, name)
        with self._changing((parent, name)):
            os.unlink(name, dir_fd=self._nodes[parent].descriptor)
        self._room.give_back(freed)

    def remove_directory(self, parent: int, name: bytes) -> None:
        with self._changing((parent, name)):
            os.rmdir(name, dir_fd=self._nodes[parent].descriptor)
        self._room.give_back(_DIRECTORY)

    def rename(self, parent: int, name: bytes, new_parent: int, new_name: bytes) -> None:
        descriptors = self._nodes[parent].descriptor, self._nodes[new_parent].descriptor
        freed = self._size_if_last(new_parent, new_name)
        moved = _identity(os.stat(name, dir_fd=descriptors[0], follow_symlinks=False))
        with self._changing((parent, name), (new_parent, new_name)):
            os.rename(name, new_name, src_dir_fd=descriptors[0], dst_dir_fd=descriptors[1])
        self._room.give_back(freed)
        if moved in self._numbers:
            self._nodes[self._numbers[moved]].place = self._place(new_parent, new_name)

    def link(self, node: int, parent: int, name: bytes) -> Entry:
        known = self._current(node)
        with self._changing((parent, name)):
            os.link(known.path, name, dst_dir_fd=self._nodes[parent].descriptor, follow_symlinks=True)
        return self.lookup(parent, name)

    def open(self, node: int, flags: int) -> int:
        known = self._nodes[node]
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            self._current(node)
        freed = 0
        if flags & os.O_TRUNC:
            freed = os.fstat(known.descriptor).st_size
            self._write_down(known)
        handle = os.open(known.path, flags & ~_NOT_AGAIN | os.O_CLOEXEC)
        self._room.give_back(freed)
        self._handles[handle] = known
        return handle

    def create(self, parent: int, name: bytes, flags: int, mode: int) -> tuple[Entry, int]:
        descriptor = self._nodes[parent].descriptor
        place = self._place(parent, name)
        if not flags & os.O_EXCL and _exists(name, descriptor):
            # Another machine has just made it: as with NFS, the server knows better.
            self._past.show(self._machine, place)
            entry = self.lookup(parent, name)
            return entry, self.open(entry[0], flags)
        with self._changing((parent, name)):
            handle = os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=descriptor)
        entry = self.lookup(parent, name)
        self._handles[handle] = self._nodes[entry[0]]
        return entry, handle

    def read(self, handle: int, offset: int, size: int) -> bytes:
        return os.pread(handle, size, offset)

    def write(self, handle: int, offset: int, data: memoryview) -> int:
        """As many bytes as there is room for; at least one, or it is an error."""
        size = os.fstat(handle).st_size
        growth = min(len(data), max(0, offset + len(data) - size))
        inside = len(data) - growth
        taken = self._room.take(growth, least=0 if inside else 1)
        self._write_down(self._handles[handle])
        return os.pwrite(handle, data[: inside + taken], offset)

    def allocate(self, handle: int, offset: int, size: int, mode: int) -> None:
        if sys.platform != "linux":
            raise NotImplementedError
        if mode:  # such as punching holes
            raise _error(errno.EOPNOTSUPP)
        growth = max(0, offset + size - os.fstat(handle).st_size)
        self._room.take(growth, least=growth)
        self._write_down(self._handles[handle])
        os.posix_fallocate(handle, offset, size)

    def synchronize(self, handle: int) -> None:
        os.fsync(handle)

    def release(self, handle: int) -> None:
        del self._handles[handle]
        os.close(handle)

    def list(self, node: int) -> Listing:
        known = self._nodes[node]
        descriptor = os.open(known.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = {os.fsencode(entry.name): (entry.inode(), _kind(entry)) for entry in os.scandir(descriptor)}
        finally:
            os.close(descriptor)
        for name in self._past.names(known.identity):
            is_real, before = self._past.seen(self._machine, (known.identity, name))
            if not is_real:
                found.pop(name, None)
                if before is not None:
                    about = os.fstat(before)
                    found[name] = (about.st_ino, stat.S_IFMT(about.st_mode))
        own = known.identity[1], stat.S_IFDIR
        return [(b".", *own), (b"..", *own), *((name, *about) for name, about in found.items())]

    def usage(self) -> os.statvfs_result:
        about = os.fstatvfs(self._nodes[1].descriptor)
        left = self._room.left
        if left is None:
            return about
        values = list(about)
        blocks = left // about.f_frsize
        values[3:5] = min(about.f_bfree, blocks), min(about.f_bavail, blocks)
        return os.statvfs_result([*values, about.f_fsid])

    def close(self) -> None:
        """Let go of everything; the mount is gone."""
        for handle in self._handles:
            os.close(handle)
        for known in self._nodes.values():
            os.close(known.descriptor)

    def _place(self, parent: int, name: bytes) -> Place:
        return self._nodes[parent].identity, name

    def _enter(self, descriptor: int, place: Place | None, *, is_kept: bool = False) -> Entry:
        """The node that an open file is, which is one and the same under all of its names."""
        about = os.fstat(descriptor)
        identity = _identity(about)
        number = self._numbers.get(identity)
        if number is None:
            self._last = number = self._last + 1
            self._numbers[identity] = number
            self._nodes[number] = _Node(descriptor, identity)
        else:
            os.close(descriptor)
        known = self._nodes[number]
        known.place, known.is_kept, known.count = place, is_kept, known.count + 1
        return number, about

    def _current(self, node: int) -> _Node:
        """A node that is to be changed. If it is what was there before, the kernel is told to look again."""
        known = self._nodes[node]
        if known.is_kept and known.place:
            self._past.show(self._machine, known.place)
            raise _error(errno.ESTALE)
        return known

    def _write_down(self, known: _Node) -> None:
        """Keep the content of a file that is about to be changed, if it is still where it was found."""
        if not self._past.is_on or known.place is None or known.place[0] not in self._numbers:
            return
        parent = self._nodes[self._numbers[known.place[0]]].descriptor
        if _exists(known.place[1], parent, known.identity):
            self._past.written(self._machine, known.place, known.descriptor)

    @contextmanager
    def _changing(self, *names: tuple[int, bytes]) -> Iterator[None]:
        """Keep what is at these places if it is about to be changed and others are to see it for a while."""
        if not self._past.is_on:
            yield
            return
        befores = [_opened(name, self._nodes[parent].descriptor) for parent, name in names]
        try:
            yield
        except OSError as error:
            for before in befores:
                if before is not None:
                    os.close(before)
            if isinstance(error, FileExistsError):  # now this machine knows; with NFS, too, it looks again
                self._past.show(self._machine, self._place(*names[-1]))
            raise
        for (parent, name), before in zip(names, befores, strict=True):
            self._past.changed(self._machine, self._place(parent, name), before)

    def _size_if_last(self, parent: int, name: bytes) -> int:
        """What is freed when this name goes."""
        try:
            about = os.stat(name, dir_fd=self._nodes[parent].descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        return about.st_size if stat.S_ISREG(about.st_mode) and about.st_nlink == 1 else 0


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _exists(name: bytes, directory: int, identity: tuple[int, int] | None = None) -> bool:
    try:
        about = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return identity in {None, _identity(about)}


def _opened(name: bytes, directory: int) -> int | None:
    try:
        return os.open(name, _PATH, dir_fd=directory)
    except FileNotFoundError:
        return None


def _kind(entry: os.DirEntry[str]) -> int:
    """The type as in a mode; 0 lets the reader ask."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0
