"""What was found out about the cluster, kept between agents: a cache, which may be lost, damaged or written by two at once."""

import contextlib
import json
import os
import threading
import time
from typing import Any, Dict, Iterator, Optional

from .claims import BEAT, Claim, Heartbeat, Pulse, current_claim, make_claim, release
from .paths import write_aside

__all__ = ["Notes"]

LOOK_EVERY = 0.02  # seconds
LONGEST_TURN = 60.0  # seconds, then whoever waits looks for himself


class Notes:
    """Plain data by section and key, in the JSON file ``path``; in this process alone when that is None."""

    def __init__(self, path: Optional[str] = None) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._sections = self._read()

    def get(self, section: str, key: str) -> Any:
        with self._guard:
            return self._sections.get(section, {}).get(key)

    def put(self, section: str, values: Dict[str, Any]) -> None:
        """Keep ``values`` beside what the section has; what other agents wrote meanwhile stays."""
        with self._guard:
            for name, known in self._read().items():
                self._sections[name] = dict(known, **self._sections.get(name, {}))
            self._sections[section] = dict(self._sections.get(section, {}), **values)
            if self._path is not None:
                try:
                    write_aside(self._path, json.dumps(self._sections).encode("utf-8"))
                except OSError:  # a full disk: the next agent asks again
                    return

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """For what takes long to find out: while one agent has its turn, others wait to enter, and have its notes then.

        Those who waited enter together: they have little left to find out.
        """
        claim = None
        with contextlib.suppress(OSError):  # a full disk: each looks for himself
            claim = self._take_turn()
        if claim is None:
            yield
            return
        try:
            with Heartbeat(claim, LONGEST_TURN, lambda: None):
                yield
        finally:
            release(claim)

    def _take_turn(self) -> Optional[Claim]:
        """The claim to be the one; None: another was, and has ended."""
        if self._path is None:
            return None
        directory = os.path.join(os.path.dirname(self._path), "looking")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        others = current_claim(directory)
        claim = None if others else make_claim(directory)
        others = others or current_claim(directory)
        if claim is None and others:
            pulse, until = Pulse(others, 5 * BEAT), time.monotonic() + LONGEST_TURN
            while os.path.isdir(others.path) and time.monotonic() < until:
                if pulse.is_dead():
                    release(others)
                    break
                time.sleep(LOOK_EVERY)
        with self._guard:
            self._sections = self._read()
        return claim

    def _read(self) -> Dict[str, Dict[str, Any]]:
        if self._path is None:
            return {}
        try:
            with open(self._path, encoding="utf-8") as stream:
                content = json.load(stream)
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: section for name, section in content.items() if isinstance(section, dict)}
