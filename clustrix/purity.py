"""What statements do, within one iteration of a loop or one call of a function, and which of the user's functions are pure.

A pure function reads its arguments, plain data and the module's constants, changes only what it made itself, and calls
only pure functions.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.known_calls import FUNCTION, ITERATOR, NUMBER, PURE_CONTEXTS, ROOTS, Value
from clustrix.local_modules import is_local_path
from clustrix.loop_flow import names_bound
from clustrix.loop_frame import NUMBER_VALUE, SHARED_VALUE, Frame, Refused
from clustrix.loop_proof import Ownership
from clustrix.loop_values import bind, change, element_of, value_of
from clustrix.remote.plain_values import is_plain
from clustrix.source import own_source
from clustrix.surroundings import Surroundings, namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FunctionType

__all__ = ["Helpers", "run_statements", "settle"]

_ROUNDS = 10


def settle(statements: list[ast.stmt], frame: Frame, replayed: Callable[[ast.stmt], bool] = lambda _: False) -> None:
    """Go through ``statements`` until nothing new is learnt of their names. ``replayed`` takes over those it answers True for."""
    frame.functions |= _only_defined(statements, frame.around.parameters)
    given = dict(frame.made)
    for _ in range(_ROUNDS):
        frame.is_settled, frame.made = True, dict(given)
        run_statements(statements, frame, replayed)
        if frame.is_settled:
            return
    raise Refused(statements[0], "", "it is too involved")


def run_statements(statements: Iterable[ast.stmt], frame: Frame, replayed: Callable[[ast.stmt], bool]) -> None:
    for statement in statements:
        if not replayed(statement):
            _run(statement, frame, replayed)


def _run(node: ast.stmt, frame: Frame, replayed: Callable[[ast.stmt], bool]) -> None:
    run = partial(_run_within, frame=frame, replayed=replayed)
    if isinstance(node, ast.Expr):
        value_of(node.value, frame)
    elif isinstance(node, ast.Assign):
        value = value_of(node.value, frame)
        for target in node.targets:
            _bind_parts(target, node.value, value, frame)
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            bind(node.target, value_of(node.value, frame), frame)
    elif isinstance(node, ast.AugAssign):
        _change_in_place(node, frame)
    elif isinstance(node, ast.For):
        _run_loop(node, frame, replayed)
    elif isinstance(node, ast.While):
        value_of(node.test, frame)
        _run_loop(node, frame, replayed)
    elif isinstance(node, ast.If):
        value_of(node.test, frame)
        run([*node.body, *node.orelse])
    elif isinstance(node, ast.With):
        for item in node.items:
            _enter(item, frame)
        run(node.body)
    elif isinstance(node, ast.Try):
        run(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                value_of(handler.type, frame)
            if handler.name is not None:
                bind(ast.Name(handler.name, ast.Store()), SHARED_VALUE, frame)
            run(handler.body)
        run([*node.orelse, *node.finalbody])
    elif isinstance(node, ast.Raise):
        for part in (node.exc, node.cause):
            if part is not None:
                _raise(part, frame)
    elif isinstance(node, ast.Return):
        _return(node, frame)
    elif isinstance(node, ast.Assert):
        value_of(node.test, frame)
        if node.msg is not None:
            value_of(node.msg, frame)
    elif isinstance(node, ast.Delete):
        for target in node.targets:
            _delete(target, frame)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        _import(node)
    elif isinstance(node, ast.FunctionDef):
        _define(node, frame)
    elif isinstance(node, ast.Match):
        _match(node, frame, run)
    elif not isinstance(node, ast.Pass | ast.Break | ast.Continue):
        words = {ast.Global: "global", ast.Nonlocal: "nonlocal", ast.ClassDef: "class"}
        word = words.get(type(node), type(node).__name__.lower())
        name = getattr(node, "names", [getattr(node, "name", "")])[0]
        raise Refused(node, name, f"there is a statement '{word} {name}' in it")


def _run_within(statements: Iterable[ast.stmt], frame: Frame, replayed: Callable[[ast.stmt], bool]) -> None:
    """Statements that may be executed or not."""
    frame.nesting += 1
    run_statements(statements, frame, replayed)
    frame.nesting -= 1


def _run_loop(node: ast.For | ast.While, frame: Frame, replayed: Callable[[ast.stmt], bool]) -> None:
    for _ in range(_ROUNDS):
        before = dict(frame.made)
        frame.nesting += 1
        if isinstance(node, ast.For):
            bind_elements(node.target, node.iter, frame)
        else:
            value_of(node.test, frame)
        run_statements([*node.body, *node.orelse], frame, replayed)
        frame.nesting -= 1
        if frame.made == before:
            return
    raise Refused(node, "", "it is too involved")


def _bind_parts(target: ast.expr, node: ast.expr, value: Value, frame: Frame) -> None:
    """``a, b = 0, x[i]``: each name is judged by its own part."""
    if isinstance(target, ast.Tuple | ast.List) and isinstance(node, ast.Tuple | ast.List):
        plain = not any(isinstance(item, ast.Starred) for item in [*target.elts, *node.elts])
        if plain and len(target.elts) == len(node.elts):
            for part, of in zip(target.elts, node.elts, strict=True):
                _bind_parts(part, of, value_of(of, frame), frame)
            return
    if value.kind == FUNCTION:
        raise Refused(
            node,
            ast.unparse(target),
            f"{ast.unparse(target)!r} is a function: define it with 'def' outside of the loop",
        )
    bind(target, value, frame)


def bind_elements(target: ast.expr, iterable: ast.expr, frame: Frame) -> None:
    """``for target in iterable``: what the target's names are."""
    value = element_of(iterable, frame)
    origin = frame.around.origin(iterable.func) if isinstance(iterable, ast.Call) else None
    is_counted = origin is not None and origin.path == "builtins.enumerate"
    if is_counted and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        bind(target.elts[0], NUMBER_VALUE, frame)
        bind(target.elts[1], value, frame)
    else:
        bind(target, value, frame)


