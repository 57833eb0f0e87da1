"""Classes that code made as it ran, within functions: their definition as text, and what it reads of the functions around it.

A class keeps no variables. Those that its methods read are in the methods' cells; where only the class statement
read one, what it made of it is taken from the class instead.
"""

from __future__ import annotations
import __future__

import ast
import dataclasses
import enum
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.console import all_cells
from clustrix.local_modules import locate
from clustrix.made_functions import DEFAULT, Lifted, annotations_of, defaults_of, with_replacements
from clustrix.module_text import BLOCKS, ModuleText, definitions_around, read_module_text
from clustrix.namespaces import MISSING, cells_of
from clustrix.scopes import names_read, variables_around
from clustrix.source import NoSourceError, Source, find_class_source, objects_inside, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from clustrix.errors import PackagingError

__all__ = ["class_cells", "class_source", "is_made_class", "lifted_class", "referred_to"]

_NOT_THE_USERS = ("__class__", "__classdict__")
_OF_A_FIELD = ("default", "default_factory")


def is_made_class(value: Any) -> bool:
    """Whether a value is a class of the user's code that a function made as it ran."""
    if not isinstance(value, type) or "<locals>" not in value.__qualname__:
        return False
    return value.__module__ in ("__main__", "__mp_main__") or locate(value.__module__) is not None


def class_source(cls: type) -> Source:
    """The proven definition of a made class. Raises as ``find_class_source``, and where there is none."""
    source = find_class_source(cls, _texts_around(cls))
    if source is None:
        raise NoSourceError(f"class {cls.__qualname__!r} has no source here. Define it at module level or import it.")
    return source


def class_cells(cls: type) -> dict[str, Any]:
    """The cells that the functions of a class read, by the names of the variables."""
    cells: dict[str, Any] = {}
    for function in _own_functions(cls):
        cells.update(cells_of(function))
    return {name: cell for name, cell in cells.items() if name not in _NOT_THE_USERS}


def referred_to(cls: type) -> Iterator[Any]:
    """What a class has from elsewhere: its bases, its metaclass, functions and classes as attributes."""
    yield from (*cls.__bases__, type(cls))
    for value in vars(cls).values():
        if isinstance(value, FunctionType | type) and not value.__qualname__.startswith(f"{cls.__qualname__}."):
            yield value


def lifted_class(
    cls: type,
    is_known: Callable[[ast.expr], bool],
    members: Collection[str],
    error: Callable[[str], PackagingError],
) -> Lifted:
    """The text of a made class, in which what can't be evaluated again is replaced by its value.

    ``members`` are names that are defined beside it; annotations that not ``is_known`` are replaced as well.

    :raises PackagingError: ``error()`` of the reason: it reads a variable that nothing has kept
    """
    source = class_source(cls)
    node = ast.parse(source.text).body[0]
    around = variables_around(definitions_around(source.module.tree, source.node))
    lost = around - {*class_cells(cls), *members}
    values = list(_values(cls, node, is_known, lost))
    defaults, replaced = {}, []
    for number, (hint, expression, value) in enumerate(values):
        name = f"{DEFAULT}{cls.__name__}_{number}_{hint}"
        defaults[name] = value
        replaced.append((expression, name))
    text = with_replacements(source.text, replaced)
    read = names_read(ast.parse(text).body[0])
    for name in sorted(read.all & lost):
        line = next(item.lineno for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name)
        raise error(
            f"class {cls.__qualname__!r} ({source.path}, line {source.first_line + line - 1}) reads {name!r}, a variable "
            "of the function around it that nothing has kept. Read it in a method, make it an attribute of the class by a "
            f"plain assignment, or define the class at module level and give it {name!r} as an argument."
        )
    return Lifted(source.name, text, is_lambda=False, defaults=defaults, early=read.early, read=read.all & around)


_Value = tuple[str, ast.expr, Any]


