"""Values that a function captures: which of them are plain literals, and which modules and classes others refer to."""

from __future__ import annotations

import contextlib
import math
import pickle
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Referred", "is_mutable", "literal_source", "references_in"]

_LONGEST_LITERAL = 64 * 1024
_DEEPEST_LITERAL = 20
_LEAVES = (type(None), bool, int, float, complex, str, bytes, bytearray)


class Referred(NamedTuple):
    """What a pickle of a value refers to: (module, qualified name) of each class and function; Python functions among them.

    ``made`` are those classes and functions that no such name finds.
    """

    names: frozenset[tuple[str, str]]
    functions: frozenset[FunctionType]
    made: frozenset[Any]


class _NotLiteral(Exception):  # noqa: N818 - never seen outside
    pass


def literal_source(value: Any) -> str | None:
    """The value as a Python expression, the same for equal values on any client; None if it isn't a short literal.

    Only exact builtin types count. A list that occurs in itself, or twice, is no literal: source can't say so.
    """
    try:
        text = _rendered(value, set(), 0)
    except _NotLiteral:
        return None
    return text if len(text) <= _LONGEST_LITERAL else None


def is_mutable(value: Any) -> bool:
    """Whether a literal's value can change in place."""
    return isinstance(value, list | dict | set) or (
        isinstance(value, tuple) and any(is_mutable(item) for item in value)
    )


def references_in(value: Any) -> Referred:
    """The classes and functions that a pickle of the value would refer to.

    Where the value can't be pickled, what was met before that: the error is raised where it is really pickled.
    """
    scan = _Scan()
    if type(value) not in _LEAVES:
        with contextlib.suppress(Exception):  # objects raise what they like; the wire reports it with the value's name
            scan.dump(value)
    return Referred(frozenset(scan.found), frozenset(scan.functions), frozenset(scan.made))


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


class _Scan(pickle.Pickler):
    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)
        self.found: set[tuple[str, str]] = set()
        self.functions: set[FunctionType] = set()
        self.made: set[Any] = set()

    def reducer_override(self, value: Any) -> Any:
        named = value if isinstance(value, type | FunctionType | BuiltinFunctionType) else type(value)
        module = getattr(named, "__module__", None)
        if isinstance(named, type | FunctionType) and "<" in named.__qualname__:
            self.made.add(named)
            return (str, ()) if named is value else NotImplemented
        if isinstance(named, FunctionType):
            self.functions.add(named)
        if isinstance(module, str) and module != "builtins":
            self.found.add((module, named.__qualname__))
        return NotImplemented


def _rendered(value: Any, containers: set[int], depth: int) -> str:
    kind = type(value)
    if kind in (type(None), bool, type(Ellipsis)):
        return "..." if value is ... else repr(value)
    if kind is int:
        return repr(value) if value.bit_length() < 4096 else hex(value)
    if kind is float:
        if math.isnan(value):
            raise _NotLiteral
        return repr(value) if math.isfinite(value) else ("1e999" if value > 0 else "-1e999")
    if kind is complex and math.isfinite(value.real) and math.isfinite(value.imag) and str(value.real)[0] != "-":
        return repr(value)
    if kind in (str, bytes):
        if len(value) > _LONGEST_LITERAL:
            raise _NotLiteral
        return ascii(value)  # repr depends on the Unicode tables of the Python that runs
    if kind in (list, tuple, dict, set, frozenset):
        return _rendered_container(value, containers, depth)
    raise _NotLiteral


def _rendered_container(value: Any, containers: set[int], depth: int) -> str:
    if depth > _DEEPEST_LITERAL or len(value) > _LONGEST_LITERAL // 2:
        raise _NotLiteral
    if isinstance(value, list | dict | set):
        if id(value) in containers:
            raise _NotLiteral
        containers.add(id(value))
    if isinstance(value, dict):
        pairs = ((_rendered(key, containers, depth + 1), key) for key in value)
        rendered = (f"{text}: {_rendered(value[key], containers, depth + 1)}" for text, key in pairs)
        return "{" + ", ".join(_short(rendered)) + "}"
    items = _short(_rendered(item, containers, depth + 1) for item in value)
    if isinstance(value, list):
        return "[" + ", ".join(items) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
    braces = "{" + ", ".join(sorted(items)) + "}" if items else ""
    if isinstance(value, set):
        return braces or "set()"
    return f"frozenset({braces})"


def _short(texts: Iterable[str]) -> list[str]:
    """All of the texts, given up as soon as they are too long together."""
    kept, length = [], 0
    for text in texts:
        length += len(text)
        if length > _LONGEST_LITERAL:
            raise _NotLiteral
        kept.append(text)
    return kept
