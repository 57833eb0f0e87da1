"""Whether what a loop adds to is known to nobody else while the loop runs: made in the function just before, and not handed on."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from clustrix.known_calls import NUMBER, Value
from clustrix.loop_flow import names_bound
from clustrix.loop_frame import Frame, Refused
from clustrix.loop_proof import Ownership
from clustrix.loop_values import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clustrix.loop_effects import Found

__all__ = ["Place", "can_fail", "check_target"]

# What these are given, they look at and do not keep.
_READERS = frozenset(
    [
        "len",
        "sum",
        "min",
        "max",
        "sorted",
        "list",
        "tuple",
        "set",
        "dict",
        "str",
        "repr",
        "print",
        "bool",
        "any",
        "all",
        "enumerate",
        "frozenset",
        "isinstance",
    ]
)
_COLLECTIONS = frozenset(["list", "dict", "set", "sorted", "defaultdict", "Counter", "OrderedDict", "deque"])
_HARMLESS_METHODS = frozenset(
    ["append", "extend", "insert", "add", "update", "count", "index", "copy", "join", "appendleft", "sort"]
)


@dataclass(frozen=True)
class Place:
    """A loop in a function's tree. ``frame`` gives a new frame to look at a value with."""

    tree: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    loop: ast.For
    frame: Callable[[], Frame]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {part: node for node in ast.walk(self.tree) for part in ast.iter_child_nodes(node)}

    @cached_property
    def inside(self) -> frozenset[ast.AST]:
        return frozenset(ast.walk(self.loop))

    def enclosing(self) -> Iterator[tuple[list[ast.stmt], int, ast.AST]]:
        """The blocks around the loop from the innermost on: the block, where in it the loop is, and whose it is."""
        node: ast.AST = self.loop
        while node is not self.tree:
            parent = self.parents[node]
            for _, block in ast.iter_fields(parent):
                if isinstance(block, list) and any(item is node for item in block) and isinstance(node, ast.stmt):
                    yield block, next(number for number, item in enumerate(block) if item is node), parent
            node = parent


def check_target(found: list[Found], name: str, place: Place) -> bool:
    """Raise ``Refused`` unless replaying the effects on ``name`` gives what the plain loop gives.

    The answer is whether the value it begins with has to be looked at when the loop runs.
    """
    effects = [item for item in found if name in item.targets]
    first = effects[0].node
    kinds = {(item.kind, item.operator) if item.kind in ("reduce", "choose") else ("", "") for item in effects}
    if len(kinds) > 1:
        raise Refused(first, name, f"{name!r} is changed in more than one way")
    is_deep = any(item.level for item in effects)
    if not any(item.needs_own for item in effects):
        return _check_rebound(effects, name, place)
    start, enclosing_loops = _start(name, place, first)
    if start is None:
        raise Refused(
            first, name, f"{name!r} may be known by another name, too: begin with an empty one right before the loop"
        )
    if any(isinstance(item, ast.NamedExpr) and item.target.id == name for item in ast.walk(place.tree)):
        raise Refused(first, name, f"{name!r} is also given a value by ':=', and may be another object then")
    values = [start] + [
        item for item in _bindings(name, place.tree) if _is_between(item, start, place, enclosing_loops)
    ]
    for item in values:
        value = _value_given(item, name, place)
        if value is None or value.ownership < (Ownership.OWNED if is_deep else Ownership.SHELL):
            raise Refused(first, name, f"{name!r} may hold, or be, an object that the loop reads (line {item.lineno})")
    # What is taken out of an array may be a view of it, which changes with it.
    has_views = not all(_is_collection(_given(item, name)) for item in values)
    for load in _loads(name, place.tree):
        if load in place.inside:
            continue
        in_function = any(
            isinstance(item, ast.FunctionDef | ast.Lambda) for item in _ancestors(load, place) if item is not place.tree
        )
        is_between = _is_between(load, start, place, enclosing_loops)
        if in_function or (is_between and _escapes(load, place, is_deep=is_deep or has_views)):
            raise Refused(load, name, f"{name!r} is handed on here, so that the loop may change it under another name")
    return False


def can_fail(item: Found, place: Place) -> bool:
    """Whether an effect may raise when it is replayed: not an append to a list, nor a count, nor a number as a dictionary's key."""
    name = item.targets[0]
    start, _ = _start(name, place, item.node)
    given = _given(start, name) if start is not None else None
    if item.level or given is None:
        return True
    if item.kind == "append":
        return not isinstance(given, ast.List | ast.ListComp)
    if item.kind == "store" and isinstance(given, ast.Dict):
        return not all(_is_number(value, place) for value in item.values[1:])
    if item.kind == "reduce" and item.operator in ("+", "-"):
        return not all(isinstance(node, ast.Constant) and type(node.value) is int for node in [given, *item.values])
    return True


def _is_number(node: ast.expr, place: Place) -> bool:
    if isinstance(node, ast.Name) and isinstance(place.loop.iter, ast.Call):
        counts = isinstance(place.loop.iter.func, ast.Name) and place.loop.iter.func.id == "range"
        return counts and isinstance(place.loop.target, ast.Name) and place.loop.target.id == node.id
    return isinstance(node, ast.Constant)


