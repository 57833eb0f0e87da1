"""Stars where older grammar has none: in subscripts (3.11), and in tuples without parentheses (3.8, in ``for`` 3.9)."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Version

__all__ = ["rewrite_starred"]


def rewrite_starred(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    for node in ast.walk(source.tree):
        found = _bare_tuple(node, target)
        if found is not None:
            feature, items = found
            # A tuple of one needs its comma, which `a[*b]` does without.
            comma = "," if len(items.elts) == 1 and not source.segment(items).rstrip().endswith(",") else ""
            edits.wrap(source.start(items), source.end(items), "(", comma + ")")
            yield feature, items.lineno


def _bare_tuple(node: ast.AST, target: Version) -> tuple[str, ast.Tuple] | None:
    if isinstance(node, ast.Subscript) and target < (3, 11):
        return _with_star("starred subscript", node.slice)
    if isinstance(node, ast.Return | ast.Yield) and target < (3, 8):
        return _with_star("starred return or yield", node.value)
    if isinstance(node, ast.AnnAssign) and target < (3, 8):
        return _with_star("annotated assignment of several values", node.value, needs_star=False)
    if isinstance(node, ast.For | ast.AsyncFor) and target < (3, 9):
        return _with_star("star in for", node.iter)
    return None


def _with_star(feature: str, node: ast.expr | None, *, needs_star: bool = True) -> tuple[str, ast.Tuple] | None:
    if not isinstance(node, ast.Tuple):
        return None
    if needs_star and not any(isinstance(item, ast.Starred) for item in node.elts):
        return None
    return feature, node