def _change_in_place(node: ast.AugAssign, frame: Frame) -> None:
    value = value_of(node.value, frame)
    if isinstance(node.target, ast.Name):
        name = node.target.id
        known = frame.made.get(name)
        if known is not None and known.ownership is Ownership.SHARED:
            raise Refused(
                node, name,
                f"{name!r} may be an object that other iterations use, and '{ast.unparse(node)}' would change that: "
                f"write '{name} = {name} {ast.unparse(node)[len(name):].strip().partition('=')[0]} ...'",
            )  # fmt: skip
        kind = NUMBER if known is not None and known.kind == NUMBER == value.kind else ""
        grown = Value(Ownership.OWNED if value.ownership is Ownership.OWNED else Ownership.SHELL, kind)
        bind(node.target, grown, frame)
    elif isinstance(node.target, ast.Subscript):
        value_of(node.target.slice, frame)
        change(node.target.value, [value], frame)
        if value_of(node.target.value, frame).ownership is not Ownership.OWNED:
            raise Refused(
                node, ast.unparse(node.target),
                f"'{ast.unparse(node)}' may change an object that other iterations use: write it with '=' alone",
            )  # fmt: skip
    else:
        raise Refused(node, ast.unparse(node.target), f"the attribute {ast.unparse(node.target)!r} is changed")


def _enter(item: ast.withitem, frame: Frame) -> None:
    call = item.context_expr
    origin = frame.around.origin(call.func) if isinstance(call, ast.Call) else None
    if (
        not isinstance(call, ast.Call)
        or origin is None
        or origin.path.replace("_io.", "builtins.") not in PURE_CONTEXTS
    ):
        raise Refused(call, ast.unparse(call), f"nothing is known of what 'with {ast.unparse(call)}' does")
    if origin.path.endswith("open"):
        value = value_of(call, frame)
    else:
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            value_of(argument, frame)
        value = SHARED_VALUE
    if item.optional_vars is not None:
        bind(item.optional_vars, value, frame)


def _raise(node: ast.expr, frame: Frame) -> None:
    """An exception class of the user's may be raised: where it leaves the iteration, that is run again where the loop is."""
    origin = frame.around.origin(node.func if isinstance(node, ast.Call) else node)
    if (
        origin is not None
        and isinstance(origin.live, type)
        and getattr(origin.live, "__init__", None) is _plain_init(origin.live)
    ):
        for argument in node.args if isinstance(node, ast.Call) else ():
            value_of(argument, frame)
        return
    value_of(node, frame)


def _plain_init(cls: type) -> Any:
    """The ``__init__`` that an exception class of this kind has if the user wrote none."""
    for base in cls.__mro__:
        if base.__module__ == "builtins" and issubclass(base, BaseException):
            return getattr(base, "__init__", None)
    return None


def _return(node: ast.Return, frame: Frame) -> None:
    value = value_of(node.value, frame) if node.value is not None else NUMBER_VALUE
    bind(ast.Name("return", ast.Store()), value, frame)


def _delete(target: ast.expr, frame: Frame) -> None:
    if isinstance(target, ast.Subscript):
        value_of(target.slice, frame)
        change(target.value, [], frame)
    else:
        raise Refused(target, ast.unparse(target), f"{ast.unparse(target)!r} is deleted")


def _import(node: ast.Import | ast.ImportFrom) -> None:
    """Importing runs the module; those that are known change nothing that a loop sees."""
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
    for module in modules:
        if module.partition(".")[0] not in ROOTS or (isinstance(node, ast.ImportFrom) and node.level):
            raise Refused(node, module, f"it imports {module!r}, which runs that module: import it before the loop")