def _values(cls: type, node: Any, is_known: Callable[[ast.expr], bool], lost: set[str]) -> Iterator[_Value]:
    """(a word for it, expression, value) of what reads ``lost`` variables, or whose annotation not ``is_known``."""

    def is_lost(expression: ast.expr) -> bool:
        return bool(names_read(ast.Expr(expression)).all & lost)

    bases = vars(cls).get("__orig_bases__", cls.__bases__)
    if len(bases) == len(node.bases):
        yield from ((f"base_{number}", base, bases[number]) for number, base in enumerate(node.bases) if is_lost(base))
    for keyword in node.keywords:
        if keyword.arg == "metaclass" and is_lost(keyword.value):
            yield "metaclass", keyword.value, type(cls)
    for item in _statements(node.body):
        inner = vars(cls).get(getattr(item, "name", ""))
        if isinstance(item, ast.ClassDef) and isinstance(inner, type):
            yield from _values(inner, item, is_known, lost)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            for function in _own_functions(cls):
                if function.__code__.co_name == item.name and _has_as_many_defaults(function, item):
                    yield from (
                        (f"{item.name}_{argument}", expression, value)
                        for argument, expression, value in defaults_of(item, function)
                        if is_lost(expression)
                    )
            yield from (
                ("nothing", annotation, None) for annotation in annotations_of(item) if not is_known(annotation)
            )
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            annotation = vars(cls).get("__annotations__", {}).get(name)
            if not (is_known(item.annotation) or isinstance(annotation, str)):
                yield f"type_of_{name}", item.annotation, annotation
            if item.value is not None and is_lost(item.value):
                yield from _of_attribute(cls, name, item.value)
        elif isinstance(item, ast.Assign) and is_lost(item.value):
            target = item.targets[0]
            if isinstance(target, ast.Name):
                yield from _of_attribute(cls, target.id, item.value)
            elif isinstance(target, ast.Tuple) and all(isinstance(part, ast.Name) for part in target.elts):
                parts = [vars(cls).get(part.id, MISSING) for part in target.elts if isinstance(part, ast.Name)]
                if MISSING not in parts and not isinstance(cls, enum.EnumMeta):
                    yield "parts", item.value, tuple(parts)


def _of_attribute(cls: type, name: str, expression: ast.expr) -> Iterator[_Value]:
    """What a statement of the class body assigned to ``name``."""
    value = vars(cls).get(name, MISSING)
    if isinstance(cls, enum.EnumMeta) and name in cls.__members__:
        # Of a member with a __new__ of the user's, the value isn't what was assigned.
        value = MISSING if "__new_member__" in vars(cls) else cls.__members__[name].value
    field = vars(cls).get("__dataclass_fields__", {}).get(name)
    if isinstance(field, dataclasses.Field):
        value = field.default if field.default is not dataclasses.MISSING else MISSING
        if isinstance(expression, ast.Call):
            for keyword in expression.keywords:
                if keyword.arg in _OF_A_FIELD and getattr(field, keyword.arg) is not dataclasses.MISSING:
                    yield f"{keyword.arg}_of_{name}", keyword.value, getattr(field, keyword.arg)
            return
    if issubclass(cls, tuple):
        value = getattr(cls, "_field_defaults", {}).get(name, value)
    if value is not MISSING and not hasattr(type(value), "__set__"):
        yield name, expression, value


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a class body, within ``if``, ``with`` and ``try`` as well."""
    for item in body:
        yield item
        if isinstance(item, ast.If | ast.With | ast.Try):
            for part in BLOCKS:
                for inner in getattr(item, part, []):
                    yield from _statements(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _has_as_many_defaults(function: FunctionType, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return len(function.__defaults__ or ()) == len(node.args.defaults)


def _own_functions(cls: type) -> Iterator[FunctionType]:
    """The functions that the statement of a class defines, whatever decorators and fields have put them into."""
    for value in _attributes(cls):
        for item in objects_inside(value):
            # wraps() gives a function the qualified name of what it wraps.
            if isinstance(item, FunctionType) and item.__qualname__ == f"{cls.__qualname__}.{item.__code__.co_name}":
                yield item
        if isinstance(value, type) and value.__qualname__ == f"{cls.__qualname__}.{value.__name__}":
            yield from _own_functions(value)


def _attributes(cls: type) -> Iterator[Any]:
    for value in vars(cls).values():
        parts = (
            list(value) if isinstance(value, list | tuple) else list(value.values()) if isinstance(value, dict) else []
        )
        for part in (value, *parts):
            yield part
            yield from (getattr(part, name, None) for name in ("fget", "fset", "fdel"))
            if isinstance(part, dataclasses.Field):
                yield part.default_factory


def _texts_around(cls: type) -> tuple[ModuleText, ...]:
    for function in _own_functions(cls):
        if function.__module__ == cls.__module__ and (texts := texts_of(function)):
            return tuple(texts)
    module = sys.modules.get(cls.__module__)
    is_postponed = getattr(module, "annotations", None) is __future__.annotations
    flags = __future__.annotations.compiler_flag if is_postponed else 0
    path = getattr(module, "__file__", None)
    text = read_module_text(path, flags) if isinstance(path, str) else None
    return (text,) if text is not None else tuple(all_cells(flags))
