"""Finds the statements of a loop's body that only add to what is there: appends, keyed stores, sums, the smallest and the largest.

Such a statement is cut in two: expressions that the iteration computes, and the rest, which is replayed in loop order.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clustrix.loop_flow import names_bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Found", "accumulated_names", "find_effects"]

_ADDING = {"append": 1, "appendleft": 1, "add": 1, "extend": 1, "update": 1, "insert": 2}
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^"}


@dataclass
class Found:
    """An effect as it is found in the text.

    ``keys`` are those of ``values`` by which something is looked up. ``level`` is how deep in the target the object is that it changes: 0 for the target itself. ``stored`` are those of
    ``values`` that the target holds afterwards, with the level they have there. ``needs_own``: an object is changed.
    """

    kind: str
    targets: tuple[str, ...]
    node: ast.stmt
    values: list[ast.expr]
    stored: list[tuple[ast.expr, int]] = field(default_factory=list)
    operator: str = ""
    level: int = 0
    keys: list[ast.expr] = field(default_factory=list)
    needs_own: bool = True

    @property
    def takes_contents(self) -> bool:
        """Whether of a value only what is in it is kept: ``t.extend(v)``, ``t += v``."""
        return self.kind in ("extend", "update") or (self.kind == "reduce" and self.operator not in ("min", "max"))

    @property
    def mentions(self) -> Iterator[ast.Name]:
        """Where the statement itself names its targets: outside of its values."""
        yield from _names_outside(self.node, self.values, self.targets)


def accumulated_names(body: list[ast.stmt], own: frozenset[str]) -> set[str]:
    """Names that may be targets: variables that the body binds in no way but by adding to what they are."""
    bound: set[str] = set()
    for statement in _statements(body):
        if isinstance(statement, ast.If) and _choose(statement, own) is not None:
            continue
        if not isinstance(statement, ast.AugAssign) and _reduce(statement, own) is None:
            bound |= _bound_by(statement)
    chosen = {name for item in _statements(body) if isinstance(item, ast.If) for name in _choice_names(item, own)}
    for statement in _statements(
        body, without=lambda item: isinstance(item, ast.If) and _choose(item, own) is not None
    ):
        if not isinstance(statement, ast.AugAssign) and _reduce(statement, own) is None:
            chosen -= _bound_by(statement)
    bound = {name for name in bound if name not in chosen}
    return set(own) - bound


def find_effects(body: list[ast.stmt], candidates: set[str]) -> list[Found]:
    """The effects on ``candidates``, in the order of the text; in nested loops and branches too."""
    found: list[Found] = []
    pending = list(body)
    while pending:
        statement = pending.pop(0)
        effect = _effect(statement, frozenset(candidates))
        if effect is not None:
            found.append(effect)
            continue
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        pending[:0] = list(_inner(statement))
    return found


def _effect(node: ast.stmt, names: frozenset[str]) -> Found | None:
    for rule in (_call, _store, _reduce, _update, _choose):
        found = rule(node, names)
        if found is not None:
            return found
    return None


def _call(node: ast.stmt, names: frozenset[str]) -> Found | None:
    """``t.append(v)``, ``t[k].append(v)``, ``t.setdefault(k, []).append(v)``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return None
    call = node.value
    if not isinstance(call.func, ast.Attribute) or _ADDING.get(call.func.attr) != len(call.args) or call.keywords:
        return None
    if any(isinstance(item, ast.Starred) for item in call.args):
        return None
    owner, kind = call.func.value, call.func.attr
    if isinstance(owner, ast.Name) and owner.id in names:
        # What is in an argument of ``extend`` is held, not that itself.
        return Found(kind, (owner.id,), node, call.args, [(call.args[-1], 1)], keys=call.args if kind == "add" else [])
    if isinstance(owner, ast.Subscript) and isinstance(owner.value, ast.Name) and owner.value.id in names:
        keys = _key_parts(owner.slice)
        looked_up = [*keys, *call.args] if kind == "add" else keys
        return Found(kind, (owner.value.id,), node, [*keys, *call.args], [(call.args[-1], 2)], level=1, keys=looked_up)
    if (
        isinstance(owner, ast.Call)
        and isinstance(owner.func, ast.Attribute)
        and owner.func.attr == "setdefault"
        and isinstance(owner.func.value, ast.Name)
        and owner.func.value.id in names
        and len(owner.args) == 2
        and not owner.keywords
    ):
        stored = [(owner.args[1], 1), (call.args[-1], 2)]
        looked_up = [owner.args[0], *call.args] if kind == "add" else owner.args[:1]
        values = [*owner.args, *call.args]
        return Found(kind, (owner.func.value.id,), node, values, stored, level=1, keys=looked_up)
    return None


