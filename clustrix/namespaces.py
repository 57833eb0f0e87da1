"""What a name means to live code: the cells of the functions around it, and the globals of its module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FunctionType

__all__ = ["MISSING", "cells_of", "contents", "lookup", "package_of"]

MISSING = object()
"""Instead of a value: nothing has been assigned to the name."""


def lookup(name: str, cells: Mapping[str, Any], names: Mapping[str, Any]) -> Callable[[], Any]:
    """A function that gives what ``name`` means at the time of its call, by ``cells`` or else the globals ``names``."""
    cell = cells.get(name)
    if cell is None:
        return lambda: _global(name, names)
    return lambda: contents(cell)


def _global(name: str, names: Mapping[str, Any]) -> Any:
    value = names.get(name, MISSING)
    # IPython puts a function around open() among a notebook's names, which is the built-in one elsewhere.
    return MISSING if name == "open" and getattr(value, "__wrapped__", None) is open else value


def contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return MISSING


def cells_of(function: FunctionType) -> dict[str, Any]:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def package_of(names: Mapping[str, Any]) -> str:
    """The package that relative imports start from, by a module's globals."""
    package = names.get("__package__")
    return package if isinstance(package, str) else ""
