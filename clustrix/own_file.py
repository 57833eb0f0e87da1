"""The file around a function that is submitted, or the cells of its notebook: its texts, its globals, what is its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.choices import Choice, choices_in
from clustrix.code_proof import future_features
from clustrix.console import all_cells
from clustrix.local_modules import Import, imports_in
from clustrix.module_text import ModuleText, segment_text
from clustrix.namespaces import package_of
from clustrix.source import Source, find_source, is_importable, objects_inside, own_source

if TYPE_CHECKING:
    import ast

__all__ = ["OwnFile", "file_around"]

_DECLARED_TYPES = ("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "_GenericAlias", "_UnionGenericAlias")


@dataclass(frozen=True)
class OwnFile:
    """``function`` is the one that ``source`` defines, without what decorators wrapped around it.

    ``source`` is None, and there are no ``texts``, where the job can import the function; ``globals`` are then those
    of ``__main__``.
    """

    function: FunctionType
    source: Source | None
    globals: dict[str, Any]
    module_name: str
    package: str
    texts: tuple[ModuleText, ...]
    imports: list[Import]

    @property
    def place(self) -> str:
        if self.source is not None:
            return f"{self.source.path}, line {self.source.first_line}"
        return f"{self.function.__code__.co_filename}, {self.function.__code__.co_firstlineno}"

    @property
    def futures(self) -> tuple[str, ...]:
        return future_features(self.function.__code__.co_flags) if self.source is not None else ()

    @cached_property
    def choices(self) -> dict[str, Choice]:
        """By name, the statements that choose its meaning."""
        return choices_in(self.texts)

    def has(self, value: Any) -> bool:
        """Whether a function or class was defined here."""
        if isinstance(value, FunctionType):
            return value.__globals__ is self.globals
        return getattr(value, "__module__", None) == self.module_name

    def assignment(self, name: str, value: Any) -> tuple[str, ast.stmt] | None:
        """The one statement, as text and node, that assigned a value which can't be pickled by value.

        Such are classes made by calls, lambdas and type variables.
        """
        is_declared = type(value).__name__ in _DECLARED_TYPES and type(value).__module__ == "typing"
        if not is_declared and not (isinstance(value, type | FunctionType) and self.has(value)):
            return None
        found = [(text, node) for text in self.texts for node in text.assignments.get(name, ())]
        if isinstance(value, FunctionType):
            own = own_source(value).node
            found = [(text, node) for text, node in found if node.value is own]
        if not found or len({segment_text(text, node) for text, node in found}) > 1:  # a cell may have run twice
            return None
        text, node = found[-1]
        return segment_text(text, node), node


def file_around(value: Any, function: FunctionType) -> OwnFile:
    """The file of ``function``, which is submitted as it is or within ``value``."""
    source = _source_of(value, function)
    function = _inner_function(function, source) if source is not None else function
    names = function.__globals__ if source is not None else vars(sys.modules["__main__"])
    texts = _texts_around(source.module) if source is not None else ()
    package = package_of(names)
    imports = [item for text in texts for item in imports_in(text.tree, package, as_main=True)]
    return OwnFile(function, source, names, str(names.get("__name__", "__main__")), package, texts, imports)


def _source_of(value: Any, function: FunctionType) -> Source | None:
    """The source of what is submitted; None if that is something around a function that the job can import."""
    if not isinstance(value, FunctionType) and is_importable(function):
        return None
    return find_source(function)


def _inner_function(function: FunctionType, source: Source) -> FunctionType:
    """The function that ``source`` defines, which a decorator may have wrapped: its globals are the file's."""
    for item in objects_inside(function):
        if isinstance(item, FunctionType) and _is_code_of(item.__code__, source):
            return item
    return function


def _is_code_of(code: CodeType, source: Source) -> bool:
    return code.co_name == source.name and Path(code.co_filename).name == Path(source.path).name


def _texts_around(module: ModuleText) -> tuple[ModuleText, ...]:
    """The file itself; for a notebook cell all cells that there are, in the order they were run."""
    if module.is_file:
        return (module,)
    return (*(text for text in all_cells(module.flags) if text is not module), module)