def _define(node: ast.FunctionDef, frame: Frame) -> None:
    """A function within the body: its own variables are the frame's for as long as its statements are looked at."""
    if node.decorator_list:
        raise Refused(node, node.name, f"{node.name!r} is decorated")
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if default is not None:
            value_of(default, frame)
    around = Surroundings(node, frame.around.namespace)
    inner = Frame(around, frame.helper)
    inner.hidden = [dict.fromkeys(frame.around.own - around.own, SHARED_VALUE)]
    inner.made = dict.fromkeys(around.parameters, SHARED_VALUE)
    settle(node.body, inner)
    outer = _names_read(node) - around.own
    frame.reads |= (outer & frame.around.own) - set(frame.made)
    frame.reads |= inner.reads - around.own
    frame.globals_read |= inner.globals_read
    frame.helpers_read |= inner.helpers_read
    frame.orders_by_hash |= inner.orders_by_hash


def _names_read(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)}


def _only_defined(statements: list[ast.stmt], parameters: frozenset[str]) -> set[str]:
    """Names that the statements bind by one ``def`` and by nothing else."""
    defined: list[str] = []
    bound: set[str] = set(parameters)
    pending: list[ast.AST] = list(statements)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            defined.append(node.name)
            continue
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            bound |= names_bound(node) - {item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef)}
        pending += ast.iter_child_nodes(node)
    return {name for name in defined if defined.count(name) == 1} - bound


def _match(node: ast.Match, frame: Frame, run: Callable[[Iterable[ast.stmt]], None]) -> None:
    value_of(node.subject, frame)
    for case in node.cases:
        for item in ast.walk(case.pattern):
            name = getattr(item, "name", None) or getattr(item, "rest", None)
            if isinstance(item, ast.MatchClass):
                raise Refused(case.pattern, "", "a class pattern may run code of the class")
            if isinstance(name, str):
                bind(ast.Name(name, ast.Store()), SHARED_VALUE, frame)
        if case.guard is not None:
            value_of(case.guard, frame)
        run(case.body)


@dataclass
class Helpers:
    """The Python functions that a loop calls, each judged once: calling it gives a ``Value``, or raises ``Refused``."""

    known: dict[Any, Value | Refused] = field(default_factory=dict)
    judged: set[FunctionType] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    orders_by_hash: bool = False

    def __call__(self, function: FunctionType, node: ast.AST) -> Value:
        if function not in self.known:
            before = set(self.known)
            self.known[function] = SHARED_VALUE  # what calls itself is as pure as the rest of it
            try:
                self.known[function] = self._judged(function)
            except Refused as reason:
                # What was judged meanwhile may have been so because this one was taken for pure.
                self.known = {key: self.known[key] for key in before}
                self.known[function] = reason
            except RecursionError:
                self.known[function] = Refused(node, function.__name__, f"{function.__name__!r} is too involved")
        found = self.known[function]
        if isinstance(found, Refused) and not found.line:
            what = f"{function.__module__}.{function.__qualname__}"
            raise Refused(node, function.__name__, f"{what!r} is called: {found.reason}")
        if isinstance(found, Refused):
            place = f" (line {found.line})"
            raise Refused(node, function.__name__, f"{function.__name__!r} is called, and in it{place}: {found.reason}")
        return found

    def _judged(self, function: FunctionType) -> Value:
        path = function.__code__.co_filename
        if path.startswith("<frozen") or not is_local_path(path):
            raise Refused(ast.Pass(), function.__name__, "nothing is known of what it does")
        try:
            tree = own_source(function).node
        except PackagingError as error:
            raise Refused(ast.Pass(), function.__name__, "its source is not found") from error
        self.judged.add(function)
        if isinstance(tree, ast.ClassDef | ast.AsyncFunctionDef):
            raise Refused(tree, function.__name__, "it has to be awaited")
        frame = Frame(Surroundings(tree, namespace_of(function)), self)
        # Packed arguments are a tuple and a dictionary of the call's own.
        packed = {item.arg for item in (tree.args.vararg, tree.args.kwarg) if item is not None}
        frame.made = {
            name: Value(Ownership.SHELL if name in packed else Ownership.SHARED) for name in frame.around.parameters
        }
        if isinstance(tree, ast.Lambda):
            value = value_of(tree.body, frame)
            self._note_reads(function, tree, frame)
            return SHARED_VALUE if value.kind == FUNCTION else value
        settle(tree.body, frame)
        self._note_reads(function, tree, frame)
        if any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(tree)):
            return Value(Ownership.SHELL, ITERATOR)
        value = frame.made.get("return", NUMBER_VALUE)
        if value.kind == FUNCTION:
            return SHARED_VALUE
        return Value(min(value.ownership, Ownership.SHELL), "") if frame.is_mixed and value.kind != NUMBER else value

    def _note_reads(self, function: FunctionType, tree: ast.AST, frame: Frame) -> None:
        names = namespace_of(function)
        if not is_plain([function.__defaults__, function.__kwdefaults__]):
            raise Refused(tree, function.__name__, "a default value is no plain data")
        for name in (frame.reads | frame.globals_read) & set(names):
            if not is_plain(names[name]):
                raise Refused(tree, name, f"{name!r} is no plain data")
            frame.helpers_read.add(f"{function.__module__}.{name}")
        self.reads |= frame.helpers_read
        self.orders_by_hash |= frame.orders_by_hash
