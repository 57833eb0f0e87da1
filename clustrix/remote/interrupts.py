"""Ctrl-C while a process is being started: it goes to everybody in the terminal's group, and would be raised in the midst of a fork."""

import contextlib
import signal
from typing import Any, Iterator

__all__ = ["leave_to_the_parent", "withheld"]

_set_mask: Any = getattr(signal, "pthread_sigmask", None)  # not on Windows


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Keep SIGINT from this thread, and from a process that is started meanwhile."""
    if _set_mask is None:
        yield
        return
    before = _set_mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        _set_mask(signal.SIG_SETMASK, before)


def leave_to_the_parent() -> None:
    """In the process that was started, once it has left the parent's group: forget what was withheld, and let the next ones in."""
    if _set_mask is None:
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the kernel drops those that wait
    _set_mask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if handler is not None:  # one that was not set from Python
        signal.signal(signal.SIGINT, handler)
