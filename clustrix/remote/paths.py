"""Where everything is on the cluster: the one place that knows the layout of the state directory.

agents/<digest>/     this code, unpacked once per content
packages/<id>/       packages, unpacked once per content
overlays/<id>-.../   packages with files rewritten for one Python, by its version and who rewrote them
envs/<key>/          environments; ``current`` points to the one that was built whole
decisions/<digest>   which environment was decided on for equal wishes: a cache
wheels/<sha256>/     wheels that a client sent, each under its own name
jobs/<job_id>/       spec.json, key, args, bindings, environment, activation, script.sh, scheduler_id, out/, log/, marks/; a map's also pool/, rounds/
done/<client>/       one mark for each job that ended, renamed into place by the job itself
placed/              which content was put where in the user's directories, by digest of the path
notes.json           what was found out about the cluster's Pythons and modules
looking/             claim-<n>/ while an agent finds that out for the first time
"""

import contextlib
import io
import os
import re
import stat
from typing import Any, BinaryIO, Iterator, NamedTuple

__all__ = [
    "JobPaths",
    "StateDirError",
    "StatePaths",
    "aside",
    "check_name",
    "look_again",
    "open_state_dir",
    "read_whole",
    "remove_tree",
    "write_aside",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class StateDirError(Exception):
    """The state directory can't be used; the message says why and what to do."""


def check_name(name: str) -> str:
    """``name`` itself when it is safe as one path component, else ValueError."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError("not a valid name: %r" % (name,))
    return name


class JobPaths(NamedTuple):
    """The files of one job, under ``root`` (an absolute path)."""

    root: str

    def file(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    @property
    def spec(self) -> str:
        return self.file("spec.json")

    @property
    def key(self) -> str:
        return self.file("key")

    @property
    def arguments(self) -> str:
        return self.file("args")

    @property
    def bindings(self) -> str:
        return self.file("bindings")

    @property
    def environment(self) -> str:
        return self.file("environment")

    @property
    def activation(self) -> str:
        return self.file("activation")

    @property
    def step(self) -> str:
        return self.file("marks", "step")

    @property
    def script(self) -> str:
        return self.file("script.sh")

    @property
    def scheduler_id(self) -> str:
        return self.file("scheduler_id")

    @property
    def result(self) -> str:
        return self.file("out", "result")

    def tasks(self, element: str) -> str:
        """The log of one element of an array; see tasks.py."""
        return self.file("out", "tasks." + check_name(element))

    @property
    def pool(self) -> str:
        return self.file("pool")

    def output(self, stream: str, element: str) -> str:
        """What an element wrote to ``stdout`` or ``stderr``."""
        return self.file("log", "%s.%s" % (stream, element))

    @property
    def stdout(self) -> str:
        return self.file("log", "stdout")

    @property
    def stderr(self) -> str:
        return self.file("log", "stderr")


class StatePaths(NamedTuple):
    """The state directory, under ``root`` (an absolute path)."""

    root: str

    def agent(self, digest: str) -> str:
        return os.path.join(self.root, "agents", check_name(digest))

    def package(self, package_id: str) -> str:
        return os.path.join(self.root, "packages", check_name(package_id))

    def overlay(self, package_id: str, version: str, rewriter: str) -> str:
        return os.path.join(self.root, "overlays", check_name("%s-%s-%s" % (package_id, version, rewriter)))

    def environment(self, key: str) -> str:
        return os.path.join(self.root, "envs", check_name(key))

    def decision(self, digest: str) -> str:
        return os.path.join(self.root, "decisions", check_name(digest) + ".json")

    def wheel(self, sha256: str) -> str:
        return os.path.join(self.root, "wheels", check_name(sha256))

    def job(self, job_id: str) -> JobPaths:
        return JobPaths(os.path.join(self.root, "jobs", check_name(job_id)))

    @property
    def placed(self) -> str:
        return os.path.join(self.root, "placed")

    @property
    def notes(self) -> str:
        return os.path.join(self.root, "notes.json")

    def done(self, client: str) -> str:
        return os.path.join(self.root, "done", check_name(client))


def open_state_dir(path: str) -> StatePaths:
    """Create the state directory, or refuse one that others could write to or read.

    ``~`` is the home directory. Raises StateDirError for a directory of another owner, a link, a mode above 0700, and one
    that strangers could put another one in the place of.
    """
    root = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(os.path.dirname(root), exist_ok=True)
        _refuse_what_strangers_can_move(root)
        with contextlib.suppress(FileExistsError):
            os.mkdir(root, 0o700)
        info = os.lstat(root)
    except OSError as error:
        raise StateDirError("can't make the state directory %s: %s" % (root, error)) from error
    if not stat.S_ISDIR(info.st_mode):
        raise StateDirError("the state directory %s is not a directory: set remote_state_dir to another path" % root)
    if info.st_uid != os.getuid():
        raise StateDirError(
            "the state directory %s belongs to user %d: set remote_state_dir to one of yours" % (root, info.st_uid)
        )
    if info.st_mode & 0o077:
        raise StateDirError(
            "the state directory %s is open to others (mode %o): run 'chmod 700 %s' on the cluster if its content is yours"
            % (root, stat.S_IMODE(info.st_mode), root)
        )
    for name in ("agents", "packages", "envs", "jobs", "done", "placed", "wheels", "decisions", "overlays"):
        os.makedirs(os.path.join(root, name), mode=0o700, exist_ok=True)
    return StatePaths(root)


def _refuse_what_strangers_can_move(root: str) -> None:
    """What a directory's owner and group may do in it is the user's choice; what everybody may, or by a link of theirs, is not."""
    for start in {os.path.dirname(root), os.path.realpath(os.path.dirname(root))}:
        parent, above = start, ""
        while parent != above:
            info, itself = os.stat(parent), os.lstat(parent)
            is_theirs = stat.S_ISLNK(itself.st_mode) and itself.st_uid not in (0, os.getuid())
            if is_theirs or (info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX):
                raise StateDirError(
                    "the state directory %s could be replaced by others: %s %s. Set remote_state_dir to a path below a directory of yours"
                    % (root, parent, "is a link of theirs" if is_theirs else "is writable for everybody")
                )
            above, parent = parent, os.path.dirname(parent)


@contextlib.contextmanager
def aside(path: str) -> Iterator[BinaryIO]:
    """A file to write to, so that a reader of ``path`` sees the whole file or none: aside (0600), then renamed."""
    # Without `tempfile`: a job would have to import half the library with it, and before a module of the user's is called `random`.
    name = os.path.join(os.path.dirname(path), ".%s" % os.urandom(8).hex())
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_aside(path: str, *parts: Any) -> None:
    """Write ``parts`` to ``path`` so that a reader sees the whole file or none."""
    with aside(path) as stream:
        for part in parts:
            stream.write(part)


def read_whole(path: str) -> memoryview:
    """The content of a file, in memory that large arrays can stay in: it can be written to."""
    with open(path, "rb") as stream:
        # As nobody else has these bytes, BytesIO gives them away without a copy; a bytearray would first be filled with zeros.
        return io.BytesIO(stream.read()).getbuffer()


def look_again(directory: str) -> None:
    """Have a network file system look at ``directory`` again, as it does where a file was created and removed.

    A full disk or a quota refuses that; what is seen without it still counts.
    """
    path = os.path.join(directory, ".look-%s" % os.urandom(8).hex())
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a directory that may be vanishing or still written to; what is left then is removed by the next call."""
    import shutil  # noqa: PLC0415 - a job never needs it

    shutil.rmtree(path, ignore_errors=True)
