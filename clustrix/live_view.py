"""Futures in a notebook: one that a cell ends in is shown as it is now, in that place, until its job has ended.

One thread draws all that are shown, while the kernel does anything else.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Protocol

from clustrix.display import NotebookDrawing, Row, kind_of_display, load_all
from clustrix.errors import ClustrixError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Watched", "show"]

EVERY = 0.5  # seconds between two looks
LOG_LINES = 10


class Watched(Protocol):
    """What is asked of a future."""

    job_id: str
    node: str | None
    resources_used: Any
    track: Any

    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def exception(self) -> BaseException | None: ...
    def logs(self, *, follow: bool = False) -> Iterable[Any]: ...
    def add_done_callback(self, call: Callable[[Any], object], /) -> None: ...


def show(futures: Sequence[Watched]) -> None:
    """Show them in the output of the cell that runs; of a single one, also the end of what its job writes.

    Raises NotImplementedError where there is no notebook: IPython shows it as it shows anything, then.
    """
    if kind_of_display() != "notebook":
        raise NotImplementedError
    load_all()
    view = _View(futures)
    view.draw()
    _Painter.add(view)


class _View:
    def __init__(self, futures: Sequence[Watched]) -> None:
        self.futures = futures
        self._drawing = NotebookDrawing()
        self._log = ""
        self._drawn: object = None
        self._follower: threading.Thread | None = None
        if len(futures) == 1:
            self._follower = threading.Thread(target=self._follow, args=futures, name="clustrix-log", daemon=True)
            self._follower.start()

    def draw(self) -> bool:
        """Draw what has changed; whether anything may change yet."""
        is_over = all(future.done() for future in self.futures) and not (self._follower and self._follower.is_alive())
        rows = [_row(future) for future in self.futures]
        now = ([row._replace(seconds=int(row.seconds)) for row in rows], self._log)
        if now != self._drawn:
            self._drawing.update(rows, self._log)
            self._drawn = now
        return not is_over

    def _follow(self, future: Watched) -> None:
        # What the job wrote is still there, and its end says what happened.
        with contextlib.suppress(ClustrixError):
            for part in future.logs(follow=True):
                lines = (self._log + part.text).splitlines(keepends=True)
                self._log = "".join(lines[-LOG_LINES:])


class _Painter:
    """The thread that draws, while there is something to draw."""

    guard = threading.Lock()
    views: list[_View] = []  # noqa: RUF012 - one for all

    @classmethod
    def add(cls, view: _View) -> None:
        with cls.guard:
            cls.views.append(view)
            if len(cls.views) == 1:
                threading.Thread(target=cls._paint, name="clustrix-live", daemon=True).start()

    @classmethod
    def _paint(cls) -> None:
        pause = threading.Event()
        try:
            while True:
                pause.wait(EVERY)
                over = [view for view in list(cls.views) if not view.draw()]
                with cls.guard:
                    cls.views = [view for view in cls.views if view not in over]
                    if not cls.views:
                        return
        except BaseException:  # the kernel may be ending
            with cls.guard:
                cls.views = []
            raise


def _row(future: Watched) -> Row:
    track = future.track
    row = track.row() if track is not None else Row("task", "under way", 0, 0, 0, 0)
    row = row._replace(name=f"{row.name} {future.job_id}")
    if not future.done():
        return row
    used = future.resources_used
    return Row(row.name, _end(future), 0, 0, row.failed, used.wall_time if used else 0)


def _end(future: Watched) -> str:
    where = f" on {future.node}" if future.node else ""
    if future.cancelled():
        return "cancelled"
    error = future.exception()
    if error is None:
        return f"has its result{where}"
    return f"failed{where}: {type(error).__name__}: {error}".splitlines()[0]
