"""Annotations become strings, as ``from __future__ import annotations`` has them, where the older Python can't evaluate them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from clustrix.remote.annotations import (
    evaluated_annotations,
    first_python_for,
    has_future_annotations,
    imported_classes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clustrix.downlevel.text import Edits, SourceText, Version

__all__ = ["rewrite_annotations", "stringify"]


def rewrite_annotations(source: SourceText, edits: Edits, target: Version) -> Iterator[tuple[str, int]]:
    """Those that ``target`` can't evaluate; all where it does not know the import from ``__future__``, which is left out."""
    if not has_future_annotations(source.tree):
        imported = imported_classes(source.tree)
        for annotation in evaluated_annotations(source.tree):
            if first_python_for(annotation, imported) > target:
                stringify(edits, annotation)
                yield "annotation", annotation.lineno
    elif target < (3, 7):
        for node in source.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                _leave_out_the_name(source, edits, node)
                yield "from __future__ import annotations", node.lineno
        for annotation in evaluated_annotations(source.tree):
            stringify(edits, annotation)


def stringify(edits: Edits, annotation: ast.expr) -> None:
    source = edits.source
    edits.replace(source.start(annotation), source.end(annotation), repr(ast.unparse(annotation)))


def _leave_out_the_name(source: SourceText, edits: Edits, node: ast.ImportFrom) -> None:
    kept = [alias for alias in node.names if alias.name != "annotations"]
    text = "pass"
    if kept:
        # An import from __future__ that names what every Python here has is one still.
        text = ast.unparse(ast.ImportFrom("__future__", kept, 0))
    elif _has_future_behind(source, node):
        text = "from __future__ import division"
    lines = source.segment(node).count("\n")
    edits.put(source.start(node), source.end(node), text + "\\\n" * lines if not lines else text + " \\\n" * lines)


def _has_future_behind(source: SourceText, node: ast.ImportFrom) -> bool:
    """Whether another import from ``__future__`` follows: no other statement may come before it."""
    return any(
        isinstance(other, ast.ImportFrom) and other.module == "__future__" and other.lineno >= node.lineno
        for other in source.tree.body[source.tree.body.index(node) + 1 :]
    )
