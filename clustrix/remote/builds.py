"""Has an environment built by one builder, whoever began it, and waits for that with progress."""

import contextlib
import json
import os
import re
import threading
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from . import builder
from .claims import DEAD_AFTER, Claim, Heartbeat, Pulse, current_claim, make_claim, release
from .passing import Passing
from .paths import look_again, remove_tree

__all__ = ["BuildFailedError", "Builders", "ClientGoneError", "Waiting", "build"]

SHORTEST_LOOK, LONGEST_LOOK = 0.02, 0.5  # seconds between looks: a fiftieth of what was waited
BUILDS_BEGUN_AT_MOST = 3
_UNTIDY = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e]")


class BuildFailedError(Exception):
    """A build came to its end without an environment. ``kind`` is as in its note; ``log`` is the end of its log."""

    def __init__(self, kind: str, message: str, log: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.log = log


class ClientGoneError(Exception):
    """The client that waited has gone; the build goes on without it."""


class Waiting(NamedTuple):
    """Who waits: ``report`` gets lines of progress, ``gone`` is set when nobody listens any more."""

    report: Callable[[str], None]
    gone: threading.Event
    dead_after: float = DEAD_AFTER  # seconds


def _start_here(claim: Claim, plan: builder.Plan, _waiting: Waiting) -> str:
    builder.start(claim, plan)
    return ""


class Builders(NamedTuple):
    """How a builder is begun, on this host as it stands.

    ``start`` returns when it has begun, with the name by which ``death`` tells what ended one that lives no more: None where another
    may have more luck.
    """

    start: Callable[[Claim, builder.Plan, Waiting], str] = _start_here
    death: Callable[[Claim, str], Optional[BuildFailedError]] = lambda _claim, _name: None


def build(
    directory: str,
    is_there: Callable[[], bool],
    prepare: Callable[[], builder.Plan],
    waiting: Waiting,
    builders: Builders,
) -> None:
    """Return when ``is_there``: built by a builder of this call's or of anybody else's.

    ``prepare`` makes the plan, under the claim and only when a builder must be begun. Raises BuildFailedError when the
    build that this call began or waited for failed, and ClientGoneError.
    """
    begun, dead, holder = 0, None, ""
    while not is_there():
        claim = dead or current_claim(directory)
        mine = name = ""
        if claim is None or claim is dead:
            claim = make_claim(directory, dead, holder)
            dead = None
            if claim is None:
                continue
            begun += 1
            mine, name = _begin(claim, is_there, prepare, begun, waiting=waiting, builders=builders)
        watch = _Watch(claim, waiting, os.path.basename(directory), mine)
        is_over, holder = watch.wait(), watch.token
        look_again(directory)  # it may have been built on another host
        if not is_over:
            dead = claim
            death = builders.death(claim, name) if name and not is_there() else None
            with contextlib.suppress(OSError):
                os.rename(claim.file("log"), os.path.join(directory, "build.log"))
            if death is not None:
                release(claim)
                raise death
        failure = _failure(directory, holder)
        if failure and not is_there():
            raise BuildFailedError(failure["kind"], failure["message"], failure["log"])


def _begin(
    claim: Claim,
    is_there: Callable[[], bool],
    prepare: Callable[[], builder.Plan],
    begun: int,
    *,
    waiting: Waiting,
    builders: Builders,
) -> Tuple[str, str]:
    """Start the builder and leave the claim to it; returns the build's token, or "" when another has the claim now, and the builder's name."""
    directory = os.path.dirname(claim.path)
    token = claim.token()
    try:
        # What the client has to send may take as long as it takes.
        with Heartbeat(claim, float("inf"), lambda: None):
            if is_there():
                release(claim)
                return token, ""
            if begun > BUILDS_BEGUN_AT_MOST:
                log = builder.tail(os.path.join(directory, "build.log"), 3000)
                raise BuildFailedError("other", "%d builders were killed, or ended without a word" % (begun - 1), log)
            _tidy(directory, claim)
            name = builders.start(claim, dict(prepare(), token=token), waiting)
    except BaseException as error:
        if isinstance(error, FileNotFoundError) and not os.path.isdir(claim.path):
            return "", ""  # this process stood still for so long that another took the claim over
        release(claim)
        raise
    return token, name


def _tidy(directory: str, claim: Claim) -> None:
    """Remove what killed builders left, but not the environment that ``current`` leads to, nor a log."""
    keep = {os.path.basename(claim.path), "build.log", "used", "current"}
    with contextlib.suppress(OSError):
        keep.add(os.readlink(os.path.join(directory, "current")))
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name in keep:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            remove_tree(path)
        else:
            os.unlink(path)


def _failure(directory: str, token: str) -> Dict[str, Any]:
    """The note of the failed build ``token``; empty when it did not fail, or another one has begun since."""
    try:
        with open(os.path.join(directory, "failed.json"), encoding="utf-8") as stream:
            note = dict(json.load(stream))
    except (OSError, ValueError):
        return {}
    return note if token and note.get("token") == token else {}


class _Watch:
    """Waits for the end of one build, whose token is ``mine`` if this call began it, else seen from its claim."""

    def __init__(self, claim: Claim, waiting: Waiting, key: str, mine: str) -> None:
        self._claim = claim
        self._waiting = waiting
        self._key = key
        self._is_mine = bool(mine)
        self._started = time.monotonic()
        self._said = ""
        self._said_at = 0.0
        self.token = mine

    def wait(self) -> bool:
        """Whether the claim was given up by its holder; False: the holder is dead."""
        pulse = Pulse(self._claim, self._waiting.dead_after)
        while os.path.isdir(self._claim.path):
            self.token = self.token or self._claim.token()
            if pulse.is_dead():
                return False
            self._report()
            passed = time.monotonic() - self._started
            if self._waiting.gone.wait(min(LONGEST_LOOK, max(SHORTEST_LOOK, passed / 50))):
                raise ClientGoneError("the client has gone; the environment %s is still being built" % self._key)
        return True

    def _report(self) -> None:
        """Every 2 s when there is news, else every 15 s."""
        now = time.monotonic()
        if now - self._said_at < 2:
            return
        news = _last_line(self._claim.file("log"))
        if news == self._said and now - self._said_at < 15:
            return
        self._said, self._said_at = news, now
        passed, holder = now - self._started, self._claim.holder()
        if not self._is_mine:
            who = "process %s on %s" % (holder.get("pid", "?"), holder.get("host", "?"))
            line = "waiting for the environment %s, which %s builds (%d s): %s" % (self._key, who, passed, news)
        elif passed < 1:
            return
        else:
            line = "the environment %s (%d s): %s" % (self._key, passed, news)
        self._waiting.report(Passing(line.rstrip(": ")))


def _last_line(log: str) -> str:
    lines = [_UNTIDY.sub("", line).strip() for line in builder.tail(log, 4000).replace("\r", "\n").splitlines()]
    return next((line[:120] for line in reversed(lines) if re.match(r"[^$]*[A-Za-z]{3}", line)), "")