def _store(node: ast.stmt, names: frozenset[str]) -> Found | None:
    """``t[k] = v``, ``t[j][k] = v``, and ``t[k] = t.get(k, 0) + v``."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
        return None
    target = node.targets[0]
    root, keys = _keys(target)
    if root is None or root not in names:
        return None
    if len(node.targets) > 1:
        return _store_twice(node, root)
    grown = _grown(node.value, target, root)
    if grown is not None:
        earlier, added, operator = grown
        return Found("update", (root,), node, [*earlier, added, *keys], [(added, 2)], operator, level=1, keys=keys)
    level = 1 if isinstance(target.value, ast.Subscript) else 0
    return Found("store", (root,), node, [node.value, *keys], [(node.value, level + 1)], level=level, keys=keys)


def _store_twice(node: ast.Assign, root: str) -> Found | None:
    """``t[i, j] = t[j, i] = v``."""
    keys: list[ast.expr] = []
    for target in node.targets:
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name) or target.value.id != root:
            return None
        keys += _key_parts(target.slice)
    return Found("store", (root,), node, [node.value, *keys], [(node.value, 1)], keys=keys)


def _grown(value: ast.expr, target: ast.Subscript, root: str) -> tuple[list[ast.expr], ast.expr, str] | None:
    """The ``k`` and ``0``, the ``v`` and the ``+`` of ``t[k] = t.get(k, 0) + v``."""
    if not isinstance(value, ast.BinOp) or type(value.op) not in _OPERATORS or not isinstance(target.value, ast.Name):
        return None
    before, key = value.left, ast.dump(target.slice)
    operator = _OPERATORS[type(value.op)]
    if isinstance(before, ast.Subscript) and isinstance(before.value, ast.Name) and before.value.id == root:
        return (_key_parts(before.slice), value.right, operator) if ast.dump(before.slice) == key else None
    if isinstance(before, ast.Call) and isinstance(before.func, ast.Attribute) and before.func.attr == "get":
        owner = before.func.value
        if isinstance(owner, ast.Name) and owner.id == root and len(before.args) == 2 and not before.keywords:
            return (before.args, value.right, operator) if ast.dump(before.args[0]) == key else None
    return None


def _update(node: ast.stmt, names: frozenset[str]) -> Found | None:
    """``t[k] += v``."""
    if (
        not isinstance(node, ast.AugAssign)
        or not isinstance(node.target, ast.Subscript)
        or type(node.op) not in _OPERATORS
    ):
        return None
    root, keys = _keys(node.target)
    if root is None or root not in names:
        return None
    level = 2 if isinstance(node.target.value, ast.Subscript) else 1
    return Found(
        "update",
        (root,),
        node,
        [*keys, node.value],
        [(node.value, level + 1)],
        _OPERATORS[type(node.op)],
        level=level,
        keys=keys,
    )


def _reduce(node: ast.stmt, names: frozenset[str]) -> Found | None:
    """``t += v``, ``t = t + v``, ``t = max(t, v)``."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in names:
        operator = _OPERATORS.get(type(node.op))
        return Found("reduce", (node.target.id,), node, [node.value], [], operator) if operator else None
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return None
    name, value = node.targets[0].id, node.value
    if name not in names:
        return None
    if isinstance(value, ast.BinOp) and type(value.op) in _OPERATORS:
        added = _added_to(value, name)
        return Found("reduce", (name,), node, added, [], _OPERATORS[type(value.op)], needs_own=False) if added else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("min", "max"):
        others = [item for item in value.args if not (isinstance(item, ast.Name) and item.id == name)]
        if (
            others
            and len(others) == len(value.args) - 1
            and not value.keywords
            and not any(isinstance(o, ast.Starred) for o in others)
        ):
            return Found("reduce", (name,), node, others, [], value.func.id, needs_own=False)
    return None


def _added_to(value: ast.BinOp, name: str) -> list[ast.expr] | None:
    """``a`` and ``b`` of ``t + a + b``, and ``a`` of ``a + t``."""
    operator = type(value.op)
    if isinstance(value.right, ast.Name) and value.right.id == name and operator in (ast.Add, ast.Mult):
        return [value.left]
    added: list[ast.expr] = []
    node: ast.expr = value
    while isinstance(node, ast.BinOp) and type(node.op) in (operator, ast.Add, ast.Sub):
        added.insert(0, node.right)
        node = node.left
    return added if isinstance(node, ast.Name) and node.id == name else None


