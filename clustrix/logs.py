"""What a job writes, as it writes it: followed over the connection, decoded, and shown at the caller."""

from __future__ import annotations

import codecs
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from clustrix.errors import ClusterConnectionError, ClustrixError
from clustrix.progress import write_aside, writing_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["LogPart", "follow", "show"]

# Seconds after a job's end until which what it is known to have written may show up on a shared file system.
PATIENCE = 15.0
LONGEST_LINE = 1 << 16  # characters of an element's line that are waited for


class LogPart(NamedTuple):
    """A piece of what a job wrote to ``stream`` ("stdout" or "stderr"); of a map, whole lines of its ``element``."""

    stream: str
    text: str
    element: str = ""


def follow(
    news: Callable[[dict[str, int], bool], dict[str, Any]],
    written: Callable[[], Mapping[str, int] | None],
) -> Iterator[LogPart]:
    """The parts as they come, to the end.

    ``news(offsets, is_over)`` asks the agent, which unless ``is_over`` waits a while until there is something. ``written()`` is None
    while the job goes on, then what is known of how many bytes it wrote in all.
    """
    offsets: dict[str, int] = {}
    texts: dict[str, _Text] = {}
    deadline = None
    while True:
        known = written()
        if known is not None and deadline is None:
            deadline = time.monotonic() + PATIENCE
        try:
            answer = news(offsets, known is not None)
        except ClusterConnectionError:
            if deadline is not None and time.monotonic() >= deadline:
                return
            time.sleep(1)
            continue
        yield from _parts(answer, offsets, texts)
        if known is not None and not answer["parts"]:
            is_whole = all(offsets.get(name, 0) >= size for name, size in known.items())
            if is_whole or time.monotonic() >= (deadline or 0):
                break
            time.sleep(0.2)
    for name, text in texts.items():
        yield from text.take(name, b"", is_last=True)


def show(parts: Iterator[LogPart]) -> None:
    """Write them to this process's own stdout and stderr as they come."""
    # What the job wrote is still there, and its end says what happened.
    with contextlib.suppress(ClustrixError), writing_aside():
        for part in parts:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
                write_aside(part.stream, part.text)


def _parts(answer: dict[str, Any], offsets: dict[str, int], texts: dict[str, _Text]) -> Iterator[LogPart]:
    body, start = memoryview(answer.get("body", b"")), 0
    for item in answer["parts"]:
        name, end = item["name"], start + item["size"]
        offsets[name] = item["offset"]
        text = texts.setdefault(name, _Text())
        if item["left_out"]:
            yield from text.take(name, b"", is_last=True)
            stream, _, element = name.partition(".")
            yield LogPart(stream, f"[clustrix: {item['left_out']} bytes are left out here]\n", element)
        yield from text.take(name, bytes(body[start:end]))
        start = end


class _Text:
    """The text of one file: bytes that are no UTF-8 become the replacement character, and no character is cut in two."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, name: str, data: bytes, *, is_last: bool = False) -> Iterator[LogPart]:
        stream, _, element = name.partition(".")
        text = self._rest + self._decoder.decode(data, is_last)
        self._rest = ""
        if element and not is_last and len(text) < LONGEST_LINE:
            # Lines of several elements are not to be mixed; \r ends one, too, for progress bars have no other end.
            cut = max(text.rfind("\n"), text.rfind("\r")) + 1
            text, self._rest = text[:cut], text[cut:]
        if text:
            yield LogPart(stream, text, element)
