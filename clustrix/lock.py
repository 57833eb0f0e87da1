"""From requirements to a lock: exactly which wheels an interpreter of the cluster gets, decided on the client by uv."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from clustrix.distributions import canonical_name, installed_versions, required_below
from clustrix.errors import EnvironmentSetupError
from clustrix.platforms import Target, uv_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "Lock",
    "NoSolutionError",
    "Target",
    "differences",
    "find_uv",
    "make_lock",
    "run_tool",
    "store_text",
    "was_shown",
]

_FRESH = 7 * 86400.0  # seconds; then the index is asked again, which may have newer releases
_SETTING = re.compile(r"UV_.*(INDEX|FIND_LINKS|EXCLUDE|RESOLUTION|PRERELEASE|CONSTRAINT|OVERRIDE|CONFIG|TORCH|BINARY)")
_MOST_CONFLICTS = 5  # after which nothing that is needed in turn is limited any more: each costs a run of uv
_LONGEST_RUN = 600.0  # seconds; uv gives each request up to thirty


class NoSolutionError(EnvironmentSetupError):
    """The requirements can't be met on that interpreter and platform."""


@dataclass(frozen=True)
class Lock:
    """What is installed for ``target``: ``pins`` are sorted, "numpy==1.19.5".

    ``text`` is a requirements file with a hash for each wheel, which uv and pip install with ``--require-hashes``.
    ``direct`` (name, URL) are wheels that no index has under their pin: of a URL, or a file of the client. They are
    installed from what ``fetch_wheels`` gives.
    """

    target: Target
    pins: tuple[str, ...]
    text: str
    direct: tuple[tuple[str, str], ...] = ()

    @property
    def lock_id(self) -> str:
        """16 hexadecimal digits over the wheels and what decides between them; equal for two patch releases of a Python."""
        target = self.target
        platform = [target.implementation, target.system, target.architecture, uv_platform(target)]
        content = [target.python.split(".")[:2], platform, self.text]
        return _digest(content)


def find_uv() -> str | None:
    """The uv that is installed with clustrix (extra ``uv``), else the one on the PATH, else None: no locks can be made."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - it may not be installed
    except ImportError:
        return shutil.which("uv")
    try:
        return os.fspath(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def make_lock(
    requirements: Iterable[str], target: Target, *, cache_dir: str | Path, constraints: Iterable[str] = ()
) -> Lock:
    """The lock of PEP 508 ``requirements`` for ``target``; kept in ``cache_dir`` for a week, and made without uv then.

    Only wheels are taken. What the requirements need in turn is at most as new as the client has it, but for what a
    conflict names. ``constraints`` are the user's own, and always hold.

    A version with a local part (``torch==2.1.0+cu121``) is taken at its word: an index that uv is configured for must have it.
    ``name @ URL`` must be a wheel, of a server or a file here, and is fetched by the client (see ``Lock.direct``). Source
    archives and repositories are refused: nothing is built, neither here, where the platform is another, nor there.

    :raises NoSolutionError: (an EnvironmentSetupError) what can't be met, in uv's words, or a distribution that does not exist
    :raises EnvironmentSetupError: there is no uv, it knows nothing of the platform, or the index can't be reached
    """
    roots, limits = sorted(set(requirements)), sorted(set(constraints))
    if not roots:
        return Lock(target, (), "")
    uv, platform = find_uv(), uv_platform(target)
    if uv is None:
        raise EnvironmentSetupError("there is no uv here, which locks are made with: pip install 'clustrix[uv]'")
    if platform is None:
        raise EnvironmentSetupError(
            f"uv makes no locks for {target.implementation} {target}. Choose another interpreter with python=, or name an "
            "environment that exists on the cluster with environment=."
        )
    ours = _limits_of_the_client(roots)
    program = Path(uv).stat()
    key = _digest([roots, limits, ours, vars(target), uv, program.st_mtime_ns, program.st_size, _settings(roots)])
    path = Path(cache_dir).expanduser() / "locks" / f"{key}.json"
    kept = _kept(path, target)
    if kept is not None and time.time() - path.stat().st_mtime < _FRESH:
        return kept
    _refuse_what_is_built(roots)

    def made() -> Lock:
        command = [
            uv, "pip", "compile", "-", "--quiet", "--color=never", "--python-version", target.python, "--python-platform", platform,
            "--python", sys.executable, "--only-binary=:all:", "--generate-hashes", "--no-annotate", "--no-header",
        ]  # fmt: skip
        try:
            lock = _resolve(command, roots, limits, ours, target)
        except NoSolutionError:
            raise
        except EnvironmentSetupError:
            if kept is None:
                raise
            return kept  # an old lock says what to install as exactly as a new one
        content = {"pins": lock.pins, "text": lock.text, "direct": lock.direct}
        store_text(path, json.dumps(content, indent=1))
        return lock

    return _once(key, made)


def differences(lock: Lock, installed: Mapping[str, str] | None = None) -> list[str]:
    """What the lock has in another version than the client, in words: ``numpy 2.5.5 here, 1.19.5 there``.

    ``installed``: versions by canonical name; by default what is installed here.
    """
    here = installed_versions() if installed is None else installed
    lines = []
    for pin in lock.pins:
        name, _, version = pin.partition("==")
        mine = here.get(name)
        if mine is None:
            lines.append(f"{name} not here, {version} there")
        elif mine != version.partition("+")[0]:
            lines.append(f"{name} {mine} here, {version} there")
    return lines


def was_shown(lock: Lock, cache_dir: str | Path) -> bool:
    """Whether the lock's differences were shown before, by any process with that ``cache_dir``; now they count as shown."""
    mark = Path(cache_dir).expanduser() / "locks" / f"{lock.lock_id}.shown"
    mark.parent.mkdir(parents=True, exist_ok=True)
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