def _choose(node: ast.stmt, names: frozenset[str]) -> Found | None:
    """``if v > best: best, where = v, i``."""
    if not isinstance(node, ast.If) or node.orelse:
        return None
    tests = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or) else [node.test]
    last = tests[-1]
    if (
        not isinstance(last, ast.Compare)
        or len(last.ops) != 1
        or not isinstance(last.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    ):
        return None
    sides = [last.left, last.comparators[0]]
    own = [item for item in sides if isinstance(item, ast.Name) and item.id in names]
    assigned = _assigned_alone(node.body)
    if assigned is None or not own:
        return None
    best = [item for item in own if isinstance(item, ast.Name) and item.id in assigned]
    if len(best) != 1 or len(tests) > 2 or (len(tests) == 2 and not _is_none(tests[0], best[0])):
        return None
    measured = sides[1] if best[0] is sides[0] else sides[0]
    simple = all(
        isinstance(item, ast.Name | ast.Constant) or ast.dump(item) == ast.dump(measured) for item in assigned.values()
    )
    if not simple or not set(assigned) <= names:
        return None
    names_of = (_name_of(best[0]), *sorted(set(assigned) - {_name_of(best[0])}))
    values = [measured, *assigned.values()]
    return Found("choose", names_of, node, values, [], needs_own=False)


def _choice_names(node: ast.If, own: frozenset[str]) -> tuple[str, ...]:
    found = _choose(node, own)
    return found.targets if found is not None else ()


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _is_none(test: ast.expr, best: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Is)
        and ast.dump(test.left) == ast.dump(best)
        and isinstance(test.comparators[0], ast.Constant)
    )


def _assigned_alone(body: list[ast.stmt]) -> dict[str, ast.expr] | None:
    """The names and values of ``a = v`` and ``a, b = v, w``, if there is nothing else."""
    found: dict[str, ast.expr] = {}
    for node in body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            return None
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for name, part in pairs:
            if not isinstance(name, ast.Name) or name.id in found:
                return None
            found[name.id] = part
    if any(isinstance(item, ast.Name) and item.id in found for value in found.values() for item in ast.walk(value)):
        return None
    return found


def _keys(target: ast.Subscript) -> tuple[str | None, list[ast.expr]]:
    """The name and the keys of ``t[j][k]``, at most two."""
    if isinstance(target.value, ast.Name):
        return target.value.id, _key_parts(target.slice)
    inner = target.value
    if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name):
        return inner.value.id, [*_key_parts(inner.slice), *_key_parts(target.slice)]
    return None, []


def _key_parts(key: ast.expr) -> list[ast.expr]:
    """What is evaluated of a key: the ends of slices, which are no expressions themselves."""
    if isinstance(key, ast.Slice):
        return [item for item in (key.lower, key.upper, key.step) if item is not None]
    if isinstance(key, ast.Tuple) and any(isinstance(item, ast.Slice) for item in key.elts):
        return [part for item in key.elts for part in _key_parts(item)]
    return [key]


def _names_outside(node: ast.AST, values: list[ast.expr], names: tuple[str, ...]) -> Iterator[ast.Name]:
    if any(node is value for value in values):
        return
    if isinstance(node, ast.Name) and node.id in names:
        yield node
    for part in ast.iter_child_nodes(node):
        yield from _names_outside(part, values, names)


def _bound_by(node: ast.stmt) -> set[str]:
    """The names that a statement itself binds, not those within it."""
    if isinstance(node, ast.If | ast.While | ast.Try):
        heads: list[ast.AST] = [node.test] if isinstance(node, ast.If | ast.While) else []
        found = {item.name for item in getattr(node, "handlers", []) if item.name}
    elif isinstance(node, ast.For):
        heads, found = [node.iter], set(names_bound(node.target))
    elif isinstance(node, ast.With):
        heads = [item.context_expr for item in node.items]
        found = {
            name for item in node.items if item.optional_vars is not None for name in names_bound(item.optional_vars)
        }
    else:
        heads, found = [node], set(names_bound(node))
    walrus = {item.target.id for head in heads for item in ast.walk(head) if isinstance(item, ast.NamedExpr)}
    return found | walrus


def _statements(body: list[ast.stmt], without: Callable[[ast.stmt], bool] = lambda _: False) -> Iterator[ast.stmt]:
    for node in body:
        if without(node):
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _statements(_inner(node), without)


def _inner(node: ast.stmt) -> list[ast.stmt]:
    inner: list[ast.stmt] = []
    for part in ("body", "orelse", "finalbody"):
        inner += getattr(node, part, [])
    for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
        inner += part.body
    return inner
