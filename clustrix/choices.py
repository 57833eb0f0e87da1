"""Statements that choose what names mean by what the Python at hand has: ``try`` an import, or ``if`` a version.

The job's Python may choose otherwise than the client's did, so they come along whole.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from clustrix.module_text import dotted_name, every_statement
from clustrix.scopes import bound_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clustrix.module_text import ModuleText

__all__ = ["Choice", "choices_in"]

Choice = tuple["ModuleText", ast.stmt, frozenset[str]]
"""A statement, the text that it stands in, and the names that it binds."""

_CAUGHT = frozenset(("ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"))
_HARMLESS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
    ast.Pass,
)


def choices_in(texts: Iterable[ModuleText]) -> dict[str, Choice]:
    """By each name that it binds, the one statement of the module's body that does, if it chooses."""
    bound: dict[str, int] = {}
    found: dict[str, Choice] = {}
    for text in texts:
        for node in text.tree.body:
            names = frozenset(bound_in([node]))
            for name in names:
                bound[name] = bound.get(name, 0) + 1
            if isinstance(node, ast.If | ast.Try) and _chooses(node):
                found.update(dict.fromkeys(names, (text, node, names)))
    return {name: choice for name, choice in found.items() if all(bound[other] == 1 for other in choice[2])}


def _chooses(node: ast.If | ast.Try) -> bool:
    """Whether it does so by a version, or by an import of the standard library, and does nothing else."""
    by_version, of_standard_library = False, False
    for item in every_statement([node]):
        if isinstance(item, ast.If):
            if not _is_about_versions(item.test):
                return False
            by_version = True
        elif isinstance(item, ast.Try):
            if not item.handlers or not all(_is_for_imports(handler) for handler in item.handlers):
                return False
        elif isinstance(item, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in item.names] if isinstance(item, ast.Import) else [item.module or ""]
            if getattr(item, "level", 0) or any(alias.name == "*" for alias in item.names):
                return False
            of_standard_library |= any(name.partition(".")[0] in sys.stdlib_module_names for name in modules)
    return (by_version or of_standard_library) and all(_is_harmless(item) for item in _own_statements(node))


def _own_statements(node: ast.stmt | ast.ExceptHandler) -> Iterable[ast.stmt]:
    for part in ("body", "handlers", "orelse", "finalbody"):
        for item in getattr(node, part, []):
            if isinstance(item, ast.If | ast.Try | ast.ExceptHandler):
                yield from _own_statements(item)
            else:
                yield item


def _is_harmless(item: ast.stmt) -> bool:
    if isinstance(item, ast.Assign):
        names = [
            part for target in item.targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])
        ]
        return all(isinstance(name, ast.Name) for name in names)
    if isinstance(item, ast.AnnAssign):
        return isinstance(item.target, ast.Name)
    is_text = isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
    return is_text or (isinstance(item, _HARMLESS) and not getattr(item, "decorator_list", ()))


def _is_about_versions(test: ast.expr) -> bool:
    names = {dotted_name(item) for item in ast.walk(test) if isinstance(item, ast.Attribute | ast.Name)}
    return bool(names & {"sys.version_info", "version_info", "sys.hexversion"})


def _is_for_imports(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(isinstance(kind, ast.Name) and kind.id in _CAUGHT for kind in kinds)
