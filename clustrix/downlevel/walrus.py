"""``(n := value)`` becomes a call that binds the name in its scope by other means, and gives the value.

A local variable is bound through the cell that it shares with a lambda, a variable of a module or a class through its namespace:
so it stays an expression, in conditions and comprehensions too, and everything is evaluated in the same order.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from clustrix.downlevel.text import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Version

__all__ = ["has_walrus", "rewrite_walrus"]

_FEATURE, _SINCE = "assignment expression", (3, 8)
# See clustrix/remote/front/clustrix/_binding.py. A module has no line to spare for an import.
_BIND = "__import__('clustrix._binding', fromlist=['*'])."
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def has_walrus(node: ast.AST) -> bool:
    return any(isinstance(item, ast.NamedExpr) for item in ast.walk(node))


def rewrite_walrus(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    if target >= _SINCE:
        return
    local: dict[ast.AST, list[tuple[str, ast.NamedExpr]]] = {}
    for node in _inside_out(source.tree):
        if isinstance(node, ast.NamedExpr):
            yield _FEATURE, node.lineno
            scope, name = source.scope_of(node), node.target.id
            before = _binding(scope, name, node)
            if before is None:
                before = f"{_BIND}bind(lambda: {name}, "
                local.setdefault(scope, []).append((name, node))
            edits.put(source.start(node), source.token_after(source.end(node.target), ":=").end, "")
            edits.wrap(source.start(node), source.end(node), before.rstrip(), ")")
        elif isinstance(node, ast.Lambda) and node in local:
            _give_it_a_scope(source, edits, node, [name for name, _ in local.pop(node)])
    for scope, bound in local.items():
        _declare(source, edits, scope, bound)


def _inside_out(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield from _inside_out(child)
    yield node


def _binding(scope: ast.AST, name: str, node: ast.NamedExpr) -> str | None:
    """What begins the call that binds a variable of a module or a class; None for a local variable."""
    if isinstance(scope, ast.Lambda) or (isinstance(scope, _FUNCTIONS) and not _is_global(scope, name)):
        return None
    if isinstance(scope, ast.ClassDef) and (name.startswith("__") or _is_global(scope, name, ast.Nonlocal)):
        raise UnsupportedError(f"{_FEATURE} to {name!r} in a class body", node.lineno, _SINCE)
    space = "locals()" if isinstance(scope, ast.ClassDef) and not _is_global(scope, name) else "globals()"
    return f"{_BIND}bind_in({space}, {name!r}, "


def _is_global(scope: ast.AST, name: str, kind: type[ast.Global | ast.Nonlocal] = ast.Global) -> bool:
    return any(isinstance(node, kind) and name in node.names for node in _own_statements(scope))


def _own_statements(scope: ast.AST) -> Iterator[ast.stmt]:
    """The statements of the scope itself, not those of definitions within it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.expr) and not isinstance(child, _DEFINITIONS):
            yield from _own_statements(child)


def _declare(source: SourceText, edits: Edits, scope: ast.AST, bound: list[tuple[str, ast.NamedExpr]]) -> None:
    """Make the names local to a function: an annotation does, without doing anything, behind any simple statement."""
    shared = {name for node in _own_statements(scope) if isinstance(node, ast.Nonlocal) for name in node.names}
    names = sorted({name for name, _ in bound} - shared)
    if not names:
        return
    for statement in _own_statements(scope):
        is_simple = not isinstance(statement, _DEFINITIONS) and not hasattr(statement, "body")
        if is_simple and type(statement).__name__ != "Match":
            edits.append(source.end(statement), "".join(f"; {name}: 0" for name in names))
            return
    raise UnsupportedError(f"{_FEATURE} in a function of nothing but blocks", bound[0][1].lineno, _SINCE)


def _give_it_a_scope(source: SourceText, edits: Edits, node: ast.Lambda, names: list[str]) -> None:
    """A lambda has no statements: what it binds becomes a parameter of another one inside it, without a value at first."""
    arguments = node.args
    own = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    own |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item}
    added = sorted(set(names) - own)
    if added:
        parameters, every = ", ".join(f"{name}=None" for name in added), "".join(f"{name}, " for name in added)
        before = f"(lambda {parameters}: ({_BIND}unbind(lambda: ({every})), "
        edits.wrap(source.start(node.body), source.end(node.body), before.rstrip(), ")[1])()")
