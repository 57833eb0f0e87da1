"""Values that come by import: the statements of a file that give them, and names that they are found by."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from clustrix.local_modules import Import
from clustrix.namespaces import MISSING
from clustrix.source import unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

__all__ = ["imports_giving", "is_at_its_name", "is_module_by_name"]


def imports_giving(statements: Iterable[Import], name: str, value: Any) -> list[Import]:
    """What of a file's import statements gives ``name`` its present value, as unconditional ones; else empty.

    One suffices, but ``import package.module`` loads what another ``import package.other`` doesn't: then all of them.
    """
    matching = {item.statement: item for item in _matching(statements, name, value)}
    whole = [item for text, item in sorted(matching.items()) if not item.name]
    return whole or [matching[text] for text in sorted(matching)[:1]]


def is_module_by_name(module: ModuleType) -> bool:
    """Whether importing a module's name gives that module; ``__main__`` is another one in the job."""
    return module.__name__ != "__main__" and sys.modules.get(module.__name__) is module


def is_at_its_name(value: Any) -> bool:
    """Whether its module has a value as an attribute of its qualified name."""
    return getattr(sys.modules.get(value.__module__), value.__qualname__, None) is value


def _matching(statements: Iterable[Import], name: str, value: Any) -> Iterator[Import]:
    for item in statements:
        module = sys.modules.get(item.module)
        if module is None:
            continue
        if item.name == "*":
            if getattr(module, name, MISSING) is value:
                yield Import(item.module, name)
        elif item.binds == name:
            if item.name:
                meant = getattr(module, item.name, sys.modules.get(f"{item.module}.{item.name}"))
            else:
                meant = module if item.alias else sys.modules.get(name)
            if unwrap_cluster(meant) is value:
                yield Import(item.module, item.name, item.alias)
