"""What expressions do and give, within one iteration of a loop or one call of a function: nothing but reading, or a refusal.

That operators, subscripts and attributes only read is true of plain data, and the values are looked at when the loop runs.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
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
    known_call,
    known_method,
)
from clustrix.loop_proof import Ownership
from clustrix.namespaces import MISSING
from clustrix.remote.plain_values import is_plain
from clustrix.source import unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.surroundings import Origin, Surroundings

__all__ = ["NUMBER_VALUE", "SHARED_VALUE", "Frame", "Refused", "bind", "change", "element_of", "value_of"]

NUMBER_VALUE = Value(Ownership.OWNED, NUMBER)
SHARED_VALUE = Value(Ownership.SHARED)
_SHELL_VALUE = Value(Ownership.SHELL)
_OWNED_VALUE = Value(Ownership.OWNED)

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CONSTANT_FLAGS = frozenset(("out", "inplace", "overwrite_a", "overwrite_b", "overwrite_x", "overwrite_input"))


class Refused(Exception):  # noqa: N818 - it is how the analysis says no, not an error
    """Something that can't be proven harmless: where, about which name, and why."""

    def __init__(self, node: ast.AST, name: str, reason: str) -> None:
        super().__init__(reason)
        self.line: int = getattr(node, "lineno", 0)
        self.name = name
        self.reason = reason


@dataclass
class Frame:
    """What is known while the statements of one body are gone through.

    ``made`` has the names that the body binds, as they are at this point; ``helper`` judges a Python function that is called.
    In a branch or a loop of the body (``nesting``) an assignment adds to what a name may be. ``is_mixed`` is for the whole body,
    so that is gone through until nothing new comes (``is_settled``).
    """

    around: Surroundings
    helper: Callable[[FunctionType, ast.AST], Value]
    made: dict[str, Value] = field(default_factory=dict)
    hidden: list[dict[str, Value]] = field(default_factory=list)  # variables of comprehensions and lambdas
    functions: set[str] = field(default_factory=set)  # names that only definitions of the body bind
    reads: set[str] = field(default_factory=set)
    globals_read: set[str] = field(default_factory=set)
    helpers_read: set[str] = field(default_factory=set)
    orders_by_hash: bool = False
    is_mixed: bool = False  # something of the body's own was given something from before to hold
    is_settled: bool = True
    nesting: int = 0


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
        frame.made[target.id] = value if is_certain else _join(frame.made.get(target.id, value), value)
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            bind(item, _inside(value), frame)
    elif isinstance(target, ast.Starred):
        bind(target.value, _OWNED_VALUE if value.ownership is Ownership.OWNED else _SHELL_VALUE, frame)
    elif isinstance(target, ast.Subscript):
        value_of(target.slice, frame)
        change(target.value, [value], frame)
    elif isinstance(target, ast.Attribute):
        change(target.value, [value], frame)


def change(node: ast.expr, values: Iterable[Value], frame: Frame) -> Value:
    """The body changes the object that ``node`` gives, and has it hold ``values``: it has to be the iteration's own."""
    owner = value_of(node, frame)
    if owner.ownership is Ownership.SHARED:
        name = _root(node)
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
    return _inside(value)


def _inside(value: Value) -> Value:
    if value.kind in (NUMBER, ARRAY):
        return value
    return _OWNED_VALUE if value.ownership is Ownership.OWNED else SHARED_VALUE


def _join(one: Value, other: Value) -> Value:
    return Value(min(one.ownership, other.ownership), one.kind if one.kind == other.kind else "")


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


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
    joined = _join(left, right)
    return Value(max(joined.ownership, Ownership.SHELL), joined.kind if joined.kind in (NUMBER, ARRAY) else "")


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
        if isinstance(operator, ast.Is | ast.IsNot) and not (
            isinstance(left, ast.Constant) or isinstance(right, ast.Constant)
        ):
            raise Refused(
                node,
                _root(left),
                f"{ast.unparse(node)!r} asks whether two names are one object, and copies are not: use ==",
            )
    return _OWNED_VALUE