def run_tool(
    command: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run uv or pip to its end, ``text`` on its standard input. uv trusts whom this machine trusts, and fetches no Python."""
    ours = {"UV_SYSTEM_CERTS": "1", **os.environ, "UV_PYTHON_DOWNLOADS": "never", "PIP_REQUIRE_VIRTUALENV": "0"}
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**ours, **(environment or {})},
            timeout=_LONGEST_RUN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentSetupError(f"{command[0]} does not do its work here: {error}") from error


def store_text(path: Path, text: str) -> None:
    """Written aside and renamed, so that nobody reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(aside).replace(path)
    except BaseException as error:
        Path(aside).unlink(missing_ok=True)
        if not (isinstance(error, PermissionError) and path.exists()):  # on Windows somebody reads it, who has the same
            raise


_under_way: dict[str, Future[Lock]] = {}
_guard = threading.Lock()


def _once(key: str, make: Callable[[], Lock]) -> Lock:
    """Of many first calls at once one makes the lock; the others get it too, or its error."""
    with _guard:
        future = _under_way.get(key)
        is_mine = future is None
        if future is None:
            future = _under_way[key] = Future()
    if not is_mine:
        return future.result()
    try:
        future.set_result(make())
    except BaseException as error:
        future.set_exception(error)
        raise
    finally:
        with _guard:
            del _under_way[key]
    return future.result()


def _resolve(command: list[str], roots: list[str], limits: list[str], ours: list[str], target: Target) -> Lock:
    """With the client's versions as limits of what the roots need in turn, but for such as can't be met.

    No root is older for their sake: where they would cost one its version, it is pinned first.
    """
    if not ours:
        return _compiled(command, roots, limits, target)
    try:
        limited = _compiled(command, roots, [*limits, *ours], target)
    except NoSolutionError:
        pass
    else:
        if {root.replace("<=", "==") for root in roots}.issubset(limited.pins):
            return limited
    free = _compiled(command, roots, limits, target)
    names = {canonical_name(re.split(r"[^\w.-]", root)[0]) for root in roots} - {name for name, _ in free.direct}
    pinned, held = [pin for pin in free.pins if pin.partition("==")[0] in names], ours
    for _ in range(_MOST_CONFLICTS):
        try:
            return _compiled(command, roots, [*limits, *pinned, *held], target)
        except NoSolutionError as error:
            rest = [limit for limit in held if not _is_named(limit.partition("<=")[0], str(error))]
        if rest in ([], held):
            break
        held = rest
    return free


def _is_named(name: str, words: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", words) is not None


def _compiled(command: list[str], roots: list[str], limits: list[str], target: Target) -> Lock:
    with tempfile.TemporaryDirectory(prefix="clustrix-lock-") as directory:
        file = Path(directory) / "constraints.txt"
        file.write_text("".join(f"{line}\n" for line in limits), encoding="utf-8")
        text = "".join(f"{line}\n" for line in roots)
        done = run_tool([*command, "--constraints", str(file)], text)
    if done.returncode != 0:
        raise _refusal(done.stderr, roots, target)
    return _read(done.stdout, target)


def _read(text: str, target: Target) -> Lock:
    """The lock in uv's requirements file; a URL becomes the version that its wheel is named for, which needs no network there."""
    lines, pins, direct = [], [], []
    for line in filter(None, text.splitlines()):
        found = re.match(r"([A-Za-z0-9][\w.-]*) @ (\S+)( ?.*)", line)
        if found:
            version = unquote(urlsplit(found[2]).path).rpartition("/")[2].split("-")[1]
            direct.append((canonical_name(found[1]), found[2]))
            line = f"{canonical_name(found[1])}=={version}{found[3]}"  # noqa: PLW2901
        if not line.startswith((" ", "#")):
            pins.append(line.rstrip(" \\"))
        lines.append(line + "\n")
    return Lock(target, tuple(sorted(pins)), "".join(lines), tuple(sorted(direct)))


def _refusal(words: str, roots: list[str], target: Target) -> EnvironmentSetupError:
    """What uv says, in our words: the index, a name, or a conflict."""
    conflict = _in_words(words)
    is_offline = "network was disabled" in words
    unknown = re.search(r"Because (\S+) was not found in the package registry", conflict)
    if unknown and not is_offline:
        return NoSolutionError(
            f"no index has a distribution {unknown[1]!r}, which {_who_asks(unknown[1], roots)}. If a module is called so, name "
            "its distribution with requirements=[...]; if it is a project of yours, install it editable, so that it is shipped."
        )
    if "No solution found" in words and not is_offline:
        named = dict.fromkeys(re.findall(r"you require ([^\s,]+)", conflict))
        loosen = [root for root in roots if any(root.startswith(item.rstrip(".")) for item in named)] or list(roots)
        return NoSolutionError(
            f"the requirements can't be met for {target}: {conflict}\nLoosen {', '.join(loosen[:5])}, give others with "
            "requirements=[...], or choose another Python of the cluster with python=."
        )
    if is_offline or re.search(
        r"error sending request|Failed to fetch|[Cc]onnect|dns error|timed out|tls|certificate", words
    ):
        return EnvironmentSetupError(
            f"the package index can't be reached to lock {', '.join(roots[:5])} for {target}: {conflict}\nConnect to the "
            "network, or set UV_DEFAULT_INDEX to an index that can be reached (uv doesn't read pip's configuration)."
        )
    return EnvironmentSetupError(f"uv can't lock {', '.join(roots[:5])} for {target}: {conflict}")


def _in_words(words: str) -> str:
    """What uv says as running text of at most 1,200 characters, without its hints, which are about uv's own options."""
    text = re.split(r"\n\s*hint:", words)[0].replace("No solution found when resolving dependencies", "")
    text = " ".join(re.sub(r"^\s*(error:|cause:|[^\w\s]+)+", " ", text, flags=re.MULTILINE).split()).strip(": ")
    return text if len(text) <= 1200 else text[:1200] + " ..."


def _who_asks(name: str, roots: list[str]) -> str:
    is_root = any(re.fullmatch(rf"{re.escape(name)}([^\w.-].*)?", root) for root in roots)
    return "the function imports or requires" if is_root else f"one of {', '.join(roots[:5])} needs"


def _refuse_what_is_built(roots: list[str]) -> None:
    from packaging.requirements import Requirement  # noqa: PLC0415 - 15 ms, for new locks only

    for root in roots:
        url = urlsplit(Requirement(root).url or "")
        if url.scheme and ("+" in url.scheme or not unquote(url.path).endswith(".whl")):
            raise NoSolutionError(
                f"{root}: that has to be built, and only wheels are installed on the cluster. Give a wheel's URL or a release; "
                "pure Python that is installed here from a repository or directory is shipped as source without a requirement."
            )


def _limits_of_the_client(roots: list[str]) -> list[str]:
    """``name<=version`` for what the roots need in turn, as the client has it."""
    extras = {}
    for root in roots:
        match = re.match(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^]]*)\])?", root)
        if match:
            extras[canonical_name(match[1])] = re.findall(r"[\w.-]+", match[2] or "")
    versions = required_below(extras)
    return [f"{name}<={versions[name]}" for name in sorted(versions) if re.fullmatch(r"[0-9][\w.!]*", versions[name])]


def _kept(path: Path, target: Target) -> Lock | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        direct = tuple((name, url) for name, url in content["direct"])
        return Lock(target, tuple(content["pins"]), content["text"], direct)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _settings(roots: list[str]) -> list[Any]:
    """What decides which index uv asks, and what it takes from there: its variables and its files, and wheels that are files here."""
    variables = sorted(item for item in os.environ.items() if _SETTING.match(item[0]))
    wheels = [Path(unquote(found[1])) for root in roots if (found := re.search(r"@ file://([^ #]*)", root))]
    return [variables, _files_of_uv(Path.cwd()), [item.stat().st_mtime_ns for item in wheels if item.is_file()]]


@cache
def _files_of_uv(directory: Path) -> list[str]:
    """What uv reads ("Configuration files" in its documentation): the project's, the user's, the system's."""
    places = [
        file for above in (directory, *directory.parents) for file in (above / "uv.toml", above / "pyproject.toml")
    ]
    home = Path(os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    texts = []
    for place in [*places, home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]:
        text = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
        if place.name == "uv.toml" or "[tool.uv" in text:
            texts.append(text)
    return texts


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
