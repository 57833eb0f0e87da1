"""What a job has written since somebody last looked: read in small parts, and with a gap where it writes faster than they are fetched."""

import contextlib
import os
import tempfile
from typing import Any, Dict, List, Tuple

from .paths import JobPaths

__all__ = ["news"]

LARGEST_NEWS = 1 << 18  # bytes that are sent at once, of all files together
LONGEST_BACKLOG = 8 << 20  # bytes of one file that may wait to be sent
KEPT_OF_BACKLOG = 1 << 20  # bytes of one that grew longer which are sent all the same


def news(job: JobPaths, offsets: Dict[str, int], is_forced: bool) -> Tuple[List[Dict[str, Any]], bytes]:
    """What lies behind ``offsets`` (by name of the file: ``stdout``, or ``stdout.3`` of an element), and its bytes in turn.

    Each part has ``name``, ``offset`` (of its end), ``size`` and ``left_out`` (bytes before it that are not sent). ``is_forced``
    has a network file system look again at which files there are.
    """
    parts, body, room = [], [], LARGEST_NEWS
    directory = job.file("log")
    if is_forced:
        # A full disk refuses that; what is seen without it still counts.
        with contextlib.suppress(OSError):
            handle, path = tempfile.mkstemp(prefix=".look-", dir=directory)
            os.close(handle)
            os.unlink(path)
    try:
        names = sorted(name for name in os.listdir(directory) if name.partition(".")[0] in ("stdout", "stderr"))
    except OSError:  # not there yet, or not any more
        names = []
    # The files that were read least come first: one that is written fast keeps none of the others waiting.
    for name in sorted(names, key=lambda name: offsets.get(name, 0)):
        start, text, left_out = _read(os.path.join(directory, name), offsets.get(name, 0), room)
        if text:
            parts.append({"name": name, "offset": start + len(text), "size": len(text), "left_out": left_out})
            body.append(text)
            room -= len(text)
        if room <= 0:
            break
    return parts, b"".join(body)


def _read(path: str, start: int, room: int) -> Tuple[int, bytes, int]:
    """(where they begin, the bytes, how many before them were passed over). Opening it has a network file system look anew."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            left_out = 0
            if size - start > LONGEST_BACKLOG:
                kept = size - KEPT_OF_BACKLOG
                stream.seek(kept)
                left_out = kept + _rest_of_line(stream.readline()) - start
            stream.seek(start + left_out)
            return start + left_out, stream.read(room), left_out
    except OSError:
        return start, b"", 0


def _rest_of_line(text: bytes) -> int:
    """How long it is; 0 for a line without an end, which is cut anywhere."""
    return len(text) if text.endswith(b"\n") else 0
