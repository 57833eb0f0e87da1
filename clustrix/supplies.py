"""What the agent asks for while it takes a job: the package, files of it rewritten, a lock for one of its Pythons, wheels, and what installs them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustrix.advice import advice
from clustrix.errors import ClustrixError, EnvironmentSetupError
from clustrix.lock import Lock, NoSolutionError, differences, find_uv, make_lock, was_shown
from clustrix.overlays import overlay
from clustrix.platforms import Target, uv_platform
from clustrix.wheels import fetch_tools, fetch_wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.closure import Closure

__all__ = ["Supplies"]

_log = logging.getLogger("clustrix")


class Supplies:
    """Called with the name of a piece and the head in which the agent asks for it; gives the piece's bytes.

    The pieces are ``package``; ``overlay``, see `clustrix.remote.overlays`; ``lock``, see `clustrix.remote.job_environment`; ``wheels``, the [name, sha256] of what the
    lock holds, as JSON; and ``wheel <sha256>``. ``say`` gets lines for the user, in which
    the places of a main file that was written from ``closure`` are those of the user's own file.
    """

    def __init__(
        self,
        package: str,
        requirements: Iterable[str],
        constraints: Iterable[str],
        cache_dir: str | Path,
        say: Callable[[str], None],
        *,
        closure: Closure | None = None,
    ) -> None:
        self._closure = closure
        self._package = package
        self._requirements = tuple(requirements)
        self._constraints = tuple(constraints)
        self._cache = Path(cache_dir).expanduser()
        self._say = say
        self._lock: Lock | None = None
        self._files: dict[str, Path] = {}

    def __call__(self, piece: str, asked: dict[str, Any]) -> bytes:
        if piece == "package":
            return Path(self._package).read_bytes()
        if piece == "overlay":
            return overlay(self._package, asked["version"], asked["files"], self._closure)
        if piece == "lock":
            return json.dumps(self._locked(asked["candidates"])).encode()
        if piece == "wheels":
            wheels = fetch_wheels(self._lock, self._cache / "wheels") if self._lock else []
            return json.dumps([self._offer(path) for path in wheels]).encode()
        kind, _, sha256 = piece.partition(" ")
        if kind != "wheel" or sha256 not in self._files:
            raise ClustrixError(f"the agent asks for {piece!r}, which this version of clustrix does not have")
        return self._files[sha256].read_bytes()

    def advise(self, version: tuple[int, int]) -> None:
        """Say, once, what of the standard library the job's Python may lack."""
        try:
            words = advice(self._package, version, self._cache, self._closure)
        except Exception as error:  # noqa: BLE001 - the job is queued, and advice is no part of it
            _log.info("there is no advice on %s: %s", self._package, error)
            return
        if words:
            self._say(words)

    def _locked(self, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        """The first interpreter that can have what is required, and the lock for it; an empty lock where none can be made."""
        if find_uv() is None:
            # The login node's own installer finds versions within the bounds.
            return {"candidate": 0, "lock": ""}
        refusals: list[NoSolutionError] = []
        for number, candidate in enumerate(candidates):
            target = _target(candidate)
            if uv_platform(target) is None:
                return {"candidate": number, "lock": ""}
            try:
                lock = make_lock(self._requirements, target, constraints=self._constraints, cache_dir=self._cache)
            except NoSolutionError as error:
                refusals.append(error)
                continue
            except EnvironmentSetupError as error:
                # Such as an index that pip is set up for here and uv is not.
                self._say(
                    f"{error}\nWithout a lock, the login node's own installer looks for versions within the same bounds."
                )
                return {"candidate": number, "lock": ""}
            self._lock = lock
            if not was_shown(lock, self._cache) and (lines := differences(lock)):
                self._say(f"for {target}: " + "; ".join(lines))
            tools = fetch_tools(target, self._cache / "wheels")
            return {
                "candidate": number,
                "lock": lock.text,
                "tools": [self._offer(tools.uv)] if tools.uv else [],
                "pip": self._offer(tools.pip) if tools.pip else None,
                "has_wheels": True,
            }
        raise refusals[0]

    def _offer(self, path: Path) -> list[str]:
        """[name, sha256] of a file that is sent when the agent asks for it. Wheels are kept by content, in a directory of that name."""
        sha256 = path.parent.name
        self._files[sha256] = path
        return [path.name, sha256]


def _target(candidate: dict[str, Any]) -> Target:
    return Target(
        python=".".join(map(str, candidate["version"])),
        implementation=candidate["implementation"].lower(),
        system=candidate["platform"].partition("-")[0],
        machine=candidate["machine"] or candidate["platform"].partition("-")[2],
        libc=candidate["libc"],
    )
