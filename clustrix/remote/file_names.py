"""Paths as users give them, and names as every place shows them: bytes on the disk, UTF-8 text with surrogates in between.

The text of a name is the same whatever the locale is of the process that read it, so that it can be sent to another one.
"""

import errno
import os
from typing import Iterable, List

__all__ = ["home", "join_names", "resolve", "shown_prefix", "split_names", "text_of", "to_bytes"]


def to_bytes(text: str) -> bytes:
    """The bytes of a name on the disk."""
    return text.encode("utf-8", "surrogateescape")


def text_of(name: bytes) -> str:
    """The text that stands for a name, also for one that is no UTF-8."""
    return name.decode("utf-8", "surrogateescape")


def join_names(names: Iterable[str]) -> bytes:
    """Names as one body of a message: no name holds a NUL."""
    return to_bytes("\0".join(names))


def split_names(body: bytes) -> List[str]:
    """The names in such a body."""
    return text_of(body).split("\0") if len(body) else []


def home(path: str) -> str:
    """The path with ``~`` and ``~/`` at its beginning expanded, as a shell does; what is called ``~`` itself is ``./~``."""
    return os.path.expanduser("~") + path[1:] if path == "~" or path.startswith("~/") else path


def resolve(base: str, path: str) -> bytes:
    """``path`` from the directory ``base``, for the system. Raises FileNotFoundError for the empty one, ValueError with a NUL in it."""
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if "\0" in path:
        raise ValueError("a path can't hold a NUL: %r" % path)
    whole = to_bytes(home(path))
    if os.path.isabs(whole):
        return whole
    directory = to_bytes(os.path.abspath(home(base)))
    return directory if path == "." else os.path.join(directory, whole)


def shown_prefix(path: str) -> str:
    """What stands before each name found below ``path``: the path as it was given, and nothing for ``.``."""
    if path == ".":
        return ""
    path = home(path)
    return path if path.endswith("/") else path + "/"
