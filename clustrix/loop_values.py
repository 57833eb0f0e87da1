"""What expressions do and give, within one iteration of a loop or one call of a function: nothing but reading, or a refusal.

That operators, subscripts and attributes only read is true of plain data, and the values are looked at when the loop runs.
"""

from __future__ import annotations

import ast
from types import ModuleType
from typing import TYPE_CHECKING

from clustrix.known_calls import (
    ARRAY,
    FUNCTION,
    HANDLE,
    HANDLE_METHODS,
    ITERATOR,
    MUTATING_METHODS,
    NUMBER,
    ROOTS,
    Value,
    known_method,
)
from clustrix.loop_calls import judge_functions, result_of, root_of, unknown_call
from clustrix.loop_frame import (
    NUMBER_VALUE,
    OWNED_VALUE,
    SHARED_VALUE,
    SHELL_VALUE,
    Frame,
    Refused,
    inside,
    is_hidden,
    joined,
    root_name,
)
from clustrix.loop_proof import Ownership
from clustrix.namespaces import MISSING
from clustrix.remote.plain_values import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["bind", "change", "element_of", "value_of"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CONSTANT_FLAGS = frozenset(("out", "inplace", "overwrite_a", "overwrite_b", "overwrite_x", "overwrite_input"))


def value_of(node: ast.expr, frame: Frame) -> Value:
    """What the expression gives. Raises ``Refused`` where it may do more than read."""
    visit = _VISITORS.get(type(node))
    if visit is None:
        raise Refused(node, "", f"{ast.unparse(node)!r} is not understood")
    return visit(node, frame)


def bind(target: ast.expr, value: Value, frame: Frame) -> None:
    """Assign a value that is known as ``value`` to a target."""
    if isinstance(target, ast.Name):
        is_certain = frame.nesting == 0 and target.id != "return"
        frame.made[target.id] = value if is_certain else joined(frame.made.get(target.id, value), value)
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            bind(item, inside(value), frame)
    elif isinstance(target, ast.Starred):
        bind(target.value, OWNED_VALUE if value.ownership is Ownership.OWNED else SHELL_VALUE, frame)
    elif isinstance(target, ast.Subscript):
        value_of(target.slice, frame)
        change(target.value, [value], frame)
    elif isinstance(target, ast.Attribute):
        change(target.value, [value], frame)


def change(node: ast.expr, values: Iterable[Value], frame: Frame) -> Value:
    """The body changes the object that ``node`` gives, and has it hold ``values``: it has to be the iteration's own."""
    owner = value_of(node, frame)
    if owner.ownership is Ownership.SHARED:
        name = root_name(node)
        raise Refused(
            node,
            name,
            f"{ast.unparse(node)!r} is changed, which may be an object that other iterations use: copy it first",
        )
    if owner.kind != ARRAY and any(value.ownership is not Ownership.OWNED for value in values) and not frame.is_mixed:
        frame.is_mixed, frame.is_settled = True, False
    return owner


def element_of(node: ast.expr, frame: Frame) -> Value:
    """What iterating over the expression gives."""
    value = value_of(node, frame)
    if isinstance(node, ast.Call):
        origin = frame.around.origin(node.func)
        path = origin.path if origin is not None else ""
        if path == "builtins.range":
            return NUMBER_VALUE
    return inside(value)


def _name(node: ast.Name, frame: Frame) -> Value:
    name = node.id
    for names in reversed(frame.hidden):
        if name in names:
            return names[name]
    if name in frame.made:
        value = frame.made[name]
        if frame.is_mixed and value.kind not in (NUMBER, ARRAY):
            return Value(min(value.ownership, Ownership.SHELL), value.kind)
        return value
    if name in frame.around.imported:
        return SHARED_VALUE
    if name in frame.around.own:
        frame.reads.add(name)
        return SHARED_VALUE
    live = frame.around.namespace.get(name, MISSING)
    if live is MISSING:
        raise Refused(node, name, f"{name!r} is defined nowhere")
    if isinstance(live, ModuleType | type):
        return SHARED_VALUE
    if callable(live):
        return Value(Ownership.SHARED, FUNCTION)
    if name in _cells(frame):
        frame.reads.add(name)
    else:
        frame.globals_read.add(name)
    return SHARED_VALUE


def _cells(frame: Frame) -> Iterable[str]:
    maps = getattr(frame.around.namespace, "maps", [])
    return maps[0] if len(maps) == 3 else ()


def _constant(_node: ast.Constant, _frame: Frame) -> Value:
    return NUMBER_VALUE


def _text(node: ast.JoinedStr, frame: Frame) -> Value:
    for item in node.values:
        value_of(item, frame)
    return NUMBER_VALUE


def _formatted(node: ast.FormattedValue, frame: Frame) -> Value:
    value_of(node.value, frame)
    if node.format_spec is not None:
        value_of(node.format_spec, frame)
    return NUMBER_VALUE


def _operation(node: ast.BinOp, frame: Frame) -> Value:
    left, right = value_of(node.left, frame), value_of(node.right, frame)
    both = joined(left, right)
    return Value(max(both.ownership, Ownership.SHELL), both.kind if both.kind in (NUMBER, ARRAY) else "")


def _unary(node: ast.UnaryOp, frame: Frame) -> Value:
    value = value_of(node.operand, frame)
    if isinstance(node.op, ast.Not):
        return NUMBER_VALUE
    return value if isinstance(node.op, ast.UAdd) else Value(max(value.ownership, Ownership.SHELL), value.kind)


def _comparison(node: ast.Compare, frame: Frame) -> Value:
    operands = [node.left, *node.comparators]
    for operand in operands:
        value_of(operand, frame)
    for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
        if isinstance(operator, ast.Is | ast.IsNot) and not any(_is_only_one(item, frame) for item in (left, right)):
            raise Refused(
                node,
                root_name(left),
                f"{ast.unparse(node)!r} asks whether two names are one object, and copies are not: use ==",
            )
    return OWNED_VALUE


def _is_only_one(node: ast.expr, frame: Frame) -> bool:
    """Whether it is an object of which there are no copies: None, True, a class."""
    if isinstance(node, ast.Constant):
        return node.value is None or node.value is Ellipsis or isinstance(node.value, bool)
    origin = frame.around.origin(node)
    return origin is not None and isinstance(origin.live, type)


def _choice(node: ast.IfExp | ast.BoolOp, frame: Frame) -> Value:
    if isinstance(node, ast.IfExp):
        value_of(node.test, frame)
        return joined(value_of(node.body, frame), value_of(node.orelse, frame))
    return _all_of(node.values, frame)


def _all_of(nodes: Iterable[ast.expr | None], frame: Frame) -> Value:
    every = NUMBER_VALUE
    for node in nodes:
        if node is not None:
            value = value_of(node, frame)
            _no_function(node, value)
            every = joined(every, value)
    return every


def _no_function(node: ast.expr, value: Value) -> None:
    if value.kind == FUNCTION:
        raise Refused(
            node, root_name(node), f"{ast.unparse(node)!r} is a function that is kept: who calls it is not seen"
        )


def _display(node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
    frame.orders_by_hash |= isinstance(node, ast.Set)
    return Value(max(_all_of(node.elts, frame).ownership, Ownership.SHELL))


def _dictionary(node: ast.Dict, frame: Frame) -> Value:
    return Value(max(_all_of([*node.keys, *node.values], frame).ownership, Ownership.SHELL))


def _starred(node: ast.Starred, frame: Frame) -> Value:
    return inside(value_of(node.value, frame))


def _subscript(node: ast.Subscript, frame: Frame) -> Value:
    value_of(node.slice, frame)
    return inside(value_of(node.value, frame))


def _slice(node: ast.Slice, frame: Frame) -> Value:
    return _all_of([node.lower, node.upper, node.step], frame)


def _attribute(node: ast.Attribute, frame: Frame) -> Value:
    origin = None if is_hidden(node, frame) else frame.around.origin(node)
    if origin is not None and origin.live is not MISSING:
        if callable(origin.live) or isinstance(origin.live, ModuleType):
            return SHARED_VALUE if isinstance(origin.live, type | ModuleType) else Value(Ownership.SHARED, FUNCTION)
        if root_of(origin.path) not in ROOTS:
            if not is_plain(origin.live):
                raise Refused(node, ast.unparse(node), f"{ast.unparse(node)!r} is no plain data")
            frame.helpers_read.add(origin.path)
        return SHARED_VALUE
    return inside(value_of(node.value, frame))


def _comprehension(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, frame: Frame) -> Value:
    before = len(frame.hidden)
    frame.orders_by_hash |= isinstance(node, ast.SetComp)
    for generator in node.generators:
        if generator.is_async:
            raise Refused(node, "", "it awaits something")
        value = element_of(generator.iter, frame)
        frame.hidden.append(dict.fromkeys(_names_in(generator.target), value))
        for condition in generator.ifs:
            value_of(condition, frame)
    results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    result = _all_of(results, frame)
    del frame.hidden[before:]
    kind = ITERATOR if isinstance(node, ast.GeneratorExp) else ""
    return Value(max(result.ownership, Ownership.SHELL), kind)


def _names_in(target: ast.AST) -> list[str]:
    return [item.id for item in ast.walk(target) if isinstance(item, ast.Name)]


def _lambda(node: ast.Lambda, frame: Frame) -> Value:
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if default is not None:
            value_of(default, frame)
    names = [item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)]
    frame.hidden.append(dict.fromkeys(names, SHARED_VALUE))
    value_of(node.body, frame)
    frame.hidden.pop()
    return Value(Ownership.SHARED, FUNCTION)


def _walrus(node: ast.NamedExpr, frame: Frame) -> Value:
    value = value_of(node.value, frame)
    frame.nesting += 1
    bind(node.target, value, frame)
    frame.nesting -= 1
    return value


def _yield(node: ast.Yield | ast.YieldFrom, frame: Frame) -> Value:
    if node.value is not None:
        value_of(node.value, frame)
    return SHARED_VALUE


def _call(node: ast.Call, frame: Frame) -> Value:
    values = _arguments(node, frame)
    if isinstance(node.func, ast.Name) and node.func.id in frame.functions and not is_hidden(node.func, frame):
        return SHARED_VALUE
    origin = frame.around.origin(node.func)
    if origin is not None and not is_hidden(node.func, frame):
        value = result_of(origin, node, values, frame)
        if value is not None:
            return value
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value, frame):
        return _method(node, node.func, values, frame)
    raise unknown_call(node, origin, frame)


