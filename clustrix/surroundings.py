"""What the names in a function's text mean to it: its own variables, what it imports, and the live objects around it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections import ChainMap
from dataclasses import dataclass, field
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from clustrix.namespaces import MISSING, cells_of, contents
from clustrix.scopes import bound_in

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Origin", "Surroundings", "namespace_of"]


@dataclass(frozen=True)
class Origin:
    """A thing that an expression names for certain: its dotted path ("" if it is nowhere else), and itself, or ``MISSING``."""

    path: str
    live: Any = field(repr=False, default=MISSING)


def namespace_of(function: FunctionType) -> ChainMap[str, Any]:
    """The names that a function finds outside itself: cells first, then globals and builtins."""
    cells = {name: value for name, cell in cells_of(function).items() if (value := contents(cell)) is not MISSING}
    return ChainMap(cells, function.__globals__, vars(builtins))


@dataclass
class Surroundings:
    """``tree`` is the definition (or lambda) whose names are asked for."""

    tree: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    namespace: Mapping[str, Any] = field(repr=False)

    @cached_property
    def parameters(self) -> frozenset[str]:
        return frozenset(item.arg for item in ast.walk(self.tree.args) if isinstance(item, ast.arg))

    @cached_property
    def own(self) -> frozenset[str]:
        """The function's local names."""
        body = [self.tree.body] if isinstance(self.tree, ast.Lambda) else self.tree.body
        return self.parameters | bound_in(body)

    @cached_property
    def imported(self) -> dict[str, str]:
        """Local names that import statements of the function alone bind, with the dotted path of what they mean."""
        paths: dict[str, str] = {}
        bound_otherwise = set(self.parameters)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    paths[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    paths[alias.asname or alias.name] = f"{node.module}.{alias.name}" if not node.level else ""
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound_otherwise.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound_otherwise.add(node.name)
        return {name: path for name, path in paths.items() if path and name not in bound_otherwise}

    def origin(self, node: ast.expr) -> Origin | None:
        """What a name or a dotted name means, if that is certain: no variable of the function."""
        if isinstance(node, ast.Name):
            if node.id in self.imported:
                path = self.imported[node.id]
                return Origin(path, _loaded(path))
            if node.id in self.own or node.id not in self.namespace:
                return None
            value = self.namespace[node.id]
            return Origin(_path_of(value), value)
        if isinstance(node, ast.Attribute):
            base = self.origin(node.value)
            if base is None or not base.path:
                return None
            live = MISSING if base.live is MISSING else getattr(base.live, node.attr, MISSING)
            if base.live is not MISSING and live is MISSING:
                return None
            return Origin(f"{base.path}.{node.attr}", live)
        return None


def _loaded(path: str) -> Any:
    """What a dotted path means now, without importing anything."""
    if path in sys.modules:
        return sys.modules[path]
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, MISSING)


_SAME_MODULE = {"io.open": "builtins", "_io.open": "builtins"}  # by version


def _path_of(value: Any) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        module = getattr(value, "__module__", None)
        owner = getattr(value, "__self__", None)
        if isinstance(owner, ModuleType):
            module = _SAME_MODULE.get(f"{owner.__name__}.{value.__name__}", owner.__name__)
        elif owner is not None and not isinstance(value, type) and not isinstance(owner, type):
            return f"{type(owner).__module__}.{value.__name__}"  # random.random is a method of an object
        return f"{module}.{value.__qualname__}"
    home = type(value).__module__  # compiled functions have something else there than a text
    if isinstance(home, str) and home.partition(".")[0] == "numpy":
        module = getattr(value, "__module__", None) or "numpy"
        name = getattr(value, "__name__", None)
        return f"{module}.{name}" if isinstance(name, str) and callable(value) else ""
    return ""
