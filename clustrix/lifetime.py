"""How long an executor lives: as long as somebody has it or one of its jobs is awaited; and what a forked child makes of it."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clustrix.errors import ClusterConnectionError
    from clustrix.session import Listener, Session
    from clustrix.workers import Workers

__all__ = ["Ear", "close", "close_when_collected", "follow_into_children", "keep", "let_go", "never_collect"]


class _Executor(Protocol):
    def start_in_child(self) -> None:
        """Begin afresh in a forked child."""


class Ear:
    """Tells an executor what its session hears, without keeping it alive."""

    def __init__(self, listener: Listener) -> None:
        self._listener = weakref.ref(listener)

    def on_event(self, head: dict[str, Any], body: bytes | bytearray) -> None:
        if listener := self._listener():
            listener.on_event(head, body)

    def on_progress(self, line: str) -> None:
        if listener := self._listener():
            listener.on_progress(line)

    def on_lost(self, error: ClusterConnectionError) -> None:
        if listener := self._listener():
            listener.on_lost(error)

    def on_missing(self, job_ids: Iterable[str]) -> None:
        if listener := self._listener():
            listener.on_missing(job_ids)

    def awaited(self) -> list[str]:
        listener = self._listener()
        return listener.awaited() if listener else []


_living: weakref.WeakSet[_Executor] = weakref.WeakSet()
_kept: set[object] = set()
_inherited: list[object] = []


def keep(executor: object) -> None:
    """Somebody may have dropped the executor, and the callbacks of its futures are still to be called."""
    _kept.add(executor)


def let_go(executor: object) -> None:
    """Take back ``keep``."""
    _kept.discard(executor)


def close(session: Session, *workers: Workers) -> None:
    """Close the connection, and end the threads when they have done their work."""
    session.disconnect()
    for those in workers:
        those.stop()


def close_when_collected(executor: object, session: Session, *workers: Workers) -> weakref.finalize[Any, Any]:
    """For who drops an executor instead of shutting it down."""
    finalizer = weakref.finalize(executor, _close_elsewhere, session, *workers)
    finalizer.atexit = False
    return finalizer


def follow_into_children(executor: _Executor) -> None:
    """Have ``start_in_child`` called in every child that is forked off."""
    _living.add(executor)


def never_collect(session: Session) -> None:
    """In a forked child: collecting the parent's connection would say goodbye over it."""
    _inherited.append(session)


def _close_elsewhere(session: Session, *workers: Workers) -> None:
    """Called wherever the garbage collector ran, so it waits for nothing."""
    with contextlib.suppress(RuntimeError):  # at the interpreter's exit no thread can be started, nor is it worth it
        threading.Thread(target=close, args=(session, *workers), name="clustrix-close", daemon=True).start()


def _start_in_child() -> None:
    _kept.clear()
    for executor in list(_living):
        executor.start_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_in_child)
