"""Made functions and classes that belong together: they refer to each other, or share a variable that one of them assigns.

A factory defines them at once, so that in the job they share their variables as well.
"""

from __future__ import annotations

import ast
import functools
import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.made_classes import class_cells, class_source, is_made_class, lifted_class, referred_to
from clustrix.made_functions import Lifted, is_made, lifted
from clustrix.namespaces import cells_of, contents
from clustrix.scopes import names_read
from clustrix.source import Source, own_source, unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


__all__ = ["FunctionGroup", "Made", "globals_of", "group_of", "is_made_here", "made_with", "source_of", "written_cells"]

Made = FunctionType | type


@dataclass
class FunctionGroup:
    """What one factory makes: the variable that each is bound to, further names of them, texts, other variables' cells."""

    members: list[Made]
    bound: dict[Made, str]
    aliases: dict[str, str]
    lifts: dict[str, Lifted]
    cells: dict[str, Any]

    def lift_of(self, member: Made) -> Lifted:
        return self.lifts[self.bound[member]]


def is_made_here(value: Any, names: Mapping[str, Any]) -> bool:
    """Whether a value is a function or a class that code made as it ran; ``names`` are the globals of the main file."""
    return is_made_class(value) or is_made(value, names)


def globals_of(made: Made) -> dict[str, Any]:
    return vars(sys.modules[made.__module__]) if isinstance(made, type) else made.__globals__


def source_of(made: Made) -> Source:
    """The proven source of this very function or class."""
    return class_source(made) if isinstance(made, type) else own_source(made)


def made_with(made: Made, names: Mapping[str, Any]) -> list[Made]:
    """It, and those which refer to it in turn, or share a variable with it that one of them assigns.

    ``names`` are the globals of the main file.
    """
    reached = _reached(made, names)
    for value in list(globals_of(made).values()):
        other = unwrap_cluster(value)
        if _may_be_made(other, names) and other not in reached and any(_share(other, item) for item in reached):
            reached += [item for item in _reached(other, names) if item not in reached]
    written = {id(cell) for item in reached for cell in written_cells(item)}
    ways = {item: _reached(item, names) for item in reached}
    group = [made]
    changed = True
    while changed:
        changed = False
        for other in reached:
            if other in group:
                continue
            is_within = any(other in ways[item] for item in group) and any(item in ways[other] for item in group)
            if is_within or any(_share(item, other) & written for item in group):
                group.append(other)
                changed = True
    return sorted(group, key=_place_of)


def group_of(
    members: list[Made],
    is_known: Callable[[Made, ast.expr], bool],
    error: Callable[[str], PackagingError],
) -> FunctionGroup:
    """What a factory of ``members`` is to define; ``is_known`` tells which of their annotations can stay.

    :raises PackagingError: ``error()`` of the reason, where two of them mean different things by one name
    """
    every: dict[str, Any] = {}
    texts: dict[Made, Lifted] = {}
    names = [item.__name__ for item in members]
    for item in members:
        known = functools.partial(is_known, item)
        if isinstance(item, type):
            texts[item] = lifted_class(item, known, [name for name in names if name != item.__name__], error)
        else:
            texts[item] = lifted(own_source(item), item, known)
        for name, cell in _cells(item).items():
            if isinstance(item, type) and name not in texts[item].read:
                continue  # of functions that decorators made
            if every.setdefault(name, cell) is not cell:
                raise error(_clash(item, name))
            if getattr(contents(cell), "__wrapped__", None) is item:
                raise error(
                    f"{item.__qualname__!r} calls itself through {name!r}, what a decorator made of it. Define it at module level."
                )
    bound: dict[Made, str] = {}
    lifts: dict[str, Lifted] = {}
    for item in members:
        lift = texts[item]
        held = sorted(name for name, cell in every.items() if contents(cell) is item)
        name = (held or [lift.name])[0] if lift.is_lambda else lift.name
        if name in lifts or (name in every and name not in held):
            raise error(_clash(item, name))
        bound[item], lifts[name] = name, lift
    aliases = {
        name: bound[contents(cell)]
        for name, cell in every.items()
        if _is_one_of(contents(cell), bound) and bound[contents(cell)] != name
    }
    cells = {name: cell for name, cell in every.items() if name not in lifts and name not in aliases}
    return FunctionGroup(members, bound, aliases, lifts, cells)


def _may_be_made(value: Any, names: Mapping[str, Any]) -> bool:
    try:
        return is_made_here(value, names)
    except PackagingError:  # such as one without source, which nobody asked for
        return False


def written_cells(made: Made) -> list[Any]:
    """The cells that a function, or one within it or within a class, assigns to (``nonlocal``)."""
    cells = _cells(made)
    if not cells:
        return []
    node = source_of(made).node
    if isinstance(node, ast.Lambda):
        return []
    names = names_read(node).rebound
    return [cell for name, cell in cells.items() if name in names]


def _reached(made: Made, names: Mapping[str, Any]) -> list[Made]:
    """The made functions and classes that one reaches through its variables, itself first."""
    found = [made]
    for item in found:
        values = [contents(cell) for cell in _cells(item).values()]
        for value in [*values, *(referred_to(item) if isinstance(item, type) else ())]:
            other = unwrap_cluster(value)
            if is_made_here(other, names) and other not in found:
                found.append(other)
    return found


def _cells(made: Made) -> dict[str, Any]:
    return class_cells(made) if isinstance(made, type) else cells_of(made)


def _share(one: Made, other: Made) -> set[int]:
    """The ids of the cells that both have."""
    return {id(cell) for cell in _cells(one).values()} & {id(cell) for cell in _cells(other).values()}


def _place_of(made: Made) -> tuple[str, int]:
    return made.__qualname__, 0 if isinstance(made, type) else made.__code__.co_firstlineno


def _is_one_of(value: Any, bound: dict[Made, str]) -> bool:
    return isinstance(value, Made) and value in bound


def _clash(made: Made, name: str) -> str:
    return (
        f"{made.__qualname__!r} and functions that share variables with it mean different things by {name!r}. "
        "Rename one of them."
    )
