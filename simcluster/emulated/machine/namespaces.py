"""Makes this process a machine of its own: its own file tree, host name and process numbers, where the kernel allows it.

Linux only (namespaces(7), mount_namespaces(7), pivot_root(2)); nothing here is called elsewhere.
"""

# Importing pathlib would double the time that this program takes to start.
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH112, PTH115, PTH120, PTH211

from __future__ import annotations

import ctypes
import os
import stat
import sys
from dataclasses import dataclass

__all__ = ["Plan", "become_subreaper", "cover_read_only", "cover_served", "enter", "join", "mount_proc", "uncover"]

_CLONE = {"mount": 0x00020000, "uts": 0x04000000, "user": 0x10000000, "pid": 0x20000000}
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 1 << 5, 1 << 12, 1 << 13, 1 << 14, 1 << 18
_MNT_DETACH = 2
_SAME_FLAGS = 2 | 4 | 8 | 1024 | 2048
"""nosuid, nodev, noexec, noatime and nodiratime, which statvfs(3) and mount(2) number alike."""

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Plan:
    """The file tree that a machine sees: that of this computer, apart from what is said here.

    `replaced` are entries of / that are empty directories at first. `hidden` is not there. `bound` are pairs: what of
    this computer appears where, also under hidden directories. `emptied` are directories that keep only the entries
    whose names begin with one of `kept`. All paths are free of symbolic links. `mount_point` is an empty directory.
    """

    name: str
    mount_point: str
    replaced: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    bound: tuple[tuple[str, str], ...] = ()
    emptied: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def become_subreaper() -> None:
    """Have orphans among the descendants become this process's children: none of them gets away. prctl(2)."""
    _check(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def enter(kinds: list[str], plan: Plan) -> None:
    """Leave this computer's namespaces of these kinds. With "pid" among them, the next child is process 1.

    Raises OSError where the kernel or a container's rules forbid it; the process should then end.
    """
    if "pid" in kinds and "mount" not in kinds:
        raise ValueError("a machine with processes of its own mounts /proc, and would do so over this computer's")
    libc = _libc()
    uid, gid = os.getuid(), os.getgid()
    _check(libc.unshare(sum(_CLONE[kind] for kind in kinds)), "unshare")
    if "user" in kinds:
        _write("/proc/self/setgroups", "deny")  # else no group may be mapped: user_namespaces(7)
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    if "uts" in kinds:
        name = plan.name.encode()
        _check(libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")
    if "mount" in kinds:
        _build_tree(plan)
        _change_root(plan.mount_point)


def join(pid: int, kinds: list[str]) -> None:
    """Come to see what that process sees: its file tree, and its user namespace, by which it has it. setns(2)."""
    for kind, file in (("user", "user"), ("mount", "mnt")):
        if kind in kinds:
            descriptor = os.open(f"/proc/{pid}/ns/{file}", os.O_RDONLY | os.O_CLOEXEC)
            _check(_libc().setns(descriptor, _CLONE[kind]), "setns")
            os.close(descriptor)


def cover_read_only(path: str) -> None:
    """Put a directory over itself, read-only. What has come into it before goes on with the one beneath."""
    _mount(path, path, None, _MS_BIND)
    # What a user namespace has inherited has to be said again, or the kernel refuses: mount_namespaces(7).
    kept = os.statvfs(path).f_flag & _SAME_FLAGS
    _mount("none", path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)


def cover_served(path: str) -> int:
    """Put over a directory what somebody serves who reads the requests for it from this descriptor: fuse(4)."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},default_permissions"
    try:
        _mount("simcluster", path, "fuse", _MS_NOSUID | _MS_NODEV, options)
    except OSError:
        os.close(device)
        raise
    return device


def uncover(path: str) -> None:
    """Take off what lies over a directory."""
    _check(_libc().umount2(os.fsencode(path), _MNT_DETACH), f"umount {path}")


def mount_proc() -> None:
    """Show this machine's own processes in /proc; called by process 1."""
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def _build_tree(plan: Plan) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    # What is bound may lie under what is hidden, so it is held open before.
    handles = [(os.open(source, os.O_PATH | os.O_CLOEXEC), target) for source, target in plan.bound]
    root = plan.mount_point
    _mount("simcluster", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    for entry in os.scandir("/"):
        _add_top_level(entry, root, plan.replaced)
    covers = [directory for directory in sorted(plan.hidden) if _hide(root + directory)]
    for handle, target in handles:
        _bind(f"/proc/self/fd/{handle}", root + target)
        os.close(handle)
    for directory in plan.emptied:
        if os.path.isdir(root + directory):
            _empty(directory, root, plan.kept)
    for directory in covers:
        _mount("none", root + directory, None, _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _add_top_level(entry: os.DirEntry[str], root: str, replaced: tuple[str, ...]) -> None:
    target = root + entry.path
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
    elif entry.path in replaced:
        os.mkdir(target)
    elif entry.is_dir():
        os.mkdir(target)
        try:
            _mount(entry.path, target, None, _MS_BIND | _MS_REC)
        except OSError:
            os.rmdir(target)  # such as a mount whose server is gone: this machine does without


def _hide(path: str) -> bool:
    """Put something empty over a path; whether that was a directory."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        _mount("simcluster", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
        return True
    if not stat.S_ISLNK(mode):
        _mount("/dev/null", path, None, _MS_BIND)
    return False


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    _mount(source, target, None, _MS_BIND | _MS_REC)


def _empty(directory: str, root: str, kept: tuple[str, ...]) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    handles = [
        (entry.name, os.open(entry.path, os.O_PATH | os.O_CLOEXEC))
        for entry in os.scandir(root + directory)
        if entry.name.startswith(kept)
    ]
    _mount("simcluster", root + directory, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    for name, handle in handles:
        _bind(f"/proc/self/fd/{handle}", f"{root}{directory}/{name}")
        os.close(handle)


def _change_root(root: str) -> None:
    os.chdir(root)
    libc = _libc()
    if libc.pivot_root(b".", b".") == 0:
        # The old root lies over the new one at this moment: pivot_root(2), "pivot_root(".", ".")".
        _check(libc.umount2(b".", _MNT_DETACH), "umount2")
    else:  # the root is the initial RAM file system, which can't be moved away
        _mount(".", "/", None, _MS_MOVE)
        os.chroot(".")
    os.chdir("/")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = _libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