def _choice(node: ast.IfExp | ast.BoolOp, frame: Frame) -> Value:
    if isinstance(node, ast.IfExp):
        value_of(node.test, frame)
        return _join(value_of(node.body, frame), value_of(node.orelse, frame))
    return _all_of(node.values, frame)


def _all_of(nodes: Iterable[ast.expr | None], frame: Frame) -> Value:
    joined = NUMBER_VALUE
    for node in nodes:
        if node is not None:
            value = value_of(node, frame)
            _no_function(node, value)
            joined = _join(joined, value)
    return joined


def _no_function(node: ast.expr, value: Value) -> None:
    if value.kind == FUNCTION:
        raise Refused(node, _root(node), f"{ast.unparse(node)!r} is a function that is kept: who calls it is not seen")


def _display(node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
    frame.orders_by_hash |= isinstance(node, ast.Set)
    return Value(max(_all_of(node.elts, frame).ownership, Ownership.SHELL))


def _dictionary(node: ast.Dict, frame: Frame) -> Value:
    return Value(max(_all_of([*node.keys, *node.values], frame).ownership, Ownership.SHELL))


def _starred(node: ast.Starred, frame: Frame) -> Value:
    return _inside(value_of(node.value, frame))


def _subscript(node: ast.Subscript, frame: Frame) -> Value:
    value_of(node.slice, frame)
    return _inside(value_of(node.value, frame))


def _slice(node: ast.Slice, frame: Frame) -> Value:
    return _all_of([node.lower, node.upper, node.step], frame)


def _attribute(node: ast.Attribute, frame: Frame) -> Value:
    origin = None if _is_hidden(node, frame) else frame.around.origin(node)
    if origin is not None and origin.live is not MISSING:
        if callable(origin.live) or isinstance(origin.live, ModuleType):
            return SHARED_VALUE if isinstance(origin.live, type | ModuleType) else Value(Ownership.SHARED, FUNCTION)
        if _root_of(origin.path) not in ROOTS:
            if not is_plain(origin.live):
                raise Refused(node, ast.unparse(node), f"{ast.unparse(node)!r} is no plain data")
            frame.helpers_read.add(origin.path)
        return SHARED_VALUE
    return _inside(value_of(node.value, frame))


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
    if isinstance(node.func, ast.Name) and node.func.id in frame.functions:
        return SHARED_VALUE
    origin = frame.around.origin(node.func)
    if origin is not None and not _is_hidden(node.func, frame):
        value = _call_of(origin, node, values, frame)
        if value is not None:
            return value
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value, frame):
        return _method(node, node.func, values, frame)
    raise _unknown(node, origin, frame)


def _is_hidden(node: ast.expr, frame: Frame) -> bool:
    name = _root(node)
    return name in frame.made or any(name in names for names in frame.hidden)


def _is_module(node: ast.expr, frame: Frame) -> bool:
    if _is_hidden(node, frame):
        return False
    origin = frame.around.origin(node)
    return origin is not None and (bool(origin.path) or isinstance(origin.live, ModuleType | type))


def _unknown(node: ast.Call, origin: Origin | None, frame: Frame) -> Refused:
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


def _arguments(node: ast.Call, frame: Frame) -> list[Value]:
    for keyword in node.keywords:
        is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in _CONSTANT_FLAGS and not is_off:
            raise Refused(node, keyword.arg or "", f"'{keyword.arg}=' has {ast.unparse(node.func)!r} change an object")
    return [value_of(item, frame) for item in [*node.args, *(keyword.value for keyword in node.keywords)]]