def _is_module(node: ast.expr, frame: Frame) -> bool:
    if is_hidden(node, frame):
        return False
    origin = frame.around.origin(node)
    return origin is not None and (bool(origin.path) or isinstance(origin.live, ModuleType | type))


def _arguments(node: ast.Call, frame: Frame) -> list[Value]:
    for keyword in node.keywords:
        is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in _CONSTANT_FLAGS and not is_off:
            raise Refused(node, keyword.arg or "", f"'{keyword.arg}=' has {ast.unparse(node.func)!r} change an object")
    return [value_of(item, frame) for item in [*node.args, *(keyword.value for keyword in node.keywords)]]


def _method(node: ast.Call, function: ast.Attribute, values: list[Value], frame: Frame) -> Value:
    owner, name = value_of(function.value, frame), function.attr
    known = known_method(name, len(node.args))
    if known is not None and not any(isinstance(item, ast.Starred) for item in node.args):
        judge_functions(node, values, frame)
        value = known.value
        if any(keyword.arg == "copy" for keyword in node.keywords):
            value = SHARED_VALUE
        if value.ownership is not Ownership.OWNED and all(
            item.ownership is Ownership.OWNED for item in [owner, *values]
        ):
            value = Value(Ownership.OWNED, value.kind)
        return value
    if owner.ownership is not Ownership.SHARED and owner.kind == HANDLE and name in HANDLE_METHODS:
        if name == "shuffle":
            for item in node.args:
                change(item, [], frame)
        return OWNED_VALUE if all(item.ownership is Ownership.OWNED for item in values) else SHARED_VALUE
    if name in MUTATING_METHODS:
        judge_functions(node, values, frame)
        for item, value in zip(node.args, values, strict=True) if name != "sort" else ():
            _no_function(item, value)
        return inside(change(function.value, values, frame))
    raise Refused(node, root_name(function.value), f"nothing is known of what {ast.unparse(function)!r} does")


def _no_await(node: ast.Await, _frame: Frame) -> Value:
    raise Refused(node, "", "it awaits something")


_VISITORS: dict[type, Callable[..., Value]] = {
    ast.Attribute: _attribute,
    ast.Await: _no_await,
    ast.BinOp: _operation,
    ast.BoolOp: _choice,
    ast.Call: _call,
    ast.Compare: _comparison,
    ast.Constant: _constant,
    ast.Dict: _dictionary,
    ast.FormattedValue: _formatted,
    ast.IfExp: _choice,
    ast.JoinedStr: _text,
    ast.Lambda: _lambda,
    ast.List: _display,
    ast.Name: _name,
    ast.NamedExpr: _walrus,
    ast.Set: _display,
    ast.Slice: _slice,
    ast.Starred: _starred,
    ast.Subscript: _subscript,
    ast.Tuple: _display,
    ast.UnaryOp: _unary,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
    **dict.fromkeys(_COMPREHENSIONS, _comprehension),
}
