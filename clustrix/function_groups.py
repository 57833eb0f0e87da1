"""Made functions that belong together: they refer to each other, or share a variable that one of them assigns.

A factory defines them at once, so that in the job they share their variables as well.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.made_functions import Lifted, is_made, lifted
from clustrix.namespaces import cells_of, contents
from clustrix.scopes import names_read
from clustrix.source import own_source, unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clustrix.errors import PackagingError

__all__ = ["FunctionGroup", "functions_with", "group_of", "written_cells"]


@dataclass
class FunctionGroup:
    """Functions of one factory: the variable that each is bound to, further names of them, texts, other variables' cells."""

    members: list[FunctionType]
    bound: dict[FunctionType, str]
    aliases: dict[str, str]
    lifts: dict[str, Lifted]
    cells: dict[str, Any]

    def lift_of(self, member: FunctionType) -> Lifted:
        return self.lifts[self.bound[member]]


def functions_with(function: FunctionType, names: Mapping[str, Any]) -> list[FunctionType]:
    """The function, and those which refer to it in turn, or share a variable with it that one of them assigns.

    ``names`` are the globals of the main file.
    """
    reached = _reached(function, names)
    for value in function.__globals__.values():
        other = unwrap_cluster(value)
        if is_made(other, names) and other not in reached and any(_share(other, item) for item in reached):
            reached += [item for item in _reached(other, names) if item not in reached]
    written = {id(cell) for item in reached for cell in written_cells(item)}
    ways = {item: _reached(item, names) for item in reached}
    group = [function]
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
    members: list[FunctionType],
    is_known: Callable[[FunctionType, ast.expr], bool],
    error: Callable[[str], PackagingError],
) -> FunctionGroup:
    """What a factory of ``members`` is to define; ``is_known`` tells which of their annotations can stay.

    :raises PackagingError: ``error()`` of the reason, where two of them mean different things by one name
    """
    every: dict[str, Any] = {}
    for item in members:
        for name, cell in cells_of(item).items():
            if every.setdefault(name, cell) is not cell:
                raise error(_clash(item, name))
    bound: dict[FunctionType, str] = {}
    lifts: dict[str, Lifted] = {}
    for item in members:
        lift = lifted(own_source(item), item, functools.partial(is_known, item))
        held = sorted(name for name, cell in every.items() if contents(cell) is item)
        name = (held or [lift.name])[0] if lift.is_lambda else lift.name
        if name in lifts or (name in every and name not in held):
            raise error(_clash(item, name))
        bound[item], lifts[name] = name, lift
    aliases = {
        name: bound[contents(cell)]
        for name, cell in every.items()
        if _is_function_in(contents(cell), bound) and bound[contents(cell)] != name
    }
    cells = {name: cell for name, cell in every.items() if name not in lifts and name not in aliases}
    return FunctionGroup(members, bound, aliases, lifts, cells)


def written_cells(function: FunctionType) -> list[Any]:
    """The cells that the function, or one within it, assigns to (``nonlocal``)."""
    source = own_source(function)
    node = source.node
    if isinstance(node, ast.Lambda) or not function.__closure__:
        return []
    names = names_read(node).rebound
    return [cell for name, cell in cells_of(function).items() if name in names]


def _reached(function: FunctionType, names: Mapping[str, Any]) -> list[FunctionType]:
    """The made functions that a function reaches through its variables, itself first."""
    found = [function]
    for item in found:
        for cell in item.__closure__ or ():
            value = unwrap_cluster(contents(cell))
            if is_made(value, names) and value not in found:
                found.append(value)
    return found


def _share(one: FunctionType, other: FunctionType) -> set[int]:
    """The ids of the cells that both functions have."""
    return {id(cell) for cell in one.__closure__ or ()} & {id(cell) for cell in other.__closure__ or ()}


def _place_of(function: FunctionType) -> tuple[str, int]:
    return function.__qualname__, function.__code__.co_firstlineno


def _is_function_in(value: Any, bound: dict[FunctionType, str]) -> bool:
    return isinstance(value, FunctionType) and value in bound


def _clash(function: FunctionType, name: str) -> str:
    return (
        f"{function.__qualname__!r} and functions that share variables with it mean different things by {name!r}. "
        "Rename one of them."
    )