def _check_rebound(effects: list[Found], name: str, place: Place) -> bool:
    """``t = max(t, v)`` makes no object different: whatever it begins with, only its being plain data matters."""
    for load in _loads(name, place.tree):
        owners = [
            item
            for item in _ancestors(load, place)
            if isinstance(item, ast.FunctionDef | ast.Lambda) and item is not place.tree
        ]
        if owners and load not in place.inside:
            raise Refused(load, name, f"{name!r} is read here by a function of its own, which may be called meanwhile")
    is_measured = any(item.targets[0] == name for item in effects)
    start, _ = _start(name, place, effects[0].node)
    if not is_measured:
        return False
    if start is not None:
        value = _value_given(start, name, place)
        return value is None or value.kind != NUMBER
    if name in {item.arg for item in ast.walk(place.tree.args) if isinstance(item, ast.arg)}:
        return True
    raise Refused(effects[0].node, name, f"{name!r} may have no value before the loop: give it one right before")


def _start(name: str, place: Place, where: ast.AST) -> tuple[ast.stmt | None, list[ast.AST]]:
    """The last assignment to ``name`` that is certainly executed before the loop, and the loops between it and that."""
    loops: list[ast.AST] = []
    for block, number, owner in place.enclosing():
        for statement in reversed(block[:number]):
            if _assigns(statement, name):
                return statement, loops
        if isinstance(owner, ast.For | ast.While | ast.AsyncFor):
            loops.append(owner)
        if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) and owner is not place.tree:
            raise Refused(where, name, "the loop is in a function within the function")
    return None, loops


def _assigns(node: ast.stmt, name: str) -> bool:
    return (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and name in names_bound(node)
        and getattr(node, "value", None) is not None
    )


def _bindings(name: str, tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.stmt)
            and not isinstance(node, ast.FunctionDef | ast.If | ast.While | ast.Try)
            and name in _heads(node)
        ):
            yield node


def _heads(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, ast.For):
        return names_bound(node.target)
    if isinstance(node, ast.With):
        return frozenset().union(
            *(names_bound(item.optional_vars) for item in node.items if item.optional_vars is not None)
        )
    return names_bound(node)


def _is_between(node: ast.AST, start: ast.stmt, place: Place, loops: list[ast.AST]) -> bool:
    """Whether ``node`` may be executed after ``start`` and before the loop is over."""
    if node in place.inside or node is start or any(item is start for item in _ancestors(node, place)):
        return False
    line = getattr(node, "lineno", 0)
    is_before = start.lineno <= line <= place.loop.lineno
    return is_before or any(any(item is loop for item in _ancestors(node, place)) for loop in loops)


def _ancestors(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    while node in place.parents:
        node = place.parents[node]
        yield node


def _value_given(node: ast.stmt, name: str, place: Place) -> Value | None:
    """What a statement assigns to ``name``, as far as it is known; None if that can't be seen."""
    if isinstance(node, ast.AugAssign):
        return Value(Ownership.SHELL)
    given = _given(node, name)
    value = _judged(given, place) if given is not None else None
    if isinstance(node, ast.Assign) and len(node.targets) > 1:  # two names of one object, but for numbers
        return value if value is not None and value.kind == NUMBER else None
    return value


def _given(node: ast.stmt, name: str) -> ast.expr | None:
    """The expression whose value a statement assigns to ``name``; None if it is none of its own."""
    value: ast.expr | None = getattr(node, "value", None)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        if isinstance(target, ast.Name) and target.id == name:
            return value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for part, of in zip(target.elts, value.elts, strict=True):
                if isinstance(part, ast.Name) and part.id == name:
                    return of
    return None


def _judged(node: ast.expr, place: Place) -> Value | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "defaultdict":
        # Its factory is called when a key is new, and gives a new object.
        factories = [item.id for item in node.args if isinstance(item, ast.Name)]
        if (
            len(node.args) == 1
            and not node.keywords
            and factories
            and factories[0] in ("list", "dict", "set", "int", "float", "str")
        ):
            return Value(Ownership.OWNED)
    try:
        return value_of(node, place.frame())
    except Refused:
        return None


def _loads(name: str, tree: ast.AST) -> Iterator[ast.Name]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield node


def _is_collection(node: ast.expr | None) -> bool:
    """Whether an expression makes a list, dictionary or set: what is taken out of these is no part of them."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in _COLLECTIONS
    return isinstance(node, ast.List | ast.ListComp | ast.Dict | ast.DictComp | ast.Set | ast.SetComp)


def _escapes(load: ast.Name, place: Place, *, is_deep: bool) -> bool:
    """Whether something may know the object by another name after this, or if it ``is_deep`` what it holds."""
    parent = place.parents[load]
    above = place.parents.get(parent)
    if isinstance(parent, ast.Attribute) and isinstance(above, ast.Call) and above.func is parent:
        return parent.attr not in _HARMLESS_METHODS or is_deep
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and load in parent.args:
        return parent.func.id not in _READERS or (
            is_deep and parent.func.id not in ("len", "print", "str", "repr", "isinstance", "bool")
        )
    if isinstance(parent, ast.Subscript) and parent.value is load:
        is_used_up = isinstance(above, ast.BinOp | ast.Compare | ast.UnaryOp | ast.FormattedValue)
        return is_deep and not isinstance(parent.ctx, ast.Store) and not is_used_up
    if isinstance(parent, ast.Compare | ast.FormattedValue | ast.UnaryOp):
        return False
    if isinstance(parent, ast.If | ast.While):
        return False
    return not isinstance(parent, ast.Return)
