"""Which calls of a loop go to BLAS, by itself a user of all cores: how its sums are rounded depends on how many it has.

A worker of a pool has fewer, so what it computes there may differ from the plain loop's in the last bit.
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.source import own_source
from clustrix.surroundings import namespace_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["native_call"]

_LIBRARIES = ("numpy", "scipy", "pandas")
_NAMES = (
    "dot vdot matmul inner tensordot einsum convolve correlate polyfit cov corrcoef corr linalg norm det inv pinv solve eig eigh "
    "eigvals eigvalsh svd qr cholesky matrix_rank lstsq matrix_power slogdet cond multi_dot expm"
)
_BY_BLAS = frozenset(_NAMES.split())


def native_call(part: ast.AST, tree: ast.AST, namespace: Mapping[str, Any]) -> str:
    """The first call to BLAS that a part of a function's ``tree``, or what it calls, may make; empty if there is none."""
    return _native_call(part, _imported(tree), namespace, set())


def _native_call(
    part: ast.AST, imported: Mapping[str, str], namespace: Mapping[str, Any], seen: set[FunctionType]
) -> str:
    for node in ast.walk(part):
        if isinstance(node, ast.MatMult):
            return "@"
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        value = _meaning(node, namespace)
        written = imported.get(node.id, "") if isinstance(node, ast.Name) else node.attr
        name = getattr(value, "__name__", written)
        library = str(getattr(value, "__module__", None) or getattr(value, "__name__", "")).partition(".")[0]
        if library in _LIBRARIES or value is None:
            if name.rpartition(".")[2] in _BY_BLAS:
                return ast.unparse(node)
        elif isinstance(value, FunctionType) and value not in seen:
            seen.add(value)
            inner = _within(value, seen)
            if inner:
                return inner
    return ""


def _within(function: FunctionType, seen: set[FunctionType]) -> str:
    try:
        tree = own_source(function).node
    except PackagingError:
        return ""  # what has no source is proven only where it is known
    return _native_call(tree, _imported(tree), namespace_of(function), seen)


def _imported(tree: ast.AST) -> dict[str, str]:
    """What the names are called at home that the function itself imports."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: alias.name for node in imports for alias in node.names}


def _meaning(node: ast.expr, namespace: Mapping[str, Any]) -> Any:
    """What a name, or an attribute of such a thing, is; None if that is not known."""
    if isinstance(node, ast.Name):
        return namespace.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = _meaning(node.value, namespace)
        return getattr(holder, node.attr, None) if type(holder).__name__ == "module" else None
    return None
