"""Finds the part of a value that can't be pickled, and names the path to it: `args[0]["model"][0]._lock`.

Nothing here runs until pickling has failed.
"""

import functools
import json
import re
from collections import deque
from types import FunctionType, MethodType
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import numpy_states, pandas_states
from .reducers import Reducers, Refusal

__all__ = ["WireError", "locate"]

Step = Tuple[str, Any]


class WireError(Exception):
    """A value can't be sent. `path` says which part of it, `reason` why not."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)

    @property
    def path(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        return str(self.args[1])

    def __str__(self) -> str:
        return "{}: {}".format(self.path, self.reason)


class Search(NamedTuple):
    """`attempt` pickles a value and returns the error, if any; `seen` holds what failed already, by id."""

    attempt: Callable[[Any], Optional[Exception]]
    reducers: Reducers
    seen: Dict[int, Any]


def locate(
    value: Any, root: str, error: Exception, attempt: Callable[[Any], Optional[Exception]], reducers: Reducers
) -> WireError:
    """The error that names the first part of `value`, called `root`, that `attempt` fails for."""
    if isinstance(error, RecursionError):
        return WireError(root, "it is nested too deeply to be pickled")
    try:
        found = _search(Search(attempt, reducers, {}), value, root)
    except RecursionError:  # found, but deeper than this search can follow
        found = None
    return found or WireError(root, _reason(value, error))


def _search(search: Search, value: Any, path: str) -> Optional[WireError]:
    error = search.attempt(value)
    if error is None:
        return None
    search.seen[id(value)] = value
    leads_back = False
    for step, child in _steps(value, search.reducers):
        if id(child) in search.seen:
            leads_back = True
            continue
        found = _search(search, child, path + step)
        if found is not None:
            return found
    # Something that only fails because of what it is part of is not the culprit.
    return None if leads_back else WireError(path, _reason(value, error))


def _steps(value: Any, reducers: Reducers) -> List[Step]:
    try:
        return list(_children(value, reducers))
    except Exception:  # noqa: BLE001 - a container of the user's that can't be walked through is the end of the path
        return []


def _children(value: Any, reducers: Reducers) -> Iterator[Step]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield ".keys()[{}]".format(_short(key)), key
            yield "[{}]".format(_short(key)), item
    elif isinstance(value, (list, tuple, deque)):
        fields = getattr(value, "_fields", None) if isinstance(value, tuple) else None
        for index, item in enumerate(value):
            yield (".{}".format(fields[index]) if fields else "[{}]".format(index)), item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield "{{{}}}".format(_short(item)), item
    yield from numpy_states.parts(value)
    yield from pandas_states.parts(value)
    if not isinstance(value, (type, FunctionType)) and type(value) not in (dict, list, tuple, set, frozenset):
        yield from _reduced(value, reducers)


def _reduced(value: Any, reducers: Reducers) -> Iterator[Step]:
    """What the pickler gets from the value's own reduction, under the names of the attributes where there are any."""
    for cls, names in _known_attributes():
        if isinstance(value, cls):
            for name in names:
                yield "." + name, getattr(value, name)
    try:
        reduced = reducers[type(value)](value)
    except Exception:  # noqa: BLE001 - the value itself is the culprit, and its error is known already
        return
    if isinstance(reduced, str):
        return
    yield from _state_steps(reduced[2] if len(reduced) > 2 else None)
    for index, item in enumerate(reduced[1]):
        yield _attribute_holding(value, item) or ".__reduce_ex__()[1][{}]".format(index), item


def _known_attributes() -> List[Tuple[Any, Tuple[str, ...]]]:
    """Attributes that hold what these classes hand to the pickler without a name."""
    import datetime as dt  # noqa: PLC0415 - most values can be pickled

    return [
        (functools.partial, ("func", "args", "keywords")),
        (MethodType, ("__self__",)),
        ((dt.datetime, dt.time), ("tzinfo",)),
    ]


def _state_steps(state: Any) -> Iterator[Step]:
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    if all(part is None or isinstance(part, dict) for part in parts):
        for part in parts:  # __dict__, or __dict__ and the slots
            for name, item in (part or {}).items():
                yield ".{}".format(name), item
    else:
        yield ".__getstate__()", state


def _attribute_holding(value: Any, item: Any) -> Optional[str]:
    if item is type(value):
        return ".__class__"
    for name, held in getattr(value, "__dict__", {}).items():
        if held is item:
            return ".{}".format(name)
    return None


def _reason(value: Any, error: Exception) -> str:
    """Why pickling fails, in the same words on every Python."""
    if isinstance(error, Refusal):
        return str(error)
    if isinstance(value, (FunctionType, type)):
        kind = "class" if isinstance(value, type) else "function"
        full_name = "{}.{}".format(value.__module__, value.__qualname__)
        if value.__name__ == "<lambda>":
            return "cannot pickle the lambda {!r}: it has no name to find it by".format(full_name)
        if "<locals>" in value.__qualname__:
            return "cannot pickle the local {} {!r}: define it at the top of its module".format(kind, full_name)
        return "cannot pickle the {} {!r}: {}".format(kind, full_name, error)
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else "{}.{}".format(cls.__module__, cls.__qualname__)
    if isinstance(error, TypeError) and re.match("(can't|cannot) (pickle|serialize) ", str(error), re.IGNORECASE):
        return "cannot pickle {!r} object".format(name)
    return "cannot pickle {!r} object: {}: {}".format(name, type(error).__name__, error)


def _short(key: Any) -> str:
    text = json.dumps(key, ensure_ascii=False) if isinstance(key, str) else _safe_repr(key)
    return text if len(text) <= 60 else text[:56] + " ..."


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a name in a message must not hide the message
        return object.__repr__(value)
