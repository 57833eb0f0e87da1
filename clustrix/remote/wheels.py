"""Wheels that a client sent: kept by content, ``wheels/<sha256>/<name>.whl``, and unpacked without an installer."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from typing import TYPE_CHECKING, Callable, List, NamedTuple, Sequence

from .passing import Passing
from .paths import StatePaths, remove_tree

if TYPE_CHECKING:
    import zipfile

__all__ = ["Fetch", "Wheel", "WheelError", "fetch_wheels", "offered_wheels", "prune_wheels", "unpack_wheel"]

MAY_BE_NEEDED = 86400.0  # seconds since its last use: no build takes longer
KEPT_FOR = 30 * 86400.0  # seconds since its last use
MOST_KEPT = 4 << 30  # bytes of all together

Fetch = Callable[[str], bytes]
"""Has the client send a piece by name: ``wheels``, a JSON list of [name, sha256] of all that an environment needs, and
``wheel <sha256>``, the file itself. So each is sent once, whatever environments it is for."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*-[A-Za-z0-9_.!+]+(-[A-Za-z0-9_.]+){3,4}\.whl\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class WheelError(Exception):
    """A wheel is not what it should be; the message names it."""


class Wheel(NamedTuple):
    """A wheel's file name and the SHA-256 of its content, 64 hex digits."""

    name: str
    sha256: str


def offered_wheels(fetch: Fetch, hashes: Sequence[str] = ()) -> List[Wheel]:
    """The wheels that the client would send; with ``hashes``, only such as have one of them are accepted."""
    try:
        wheels = [Wheel(*map(str, item)) for item in json.loads(fetch("wheels").decode("utf-8"))]
    except (ValueError, TypeError) as error:
        raise WheelError("the client's list of wheels can't be read: %s" % error) from error
    for wheel in wheels:
        _check(wheel)
        if hashes and wheel.sha256 not in hashes:
            raise WheelError("the client offers the wheel %s, whose hash %s the lock does not name" % wheel)
    return wheels


def fetch_wheels(state: StatePaths, wheels: Sequence[Wheel], fetch: Fetch, report: Callable[[str], None]) -> List[str]:
    """The paths of these wheels in the store; the client sends those that are not there yet.

    Raises WheelError for one whose content is not what its hash says; nothing of it is kept.
    """
    paths = []
    for wheel in wheels:
        _check(wheel)
        path = os.path.join(state.wheel(wheel.sha256), wheel.name)
        if not os.path.exists(path):
            report(Passing("getting %s from the client" % wheel.name))
            prune_wheels(state)
            _store(path, wheel, fetch("wheel " + wheel.sha256))
        with contextlib.suppress(OSError):
            os.utime(os.path.dirname(path))
        paths.append(path)
    return paths


def prune_wheels(state: StatePaths, kept_for: float = KEPT_FOR) -> None:
    """Remove wheels that were not used for ``kept_for`` seconds, and the longest unused ones of more than MOST_KEPT bytes.

    Never such as a build that is under way may need. An environment needs none: what it holds was unpacked.
    """
    root, now = os.path.join(state.root, "wheels"), time.time()
    found = []
    for name in os.listdir(root):
        place = os.path.join(root, name)
        with contextlib.suppress(OSError):  # another one prunes, too
            sizes = [os.path.getsize(os.path.join(place, file)) for file in os.listdir(place)]
            found.append((now - os.path.getmtime(place), sum(sizes), place))
    total = 0
    for unused, size, place in sorted(found):
        total += size
        if unused > MAY_BE_NEEDED and (unused > kept_for or total > MOST_KEPT):
            remove_tree(place)


def unpack_wheel(path: str, libraries: str, programs: str) -> None:
    """Unpack a wheel: modules into ``libraries``, scripts (of ``<name>.data/scripts``) into ``programs``, executable.

    Enough for wheels without generated entry points; raises WheelError for one that holds headers or data, too.
    """
    import zipfile  # noqa: PLC0415 - most agents unpack none

    from .archives import UNREADABLE, check_member  # noqa: PLC0415 - likewise

    name = os.path.basename(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for item in archive.infolist():
                check_member(item)
                if not item.filename.endswith("/"):
                    _write(archive, item, _place(item.filename, libraries, programs, name))
    except UNREADABLE as error:
        raise WheelError("the wheel %s is damaged: %s" % (name, error)) from error


def _check(wheel: Wheel) -> None:
    if not _NAME.match(wheel.name) or not _SHA256.match(wheel.sha256):
        raise WheelError("not a wheel's name and SHA-256: %r %r" % wheel)


def _store(path: str, wheel: Wheel, content: bytes) -> None:
    there = hashlib.sha256(content).hexdigest()
    if there != wheel.sha256:
        raise WheelError(
            "the wheel %s that came has the SHA-256 %s instead of %s: nothing of it was kept. Call again; if it "
            "stays so, the client's copy or the lock is wrong" % (wheel.name, there, wheel.sha256)
        )
    target = os.path.dirname(path)
    aside = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(target))
    try:
        with open(os.path.join(aside, wheel.name), "wb") as stream:
            stream.write(content)
        try:
            os.rename(aside, target)
        except OSError:
            # Another client sent it meanwhile, or the same content has a second name.
            if not os.path.exists(path):
                os.rename(os.path.join(aside, wheel.name), path)
    finally:
        remove_tree(aside)


def _place(member: str, libraries: str, programs: str, wheel: str) -> str:
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return os.path.join(libraries, member)
    kind, _, rest = rest.partition("/")
    if kind in ("purelib", "platlib"):
        return os.path.join(libraries, rest)
    if kind == "scripts":
        return os.path.join(programs, rest)
    raise WheelError("the wheel %s needs an installer: it holds %s" % (wheel, member))


def _write(archive: "zipfile.ZipFile", item: "zipfile.ZipInfo", target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mode = 0o755 if ".data/scripts/" in item.filename else 0o644
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with archive.open(item) as source, os.fdopen(handle, "wb") as sink:
        for block in iter(lambda: source.read(1 << 20), b""):
            sink.write(block)
