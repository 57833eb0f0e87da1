"""What the call of a function gives whose name is certain, and what its arguments have to be."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.known_calls import FUNCTION, HANDLE, ITERATOR, Value, known_call
from clustrix.local_modules import is_local_path
from clustrix.loop_frame import SHARED_VALUE, Frame, Refused, is_hidden
from clustrix.loop_proof import Ownership
from clustrix.source import unwrap_cluster

if TYPE_CHECKING:
    from clustrix.surroundings import Origin

_NUMBER_TYPES = r"(float|int|uint|bool|complex)_?\d*"

__all__ = ["judge_functions", "result_of", "root_of", "unknown_call"]


def result_of(origin: Origin, node: ast.Call, values: list[Value], frame: Frame) -> Value | None:
    """What a call gives; None if it is not known to be pure. ``values`` are its arguments'."""
    path, count = origin.path, len(node.args)
    frame.orders_by_hash |= path in ("builtins.set", "builtins.frozenset")
    if path in {"builtins.open", "io.open", "_io.open"}:
        return _opened(node)
    if path == "builtins.next" and values and values[0].ownership is not Ownership.SHARED:
        return SHARED_VALUE
    if path in ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState") and not values:
        raise Refused(node, ast.unparse(node.func), f"{ast.unparse(node)!r} has no seed of its own")
    if path == "builtins.sum" and node.keywords:
        count = 2
    if any(isinstance(item, ast.Starred) for item in node.args) and not path.startswith(
        ("builtins.", "math.", "os.path.", "itertools.")
    ):
        return None
    known = _known(origin, count, node, frame)
    if known is None:
        return None
    if known_call(path, count) is None:  # a function of the user's, which calls nothing that it is given
        return known
    if any(keyword.arg is None for keyword in node.keywords):
        return None
    judge_functions(node, values, frame)
    known = _with_type(path, node, known, frame)
    if known.ownership is not Ownership.OWNED and all(value.ownership is Ownership.OWNED for value in values):
        known = Value(Ownership.OWNED if path != "pandas.DataFrame" else known.ownership, known.kind)
    if (
        known.kind == ""
        and any(value.kind == ITERATOR for value in values)
        and path in ("builtins.zip", "builtins.enumerate", "builtins.reversed")
    ):
        known = Value(known.ownership, ITERATOR)
    return known


def judge_functions(node: ast.Call, values: list[Value], frame: Frame) -> None:
    """What calls its arguments does what these do."""
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    called = {id(keyword.value) for keyword in node.keywords if keyword.arg == "key"}
    if isinstance(node.func, ast.Name) and node.func.id in ("map", "filter", "reduce"):
        called |= {id(item) for item in node.args[:1]}
    for item, value in zip(arguments, values, strict=True):
        is_given = value.kind != FUNCTION and not isinstance(item, ast.Constant) and frame.around.origin(item) is None
        if id(item) in called and is_given:
            raise Refused(item, ast.unparse(item), f"nothing is known of what {ast.unparse(item)!r} does")
    for item, value in zip(arguments, values, strict=True):
        if value.kind != FUNCTION or isinstance(item, ast.Lambda):
            continue
        if isinstance(item, ast.Name) and item.id in frame.functions:
            continue
        origin = frame.around.origin(item)
        if origin is None or is_hidden(item, frame) or _known(origin, 1, node, frame) is None:
            raise Refused(node, ast.unparse(item), f"nothing is known of what {ast.unparse(item)!r} does")