def _judge_functions(node: ast.Call, values: list[Value], frame: Frame) -> None:
    """What calls its arguments does what these do."""
    called = [keyword.value for keyword in node.keywords if keyword.arg == "key"]
    if isinstance(node.func, ast.Name) and node.func.id in ("map", "filter", "reduce"):
        called += node.args[:1]
    for item in called:
        if (
            not isinstance(item, ast.Constant)
            and value_of(item, frame).kind != FUNCTION
            and frame.around.origin(item) is None
        ):
            raise Refused(item, ast.unparse(item), f"nothing is known of what {ast.unparse(item)!r} does")
    for item, value in zip([*node.args, *(keyword.value for keyword in node.keywords)], values, strict=True):
        if value.kind != FUNCTION or isinstance(item, ast.Lambda):
            continue
        if isinstance(item, ast.Name) and item.id in frame.functions:
            continue
        origin = frame.around.origin(item)
        if origin is None or _is_hidden(item, frame) or _known(origin, 1, node, frame) is None:
            raise Refused(node, ast.unparse(item), f"nothing is known of what {ast.unparse(item)!r} does")


def _known(origin: Origin, count: int, node: ast.Call, frame: Frame) -> Value | None:
    """What a function is known to give; None if nothing is."""
    live = unwrap_cluster(origin.live)
    live = getattr(live, "__wrapped__", live) if type(live).__name__ == "_lru_cache_wrapper" else live
    is_genuine = not isinstance(live, FunctionType) or _root_of(live.__module__) == _root_of(origin.path)
    known = known_call(origin.path, count)
    if known is not None and is_genuine:
        return known.value
    if live is not origin.live:  # it is remembered, and so is what it gave
        return SHARED_VALUE if isinstance(live, FunctionType) and frame.helper(live, node) else None
    return frame.helper(live, node) if isinstance(live, FunctionType) else None


def _root_of(path: str | None) -> str:
    return (
        (path or "")
        .partition(".")[0]
        .lstrip("_")
        .replace("posixpath", "os")
        .replace("genericpath", "os")
        .replace("ntpath", "os")
    )


def _call_of(origin: Origin, node: ast.Call, values: list[Value], frame: Frame) -> Value | None:
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
    _judge_functions(node, values, frame)
    if any(keyword.arg in ("copy", "dtype") and not _is_harmless(keyword) for keyword in node.keywords):
        known = Value(Ownership.SHARED)
    elif (
        known.kind == ARRAY
        and count > 1
        and path in ("numpy.zeros", "numpy.ones", "numpy.empty")
        and not _is_number_type(node.args[1])
    ):
        known = Value(Ownership.SHELL)
    if (
        known.ownership is not Ownership.OWNED
        and all(value.ownership is Ownership.OWNED for value in values)
        and path != "pandas.DataFrame"
    ):
        known = Value(Ownership.OWNED, known.kind)
    if (
        known.kind == ""
        and any(value.kind == ITERATOR for value in values)
        and path in ("builtins.zip", "builtins.enumerate", "builtins.reversed")
    ):
        known = Value(known.ownership, ITERATOR)
    return known


def _is_harmless(keyword: ast.keyword) -> bool:
    if keyword.arg == "dtype":
        return _is_number_type(keyword.value)
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is True


def _is_number_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and "O" not in node.value and "object" not in node.value
    return ast.unparse(node).rpartition(".")[2].startswith(("float", "int", "uint", "bool", "complex"))


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


def _method(node: ast.Call, function: ast.Attribute, values: list[Value], frame: Frame) -> Value:
    owner, name = value_of(function.value, frame), function.attr
    known = known_method(name, len(node.args))
    if known is not None and not any(isinstance(item, ast.Starred) for item in node.args):
        _judge_functions(node, values, frame)
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
        return _OWNED_VALUE if all(item.ownership is Ownership.OWNED for item in values) else SHARED_VALUE
    if name in MUTATING_METHODS:
        _judge_functions(node, values, frame)
        for item, value in zip(node.args, values, strict=True) if name != "sort" else ():
            _no_function(item, value)
        return _inside(change(function.value, values, frame))
    raise Refused(node, _root(function.value), f"nothing is known of what {ast.unparse(function)!r} does")


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
