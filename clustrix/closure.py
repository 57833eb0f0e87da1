"""What a function of a script reaches, as data: what its main file is written from, and its dependencies are read from."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from clustrix.local_modules import Import
    from clustrix.scopes import NamesRead
    from clustrix.source import Source

__all__ = ["Closure", "Definition"]


@dataclass
class Definition:
    """A statement of the main file that defines ``name``; ``source`` is None where the user's files have no such.

    A rebuilt one comes after the bindings that it reads.
    """

    name: str
    text: str
    names: NamesRead
    source: Source | None = None
    is_rebuilt: bool = False

    def is_of(self, source: Source | None) -> bool:
        return source is not None and self.source is not None and self.source.node is source.node

    @property
    def is_class(self) -> bool:
        return self.source is not None and isinstance(self.source.node, ast.ClassDef)

    @property
    def is_decorated(self) -> bool:
        return self.source is not None and bool(getattr(self.source.node, "decorator_list", ()))

    @property
    def has_annotations(self) -> bool:
        return any(
            isinstance(node, ast.AnnAssign) or getattr(node, "annotation", None) or getattr(node, "returns", None)
            for node in ast.walk(ast.parse(self.text))
        )


@dataclass
class Closure:
    """All that a function reaches.

    ``entry_name`` is what a job calls, ``source`` its function's (None: that is imported) and ``place`` where it stands.
    ``undefined`` are names that nothing defines here; ``bindings`` names of values that travel beside the package, which
    ``current_bindings()`` gives as they are now; ``is_unchanged()`` turns false once a global or a cell that was
    looked up means something else. ``made`` are the names of functions and classes which code made as it ran,
    ``made_for_bindings`` those names that the bindings need.
    """

    entry_name: str
    source: Source | None
    place: str
    futures: tuple[str, ...]
    definitions: dict[str, Definition] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    bindings: set[str] = field(default_factory=set)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    inner_imports: list[Import] = field(default_factory=list)
    binding_imports: list[Import] = field(default_factory=list)
    made: dict[Any, str] = field(default_factory=dict)
    made_for_bindings: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)
    checks: list[Callable[[], bool]] = field(default_factory=list)
    current_bindings: Callable[[], dict[str, Any]] = dict

    def all_imports(self) -> list[Import]:
        """Those which the main file begins with, and those within its definitions."""
        return [item for name in sorted(self.imports) for item in self.imports[name]] + self.inner_imports

    def is_unchanged(self) -> bool:
        return all(check() for check in self.checks)
