"""Annotations that an older Python can't evaluate, though it can compile them: ``list[int]`` and ``int | None``.

The agent looks for them with the job's Python, and the client rewrites them: both must mean the same ones.
"""

import ast
import builtins
from typing import Any, Iterator, List, Set, Tuple

__all__ = ["evaluated_annotations", "first_python_for", "has_future_annotations", "imported_classes"]

# Modules whose classes can be subscripted since 3.9 (PEP 585).
_MODULES = {
    "asyncio", "collections", "concurrent", "contextlib", "ctypes", "functools", "mailbox", "multiprocessing", "numpy", "os",
    "queue", "re", "shelve", "subprocess", "tempfile", "types", "urllib", "weakref",
}  # fmt: skip
_BUILTINS = {"dict", "frozenset", "list", "set", "tuple", "type", "enumerate", "filter", "map", "reversed", "zip"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def has_future_annotations(tree: ast.Module) -> bool:
    """Whether the module has ``from __future__ import annotations``, so that none is evaluated."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def evaluated_annotations(node: ast.AST, in_function: bool = False) -> Iterator[Any]:
    """Those that are evaluated where they stand: of parameters and results, and of variables of a module or a class."""
    if isinstance(node, _FUNCTIONS):
        arguments = node.args
        every: List[Any] = [*getattr(arguments, "posonlyargs", ()), *arguments.args, arguments.vararg]
        every += [*arguments.kwonlyargs, arguments.kwarg]
        yield from (item.annotation for item in every if item is not None and item.annotation is not None)
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.AnnAssign) and not in_function:
        yield node.annotation
    inside = isinstance(node, _FUNCTIONS) or (in_function and not isinstance(node, ast.ClassDef))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler)) or type(child).__name__ == "match_case":
            yield from evaluated_annotations(child, inside)


def imported_classes(tree: ast.AST) -> Set[str]:
    """Names that imports bind to modules whose classes could not be subscripted in former times, or to their classes."""
    found: Set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                if top in _MODULES:
                    found.add(alias.asname or top)
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in _MODULES:
            found.update(alias.asname or alias.name for alias in node.names)
    return found


def first_python_for(annotation: ast.AST, imported: Set[str]) -> Tuple[int, int]:
    """The first Python that can evaluate the annotation, as far as can be seen: 3.10 for ``|``, 3.9 for ``list[...]``."""
    needed = (3, 0)
    for node in ast.walk(annotation):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return 3, 10
        if isinstance(node, ast.Subscript):
            base: Any = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and (
                base.id in imported or (base.id in _BUILTINS and hasattr(builtins, base.id))
            ):
                needed = (3, 9)
    return needed
