"""Writes the main file of a package: imports, constants, definitions in an order in which they can be executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clustrix.captured_values import literal_source
from clustrix.errors import PackagingError
from clustrix.module_text import literal_or_none
from clustrix.remote.wire.calls import LOAD_BINDINGS

if TYPE_CHECKING:
    from clustrix.closure import Closure

__all__ = ["definition_order", "render_main_file"]


def render_main_file(closure: Closure) -> str:
    """The text of ``main.py``. Its order depends on names only, never on where the user wrote what.

    :raises PackagingError: a definition needs, as it is executed, a value that can be loaded after it only
    """
    order = definition_order(closure)
    last = _after_bindings(closure)
    constants = {**closure.constants, **_initial_values(closure)}
    blocks = [
        "".join(f"from __future__ import {name}\n" for name in closure.futures),
        "".join(f"{line}\n" for line in _import_lines(closure)),
        "".join(f"{name} = {constants[name]}\n" for name in sorted(constants)),
    ]
    text = "\n".join(block for block in blocks if block)
    order = [name for name in order if closure.definitions[name].text]
    text += "".join(f"\n\n{closure.definitions[name].text}" for name in order if name not in last)
    if closure.bindings:
        text += "\n\n" + LOAD_BINDINGS
    text += "".join(f"\n\n{closure.definitions[name].text}" for name in order if name in last)
    return text.lstrip("\n")


def definition_order(closure: Closure) -> list[str]:
    """By name, except that what a definition uses as it is executed comes before it, with what that calls."""
    order: list[str] = []
    for name in sorted(closure.definitions):
        _place(name, closure, order, [])
    return order


def _place(name: str, closure: Closure, order: list[str], under_way: list[str]) -> None:
    if name in order or name in under_way or name not in closure.definitions:
        return
    under_way.append(name)
    needed = sorted(closure.definitions[name].names.early)
    for other in needed:
        _place(other, closure, order, under_way)
    for other in _called_by(closure, needed):
        if not _needed_early(closure, other) & set(under_way):
            _place(other, closure, order, under_way)
    under_way.remove(name)
    order.append(name)


def _after_bindings(closure: Closure) -> set[str]:
    """The rebuilt values that have bindings in them."""
    late: set[str] = set()
    while True:
        found = {
            name
            for name, item in closure.definitions.items()
            if item.is_rebuilt and name not in late and item.names.early & (closure.bindings | late)
        }
        if not found:
            return late
        late |= found


def _called_by(closure: Closure, names: list[str]) -> list[str]:
    """What may be used when ``names`` are called, in the order of names."""
    reached: set[str] = set()
    pending = list(names)
    while pending:
        definition = closure.definitions.get(pending.pop())
        if definition is not None:
            more = definition.names.all - reached
            reached |= more
            pending += more
    return sorted(reached)


def _needed_early(closure: Closure, name: str) -> set[str]:
    reached: set[str] = set()
    pending = [name]
    while pending:
        definition = closure.definitions.get(pending.pop())
        if definition is not None:
            more = definition.names.early - reached
            reached |= more
            pending += more
    return reached


def _initial_values(closure: Closure) -> dict[str, str]:
    """Bindings that definitions use while they are executed begin as the literal which the file gives them.

    So a decorator can enter functions into a dict; at the end of the file the captured values replace all of them.
    """
    initial: dict[str, str] = {}
    last = _after_bindings(closure)
    for name in sorted(closure.made_for_bindings & last):
        raise PackagingError(
            f"function {closure.entry_name!r} ({closure.place}) can't be packed: it captures an object of {name!r}, which is "
            f"made within a function of values that are no literals. Define {name!r} at module level."
        )
    for definition in closure.definitions.values():
        if definition.name in last:
            continue
        early = sorted(definition.names.early)
        for name in {*early, *_called_by(closure, early)} & (closure.bindings | last):
            text = _assigned_literal(closure, name)
            if text is not None:
                initial[name] = text
            elif name in early:
                raise PackagingError(
                    f"function {closure.entry_name!r} ({closure.place}) can't be packed: "
                    f"{definition.name!r} uses {name!r} in a decorator, default value or class body, and {name!r} is no "
                    "literal. Move both into a module of their own, which is then imported as a whole."
                )
    return initial


def _assigned_literal(closure: Closure, name: str) -> str | None:
    module = closure.source.module if closure.source is not None else None
    for node in module.assignments.get(name, ()) if module is not None else ():
        value = literal_or_none(node.value) if node.value is not None else None
        if value is not None:
            return literal_source(value[0])
    return None


def _import_lines(closure: Closure) -> list[str]:
    return sorted({item.statement for items in closure.imports.values() for item in items})
