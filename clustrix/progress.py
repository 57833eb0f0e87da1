"""What is under way, shown to whoever waits for it: bars in a terminal and in a notebook, elsewhere lines on stderr.

Somebody waits who calls a function, a future's ``result`` or ``exception``, or takes a map's next result. What does not last is
never drawn: what is waited for is seen from ``DELAY`` seconds on.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from clustrix.display import Drawing, Row, drawing, kind_of_display, load_all
from clustrix.remote.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Track", "show_progress", "watching", "write_aside", "writing_aside"]

DELAY = 0.5  # seconds
LINGER = 0.3  # seconds for which a map stays drawn while its next result is not waited for yet
EVERY = 0.1  # seconds between two drawings


def show_progress(line: str) -> None:
    """Show a line, which stays."""
    with (
        _board.put_aside(),
        contextlib.suppress(OSError, ValueError, AttributeError),
    ):  # a closed stderr, or none at all
        sys.stderr.write(f"clustrix: {line}\n")


class Track:
    """What is under way for one job: ``words``, ``done`` of ``total`` (0: nobody knows), ``failed`` of these, since ``since`` (time.monotonic)."""

    __slots__ = ("done", "failed", "first_awaited", "is_over", "is_shown", "name", "since", "total", "words")

    def __init__(self, name: str, *, is_shown: bool) -> None:
        self.name = name
        self.is_shown = is_shown
        self.is_over = False
        self.words = "sending"
        self.done = self.total = self.failed = 0
        self.since = time.monotonic()
        self.first_awaited = 0.0

    @property
    def is_seen(self) -> bool:
        """Whether it could be drawn here, should somebody wait for it."""
        return self.is_shown and bool(kind_of_display())

    def tell(self, line: str) -> None:
        """Take in a line: Passing ones are what is under way from now on, others are shown, and stay."""
        if not isinstance(line, Passing):
            show_progress(line)
        elif self.is_shown:
            if not kind_of_display():
                show_progress(line)
            self.begin(line, line.done, line.total)

    def begin(self, words: str, done: int = 0, total: int = 0) -> None:
        """Something else is under way now."""
        self.words, self.done, self.total, self.since = words, done, total, time.monotonic()

    def go_on(self, words: str, done: int, total: int) -> None:
        """The same is further now."""
        since = self.since if self.total == total else time.monotonic()
        self.begin(words, done, total)
        self.since = since

    def row(self) -> Row:
        """As it is drawn."""
        return Row(self.name, self.words, self.done, self.total, self.failed, time.monotonic() - self.since)


@contextlib.contextmanager
def watching(track: Track | None, *, lingers: bool = False) -> Iterator[None]:
    """Who waits inside sees how far ``track`` is. One that ``lingers`` will be waited for again soon."""
    if track is None or track.is_over or not track.is_seen:
        yield
        return
    board = _board
    board.add(track)
    try:
        yield
    except BaseException:
        board.remove(track, lingers=False)
        raise
    board.remove(track, lingers=lingers)


@contextlib.contextmanager
def writing_aside() -> Iterator[None]:
    """Around all that ``write_aside`` writes of one job."""
    try:
        yield
    finally:
        _board.end_line()


def write_aside(stream: str, text: str) -> None:
    """Write ``text`` to ``sys.stdout`` or ``sys.stderr`` as it is, with nothing drawn in or below an unfinished line of it."""
    is_terminal = getattr(sys, stream).isatty()
    with _board.put_aside(text) if is_terminal else contextlib.nullcontext():
        output = getattr(sys, stream)  # not before: what is drawn stands between
        output.write(text)
        output.flush()


class _Board:
    """The tracks that somebody waits for, and their drawing, by a thread that lives as long as there are any."""

    def __init__(self, *, can_draw: bool = True) -> None:
        self._changed = threading.Condition()
        self._can_draw = can_draw
        self._waiting: dict[Track, int] = {}
        self._drawing: Drawing | None = None
        self._thread: threading.Thread | None = None
        self._lingers_until = 0.0
        self._is_in_line = self._is_line_over = False

    def add(self, track: Track) -> None:
        with self._changed:
            self._waiting[track] = self._waiting.get(track, 0) + 1
            track.first_awaited = track.first_awaited or time.monotonic()
            if self._thread is None and self._can_draw:
                # In a notebook, what a thread draws belongs to the cell that it was begun by.
                run = contextvars.copy_context().run
                thread = threading.Thread(target=run, args=(self._draw_all,), name="clustrix-progress", daemon=True)
                with contextlib.suppress(RuntimeError):  # none can be started while the interpreter ends
                    thread.start()
                    self._thread = thread

    def remove(self, track: Track, *, lingers: bool) -> None:
        with self._changed:
            self._waiting[track] -= 1
            if not self._waiting[track]:
                del self._waiting[track]
            if lingers and self._drawing is not None and not track.is_over:
                self._lingers_until = time.monotonic() + LINGER
            elif not self._waiting:
                self._lingers_until = 0.0
                self._erase()
                self._changed.notify_all()

    @contextlib.contextmanager
    def put_aside(self, text: str = "\n") -> Iterator[None]:
        """Nothing is drawn inside, nor after it until the line is over that ``text`` ends in."""
        with self._changed:
            self._erase(is_for_good=False)
            try:
                yield
            finally:
                if text:
                    self._is_in_line, self._is_line_over = not text.endswith(("\n", "\r")), False

    def end_line(self) -> None:
        """Nothing more comes of the line that was written aside last."""
        with self._changed:
            self._is_line_over = True

    def close(self) -> None:
        """Draw nothing any more."""
        with self._changed:
            self._can_draw = False
            self._erase()

    def hold(self) -> None:
        """Before a fork: the child shall find nothing drawn and nobody drawing."""
        self._changed.acquire()
        self._erase(is_for_good=False)

    def let_go(self) -> None:
        """After it, in the parent."""
        self._changed.release()

    def _draw_all(self) -> None:
        with self._changed:
            while self._waiting and not self._awaited_long():
                self._changed.wait(EVERY)
            is_needed = bool(self._waiting)
        if is_needed:
            load_all()  # while nobody has to wait for that
        with self._changed:
            while self._waiting or time.monotonic() < self._lingers_until:
                tracks = self._awaited_long()
                if tracks and self._can_draw:
                    self._draw([each.row() for each in tracks])
                self._changed.wait(EVERY)
            self._erase()
            self._thread = None

    def _awaited_long(self) -> list[Track]:
        now = time.monotonic()
        return [each for each in self._waiting if not each.is_over and each.first_awaited + DELAY <= now]

    def _draw(self, rows: list[Row]) -> None:
        if self._is_in_line:
            if not self._is_line_over:
                return
            self._is_in_line = False
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stderr.write("\n")
        try:
            self._drawing = self._drawing or drawing()
            self._drawing.update(rows)
        except (OSError, ValueError):  # the terminal is gone, or stderr was closed
            self._can_draw, self._drawing = False, None

    def _erase(self, *, is_for_good: bool = True) -> None:
        if self._drawing is not None and (is_for_good or self._drawing.is_in_the_way):
            with contextlib.suppress(OSError, ValueError):
                self._drawing.close()
            self._drawing = None


_board = _Board()


def _hold() -> None:
    _board.hold()


def _let_go() -> None:
    _board.let_go()


def _start_in_child() -> None:
    global _board  # noqa: PLW0603 - the parent's has its lock, and a thread that is not here
    # A kernel's child has nothing by which to speak to the notebook.
    _board = _Board(can_draw=kind_of_display() != "notebook")


def _close() -> None:
    _board.close()


atexit.register(_close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_start_in_child)