def unknown_call(node: ast.Call, origin: Origin | None, frame: Frame) -> Refused:
    """Why a call of something that is not known to be pure is refused."""
    name = ast.unparse(node.func)
    path = origin.path if origin is not None else ""
    if path.startswith(("random.", "numpy.random.")):
        return Refused(
            node,
            name,
            f"{name!r} draws from the one random state that all iterations share: make a generator in each, with a seed of its own",
        )
    if path in ("builtins.print", "builtins.open", "builtins.input"):
        return Refused(node, name, f"{name!r} reads or writes outside, in the order of the iterations")
    if path.startswith(("time.", "datetime.")):
        return Refused(node, name, f"{name!r} reads the clock, which shows the order of the iterations")
    if path in (
        "builtins.eval",
        "builtins.exec",
        "builtins.locals",
        "builtins.globals",
        "builtins.vars",
        "builtins.id",
    ):
        return Refused(node, name, f"{name!r} sees or does what can't be known")
    if name in frame.around.own and name not in frame.around.parameters:
        return Refused(
            node, name, f"{name!r} is defined within the function: define it outside, so that others can call it, too"
        )
    return Refused(node, name, f"nothing is known of what {name!r} does")


def root_of(path: str | None) -> str:
    """The library that a dotted path is of; what implements ``os`` is called otherwise."""
    root = (path or "").partition(".")[0].lstrip("_")
    return "os" if root in ("posixpath", "genericpath", "ntpath", "posix", "nt") else root


def _known(origin: Origin, count: int, node: ast.Call, frame: Frame) -> Value | None:
    """What a function is known to give; None if nothing is."""
    live = origin.live
    if unwrap_cluster(live) is not live:
        name = ast.unparse(node.func)
        raise Refused(node, name, f"{name!r} is for a cluster: each of its calls may be a job")
    inner = getattr(live, "__wrapped__", live) if type(live).__name__ == "_lru_cache_wrapper" else live
    known = known_call(origin.path, count)
    if known is not None and not _is_users(inner):
        return known.value
    if not isinstance(inner, FunctionType):
        return None
    value = frame.helper(inner, node)
    return value if inner is live else SHARED_VALUE  # it is remembered, and so is what it gave


def _is_users(live: Any) -> bool:
    """Whether something is of the user's own, though it is called as what is known: a file ``statistics.py``, a replaced function."""
    if isinstance(live, FunctionType):
        return root_of(live.__module__) != "clustrix" and _is_local(live.__code__.co_filename)
    if isinstance(live, type):
        path = getattr(sys.modules.get(live.__module__), "__file__", None)
        return live.__module__ == "__main__" or (isinstance(path, str) and _is_local(path))
    return False


@cache
def _is_local(path: str) -> bool:
    return not path.startswith("<frozen") and is_local_path(path)


def _with_type(path: str, node: ast.Call, known: Value, frame: Frame) -> Value:
    """Arrays of objects hold what is put into them; with ``copy=False`` they may be what they are made of."""
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    kept = given.get("copy")
    if kept is not None and not (isinstance(kept, ast.Constant) and kept.value is True):
        return SHARED_VALUE
    dtype = given.get("dtype")
    if dtype is None and path in ("numpy.zeros", "numpy.ones", "numpy.empty") and len(node.args) > 1:
        dtype = node.args[1]
    if dtype is None or _is_number_type(dtype, frame):
        return known
    return Value(min(known.ownership, Ownership.SHELL))


def _is_number_type(node: ast.expr, frame: Frame) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and re.fullmatch(_NUMBER_TYPES, node.value) is not None
    origin = None if is_hidden(node, frame) else frame.around.origin(node)
    return origin is not None and re.fullmatch(rf"(builtins|numpy)\.{_NUMBER_TYPES}", origin.path) is not None


def _opened(node: ast.Call) -> Value:
    mode = (
        node.args[1] if len(node.args) > 1 else next((item.value for item in node.keywords if item.arg == "mode"), None)
    )
    if mode is not None and not (
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rbtU")
    ):
        raise Refused(node, "open", "'open' is for writing: what one iteration writes, another may read")
    if any(item.arg in (None, "opener") for item in node.keywords) or any(
        isinstance(item, ast.Starred) for item in node.args
    ):
        raise Refused(node, "open", "nothing is known of what 'open' is given")
    return Value(Ownership.OWNED, HANDLE)
