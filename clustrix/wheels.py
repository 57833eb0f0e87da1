"""The wheels of a lock, fetched by the client for the cluster, and the tools that install them there; kept by content."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from clustrix.errors import EnvironmentSetupError
from clustrix.lock import Lock, NoSolutionError, find_uv, make_lock, run_tool, store_text
from clustrix.platforms import Target, uv_platform, wheel_platforms

__all__ = ["Tools", "fetch_tools", "fetch_wheels"]

_IMPLEMENTATIONS = {"cpython": "cp", "pypy": "pp"}
_fetching = threading.Lock()


class Tools(NamedTuple):
    """Wheels of what installs on the cluster: a uv that runs there (None: there is none), and a pip for its Python."""

    uv: Path | None
    pip: Path | None


def fetch_wheels(lock: Lock, directory: str | Path) -> list[Path]:
    """The wheels of a lock, one for each pin, sorted by name, below ``directory``, where they stay by their content.

    pip checks every hash. It reads its own configuration and, where that names no index, uv's variables.

    :raises EnvironmentSetupError: pip failed; the message has its words
    """
    if not lock.pins:
        return []
    root = Path(directory).expanduser()
    listing = root / "lists" / f"{lock.lock_id}.json"
    # Of many first calls at once one fetches: each pip would take a core, and the same from the index.
    with _fetching:
        return _listed(root, listing) or _fetch(lock, root, listing)


def _fetch(lock: Lock, root: Path, listing: Path) -> list[Path]:
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as aside:
        _download(lock, Path(aside))
        hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.text))
        found = sorted(Path(aside).glob("*.whl"))
        digests = [_digest_of(path) for path in found]
        if len(found) != len(lock.pins) or not hashes.issuperset(digests):
            names = ", ".join(path.name for path in found)
            raise EnvironmentSetupError(f"pip fetched other wheels than {', '.join(lock.pins)}: {names}. Try again.")
        kept = [_keep(path, root / digest) for path, digest in zip(found, digests, strict=True)]
    store_text(listing, json.dumps([str(path.relative_to(root).as_posix()) for path in kept], indent=1))
    return kept


def fetch_tools(target: Target, directory: str | Path) -> Tools:
    """The wheel of the client's version of uv for the target's platform, and of the newest pip for its Python.

    uv is a program that runs without Python, though its wheel asks for a newer one than the target may have: its file
    ``uv-*.data/scripts/uv`` is what runs there. pip runs from its wheel: ``python pip-*.whl/pip install ...``.

    :raises EnvironmentSetupError: a tool failed here, or the index can't be reached
    """
    return Tools(
        _fetched(f"uv=={_uv_version()}", replace(target, python="3.12.0", implementation="cpython"), directory),
        _fetched(
            "pip", Target(target.python, libc="glibc-2.17"), directory
        ),  # pure Python: the same for every platform
    )


def _fetched(requirement: str, target: Target, directory: str | Path) -> Path | None:
    if uv_platform(target) is None:
        return None
    try:
        lock = make_lock([requirement], target, cache_dir=directory)
    except NoSolutionError:
        return None
    return fetch_wheels(lock, directory)[0]


def _uv_version() -> str:
    uv = find_uv()
    if uv is None:
        raise EnvironmentSetupError("there is no uv here that works: pip install 'clustrix[uv]'")
    return _version_of(uv, Path(uv).stat().st_mtime_ns)


@cache
def _version_of(uv: str, changed: int) -> str:  # noqa: ARG001 - another program may come to lie there
    match = re.match(r"uv (\S+)", run_tool([uv, "--version"]).stdout)
    if match is None:
        raise EnvironmentSetupError(f"{uv} does not tell its version as uv does: pip install 'clustrix[uv]'")
    return match[1]


def _download(lock: Lock, into: Path) -> None:
    target = lock.target
    major, minor, patch = [*re.findall(r"\d+", target.python), "0"][:3]
    tag = f"{_IMPLEMENTATIONS.get(target.implementation, target.implementation)}{major}{minor}"
    flags = "m" if (int(major), int(minor)) < (3, 8) else ""
    file = into / "requirements.txt"
    file.write_text(_with_sources(lock), encoding="utf-8")
    command = [
        *_pip(), "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
        "--python-version", f"{major}.{minor}.{patch}", "--implementation", tag[:2], "--abi", tag + flags,
        *(word for name in wheel_platforms(target) for word in ("--platform", name)),
        "--require-hashes", "--requirement", str(file), "--dest", str(into),
    ]  # fmt: skip
    done = run_tool(command, environment=_indexes_of_uv())
    if done.returncode != 0:
        # Of a wrong hash pip lists all that it would have taken, a line each.
        lines = [line for line in done.stderr.splitlines() if not re.match(r"WARNING|\s*Expected +or ", line)]
        raise EnvironmentSetupError(
            f"the wheels for {target} can't be fetched: {' '.join(' '.join(lines).split())[:1200]}\nIf pip reaches another "
            "index than uv, set PIP_INDEX_URL."
        )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = find_uv()
    if uv is None:
        raise EnvironmentSetupError("there is neither pip nor uv here to fetch wheels with: pip install 'clustrix[uv]'")
    return [uv, "tool", "run", "--quiet", "--python", sys.executable, "pip"]


def _with_sources(lock: Lock) -> str:
    sources = dict(lock.direct)

    def with_source(pin: re.Match[str]) -> str:
        return f"{pin[1]} @ {sources[pin[1]]}" if pin[1] in sources else pin[0]

    return re.sub(r"^([\w.-]+)==\S+", with_source, lock.text, flags=re.MULTILINE)


def _indexes_of_uv() -> dict[str, str]:
    """The indexes of uv for pip, where it has none of its own."""
    pairs = {
        "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
        "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    }
    found = {}
    for name, sources in pairs.items():
        values = [os.environ[source] for source in sources if os.environ.get(source)]
        if values and not os.environ.get(name):
            urls = re.split(r"[\s,]+", values[0].strip())
            found[name] = " ".join(re.sub(r"^[\w-]+=", "", url) for url in urls)
    return found


def _listed(root: Path, listing: Path) -> list[Path]:
    """What was fetched for a lock; nothing unless all of it is still there."""
    try:
        paths = [root / name for name in json.loads(listing.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []
    return paths if all(path.is_file() for path in paths) else []


def _keep(path: Path, place: Path) -> Path:
    place.mkdir(exist_ok=True)
    target = place / path.name
    if not target.is_file():
        path.replace(target)
    return target


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
