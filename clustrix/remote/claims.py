"""Who builds in a directory: one at a time, over all processes, logins and hosts that share the file system.

A claim is a directory ``claim-<n>`` made by ``mkdir``, which succeeds for one only, on NFS too; hard links and file locks,
which some of those lack, are not needed. Its holder rewrites ``heartbeat`` in it every second. Whoever waits judges that
by his own clock, for clocks of hosts differ: unchanged for DEAD_AFTER seconds, the holder is dead, and ``claim-<n+1>`` is
the next to be made. The highest number holds; a lower one is moved away, so a holder that was only asleep sees that
it has lost its claim.
"""

import contextlib
import json
import os
import re
import socket
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .paths import remove_tree, write_aside

__all__ = ["BEAT", "DEAD_AFTER", "Claim", "Heartbeat", "Pulse", "current_claim", "make_claim", "note_holder", "release"]

DEAD_AFTER = 15.0  # seconds
BEAT = 1.0  # seconds
_NAME = re.compile(r"claim-(\d+)\Z")


class Claim(NamedTuple):
    """A claim, by its directory (an absolute path)."""

    path: str

    @property
    def number(self) -> int:
        return int(self.path.rpartition("-")[2])

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    @property
    def heartbeat(self) -> str:
        return self.file("heartbeat")

    def holder(self) -> Dict[str, Any]:
        """``token`` (a name that no other claim has), ``host``, ``pid``; empty while it is being written, or is gone."""
        try:
            with open(self.file("holder.json"), encoding="utf-8") as stream:
                return dict(json.load(stream))
        except (OSError, ValueError):
            return {}

    def token(self) -> str:
        return str(self.holder().get("token", ""))


def current_claim(directory: str) -> Optional[Claim]:
    """The claim that holds in ``directory`` now, whether its holder is alive or not, or None."""
    numbers = _numbers(directory)
    return Claim(os.path.join(directory, "claim-%d" % max(numbers))) if numbers else None


def make_claim(directory: str, after: Optional[Claim] = None, token: str = "") -> Optional[Claim]:
    """Claim ``directory``: when nobody has, or in the place of ``after``, whose holder ``token`` was found dead.

    None: another was faster.
    """
    claim = Claim(os.path.join(directory, "claim-%d" % (after.number + 1 if after else 1)))
    try:
        os.mkdir(claim.path, 0o700)
    except FileExistsError:
        return None
    try:
        # Between the look and the mkdir others may have come and gone.
        is_mine = max(_numbers(directory)) == claim.number and (
            after is None or after.token() == token or not os.path.isdir(after.path)
        )
        if not is_mine:
            remove_tree(claim.path)
            return None
        write_aside(claim.heartbeat, os.urandom(8).hex().encode("ascii"))
        note_holder(claim, os.urandom(8).hex())
        for number in _numbers(directory):
            if number < claim.number:
                _move_away(os.path.join(directory, "claim-%d" % number))
    except BaseException:
        remove_tree(claim.path)
        raise
    return claim


def note_holder(claim: Claim, token: str) -> None:
    """Write down that this process is the holder, under ``token``."""
    holder = {"token": token, "host": socket.gethostname(), "pid": os.getpid()}
    write_aside(claim.file("holder.json"), json.dumps(holder).encode("utf-8"))


def release(claim: Claim) -> None:
    """Give the claim up, with everything in it."""
    _move_away(claim.path)


class Heartbeat:
    """Keeps a claim alive while it is entered, for at most ``seconds``; ``lost`` is called when another took it over."""

    def __init__(self, claim: Claim, seconds: float, lost: Callable[[], None]) -> None:
        self._claim = claim
        self._until = time.monotonic() + seconds
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while time.monotonic() < self._until:
            try:
                # In place and of one length: a full disk has no room for another file.
                with open(self._claim.heartbeat, "r+b", buffering=0) as stream:
                    stream.write(os.urandom(8).hex().encode("ascii"))
            except FileNotFoundError:
                self._lost()
                return
            except OSError:  # a stale handle, a full disk, a server that is away: the next beat may succeed
                pass
            if self._ended.wait(BEAT):
                return


class Pulse:
    """A claim as one who waits for it sees it."""

    def __init__(self, claim: Claim, dead_after: float = DEAD_AFTER) -> None:
        self._claim = claim
        self._dead_after = dead_after
        self._beat: Optional[bytes] = None
        self._unchanged = 0.0
        self._looked = time.monotonic()

    def is_dead(self) -> bool:
        """Whether the heartbeat has not changed for ``dead_after`` seconds in which this process looked at it.

        To be called every second or more often: a longer pause, in which this process itself did not run, counts as one.
        """
        now = time.monotonic()
        beat = None
        with contextlib.suppress(OSError), open(self._claim.heartbeat, "rb") as stream:
            beat = stream.read()
        self._unchanged = self._unchanged + min(now - self._looked, BEAT) if beat == self._beat else 0.0
        self._beat, self._looked = beat, now
        return self._unchanged >= self._dead_after


def _numbers(directory: str) -> List[int]:
    matches = map(_NAME.match, os.listdir(directory))
    return [int(match.group(1)) for match in matches if match]


def _move_away(path: str) -> None:
    """Remove a claim at once for everybody; what is left of it is hidden, and goes with the next claimer's tidying."""
    aside = os.path.join(os.path.dirname(path), ".gone-" + os.urandom(8).hex())
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
    remove_tree(aside)
