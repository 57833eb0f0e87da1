"""Functions that code made as it ran, lambdas and functions within functions: their definition as a factory's text.

The factory's parameters are what the source doesn't hold: the variables of the function around it, and default values.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.module_text import literal_or_none, string_continuations
from clustrix.source import decorated_definition, find_source, undecorated, unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clustrix.source import Source

__all__ = [
    "DEFAULT",
    "Lifted",
    "annotations_of",
    "defaults_of",
    "factory_text",
    "is_made",
    "lifted",
    "with_replacements",
]

DEFAULT = "_clustrix_default_"  # before an argument's name: its default value


@dataclass
class Lifted:
    """A function's own text, of which decorators are taken off and default values replaced; or a class's (made_classes).

    ``defaults`` are the values of the names that the text now has in place of expressions. ``early`` are the names that
    it reads as it is executed, ``read`` the variables around a class that it reads.
    """

    name: str
    text: str
    is_lambda: bool
    defaults: dict[str, Any] = field(default_factory=dict)
    early: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)


def is_made(value: Any, names: Mapping[str, Any]) -> bool:
    """Whether a value is a Python function that its module doesn't know by its definition's name.

    ``names`` are the globals of the main file.
    """
    if not isinstance(value, FunctionType):
        return False
    root, *attributes = value.__qualname__.split(".")
    known = value.__globals__.get(root)
    for attribute in attributes:
        known = getattr(known, attribute, None)
    if unwrap_cluster(getattr(known, "__func__", known)) is not value:
        return decorated_definition(value) is None
    return value.__globals__ is names and find_source(value).name != [root, *attributes][-1]


def lifted(source: Source, function: FunctionType, is_known: Callable[[ast.expr], bool]) -> Lifted:
    """The text of ``function``; annotations that not ``is_known`` become None, for their variables are gone."""
    node = source.node
    if isinstance(node, ast.Lambda):
        text, name = source.text, "clustrix_lambda"
        inner: Any = ast.parse(text).body[0]
        inner = inner.value
    else:
        text, name = undecorated(source, node.decorator_list), source.name
        inner = ast.parse(text).body[0]
    found = Lifted(name, text, isinstance(node, ast.Lambda))
    replaced: list[tuple[ast.expr, str]] = []
    for argument, expression, value in defaults_of(inner, function):
        if not isinstance(expression, ast.Constant):
            place = f"{DEFAULT}{name}_{argument}"  # functions of one factory may have arguments of one name
            found.defaults[place] = value
            replaced.append((expression, place))
    replaced += [(annotation, "None") for annotation in annotations_of(inner) if not is_known(annotation)]
    found.text = with_replacements(text, replaced)
    return found


def factory_text(
    name: str, parameters: Iterable[str], members: Mapping[str, Lifted], aliases: Mapping[str, str]
) -> str:
    """A function ``name`` which defines all ``members``, by the names they are bound to, and returns them.

    ``aliases`` are further names of members; several members are returned as a tuple, in the order of names.
    """
    lines = [f"def {name}({', '.join(parameters)}):"]
    for bound in _in_order(members):
        member = members[bound]
        if member.is_lambda:
            lines.append(f"    {bound} = {member.text.rstrip()}")
        else:
            lines += _indented(member.text)
    lines += [f"    {alias} = {aliases[alias]}" for alias in sorted(aliases)]
    lines.append(f"    return {', '.join(sorted(members))}")
    return "\n".join(lines) + "\n"


def _in_order(members: Mapping[str, Lifted]) -> list[str]:
    """By name, but what one needs as it is executed comes before it."""
    order: list[str] = []

    def place(bound: str, above: tuple[str, ...]) -> None:
        for name in sorted(members[bound].early & set(members) - {*above, bound}):
            place(name, (*above, bound))
        if bound not in order:
            order.append(bound)

    for bound in sorted(members):
        place(bound, ())
    return order


def _indented(text: str) -> list[str]:
    inside_strings = string_continuations(ast.parse(text))
    return [
        line if number in inside_strings or not line.strip() else f"    {line}"
        for number, line in enumerate(text.rstrip("\n").split("\n"), 1)
    ]


def defaults_of(node: Any, function: FunctionType) -> list[tuple[str, ast.expr, Any]]:
    """(argument, expression, value) of each default that the function has."""
    arguments: ast.arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    named = positional[len(positional) - len(arguments.defaults) :]
    found = [
        (argument.arg, expression, value)
        for argument, expression, value in zip(named, arguments.defaults, function.__defaults__ or (), strict=True)
    ]
    by_name = function.__kwdefaults__ or {}
    found += [
        (argument.arg, expression, by_name[argument.arg])
        for argument, expression in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if expression is not None and argument.arg in by_name
    ]
    return found


def annotations_of(node: Any) -> list[ast.expr]:
    arguments: ast.arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    found = [argument.annotation for argument in every if argument is not None and argument.annotation is not None]
    returns = getattr(node, "returns", None)
    return [item for item in [*found, returns] if item is not None and literal_or_none(item) is None]


def with_replacements(text: str, replaced: list[tuple[ast.expr, str]]) -> str:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    spans = [
        (offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0), new)
        for node, new in replaced
    ]
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text
