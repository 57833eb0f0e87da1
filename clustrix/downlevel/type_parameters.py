"""Type parameters and ``type`` statements (3.12) are erased: nothing but annotations, which become strings, may need them.

A generic class stays one by a base ``typing.Generic``, or by the type variable in that of its bases that names its parameter.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from clustrix.downlevel.annotations import stringify
from clustrix.downlevel.text import UnsupportedError
from clustrix.remote.annotations import evaluated_annotations, has_future_annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Token, Version

__all__ = ["rewrite_type_parameters"]

_SINCE = (3, 12)
_VARIABLE = "__import__('typing').TypeVar({!r})"
_GENERIC = "__import__('typing').Generic[{}]"


def rewrite_type_parameters(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    if target >= _SINCE:
        return
    rewriting = _Erasing(source, edits)
    for node in ast.walk(source.tree):
        if type(node).__name__ == "TypeAlias":
            rewriting.alias(node)
            yield "type statement", node.lineno  # type: ignore[attr-defined]
        elif getattr(node, "type_params", None):
            rewriting.parameters(node)
            yield "type parameters", node.lineno  # type: ignore[attr-defined]


class _Erasing:
    def __init__(self, source: SourceText, edits: Edits) -> None:
        self._source, self._edits = source, edits
        self._strings = set() if has_future_annotations(source.tree) else set(evaluated_annotations(source.tree))
        self._unread = set(_unread(source.tree))

    def alias(self, node: Any) -> None:
        name = node.name.id
        text = f"{name} = {ast.unparse(node.value)!r}"
        lines = self._source.segment(node).count("\n")
        self._edits.put(self._source.start(node), self._source.end(node), text + " \\\n" * lines)
        self._make_strings(self._source.tree, {name})
        for use in self._uses(self._source.tree, {name}):
            outer = self._source.parents[use]
            if isinstance(outer, ast.BinOp) or (isinstance(outer, ast.Subscript) and outer.value is use):
                raise UnsupportedError(f"type {name} in an expression", use.lineno, _SINCE)

    def parameters(self, node: Any) -> None:
        source = self._source
        names = [item.name for item in node.type_params]
        opening = source.token_after(source.token_after(source.start(node), node.name).end, "[")
        closing = source.closing(opening)
        # Their line ends go within the next parentheses.
        lines = "\n" * source.text.count("\n", opening.start, closing.end)
        self._edits.put(opening.start, closing.end, "")
        following = next(source.tokens_from(closing.end))
        if following.text == "(":
            self._edits.append(following.end, lines)
        self._make_strings(node, set(names))
        for statement in node.body:
            for use in self._uses(statement, set(names)):
                raise UnsupportedError(f"type parameter {use.id!r} used as a value", use.lineno, _SINCE)
        if isinstance(node, ast.ClassDef):
            self._make_generic(node, names, following, lines)

    def _make_generic(self, node: ast.ClassDef, names: list[str], following: Token, lines: str) -> None:
        """By the bases that name the parameters, or one more; ``following`` is the token behind the parameters."""
        source, edits = self._source, self._edits
        used = [use for base in [*node.bases, *node.keywords] for use in self._uses(base, set(names))]
        if used and sorted(use.id for use in used) != sorted(names):
            raise UnsupportedError("type parameters of which each is not named once by the bases", node.lineno, _SINCE)
        for use in used:
            edits.put(source.start(use), source.end(use), _VARIABLE.format(use.id))
        if used:
            return
        generic = _GENERIC.format(", ".join(_VARIABLE.format(name) for name in names))
        if following.text != "(":
            edits.append(following.start, f"({lines}{generic})")
        elif not node.bases:
            edits.append(following.end, generic + (", " if node.keywords else ""))
        else:
            edits.append(source.end(node.bases[-1]), ", " + generic)

    def _make_strings(self, node: ast.AST, names: set[str]) -> None:
        """The annotations within ``node`` that mention one of ``names``."""
        for annotation in [item for item in ast.walk(node) if item in self._strings]:
            if any(isinstance(item, ast.Name) and item.id in names for item in ast.walk(annotation)):
                self._strings.remove(annotation)
                stringify(self._edits, annotation)  # type: ignore[arg-type]

    def _uses(self, node: ast.AST, names: set[str]) -> Iterator[ast.Name]:
        """Where one of the names is evaluated."""
        if node in self._unread:
            return
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
            yield node
        for child in ast.iter_child_nodes(node):
            yield from self._uses(child, names)


def _unread(tree: ast.AST) -> Iterator[ast.AST]:
    """What is not evaluated afterwards: every annotation, type statements, the bounds of type parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns
        elif type(node).__name__ == "TypeAlias":
            yield node
        yield from getattr(node, "type_params", ())
