"""The ``/`` after positional-only parameters (3.8) is left out.

So a call may name them, which was an error. Where the function takes any keyword, a keyword of that name must not reach them:
there they get another name.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from clustrix.downlevel.text import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Version

__all__ = ["rewrite_positional_only"]

_FEATURE, _SINCE = "positional-only parameter", (3, 8)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = (*_Function.__args__, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def rewrite_positional_only(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    if target >= _SINCE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, _Function) and node.args.posonlyargs:
            _leave_out_the_slash(source, edits, node.args)
            if node.args.kwarg is not None:
                for argument in node.args.posonlyargs:
                    _rename(source, edits, node, argument)
            yield _FEATURE, node.lineno


def _leave_out_the_slash(source: SourceText, edits: Edits, arguments: ast.arguments) -> None:
    place = source.end(arguments.posonlyargs[-1])
    extra = len(arguments.defaults) - len(arguments.args)
    if extra > 0:
        place = source.end(arguments.defaults[extra - 1])
    slash = source.token_after(place, "/")
    edits.put(slash.start, slash.end, "")
    following = next(source.tokens_from(slash.end))
    if following.text == ",":
        edits.put(following.start, following.end, "")


def _rename(source: SourceText, edits: Edits, function: _Function, argument: ast.arg) -> None:
    name = argument.arg
    new = "positional_" + name.lstrip("_")
    while new in source.text:
        new += "_"
    start = source.start(argument)
    edits.put(start, start + len(name), new)
    body = function.body if isinstance(function.body, list) else [function.body]
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name:
                edits.put(source.start(node), source.end(node), new)
            elif _binds_otherwise(node, name):
                raise UnsupportedError(
                    f"{_FEATURE} {name!r}, which is bound again, beside any keyword", function.lineno, _SINCE
                )


def _binds_otherwise(node: ast.AST, name: str) -> bool:
    """Whether the name is written where it is no plain name, or belongs to a scope of its own."""
    if isinstance(node, ast.Name | ast.Attribute | ast.keyword | ast.Constant):
        return False
    if isinstance(node, _SCOPES) and _is_bound_in(node, name):
        return True
    if isinstance(node, ast.alias):
        return (node.asname or node.name.partition(".")[0]) == name
    values = [value for field in ("name", "names", "rest") for value in _listed(getattr(node, field, None))]
    return name in values


def _is_bound_in(scope: ast.AST, name: str) -> bool:
    parameters = [item.arg for item in ast.walk(scope) if isinstance(item, ast.arg)]
    stored = [item.id for item in ast.walk(scope) if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)]
    return name in [*parameters, *stored]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
