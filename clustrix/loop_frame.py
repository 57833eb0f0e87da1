"""What is known in the middle of a body whose statements are gone through, and how that is refused which can't be proven."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clustrix.known_calls import ARRAY, NUMBER, Value
from clustrix.loop_proof import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    from clustrix.surroundings import Surroundings

__all__ = [
    "NUMBER_VALUE",
    "OWNED_VALUE",
    "SHARED_VALUE",
    "SHELL_VALUE",
    "Frame",
    "Refused",
    "inside",
    "is_hidden",
    "joined",
    "root_name",
]

NUMBER_VALUE = Value(Ownership.OWNED, NUMBER)
SHARED_VALUE = Value(Ownership.SHARED)
SHELL_VALUE = Value(Ownership.SHELL)
OWNED_VALUE = Value(Ownership.OWNED)


class Refused(Exception):  # noqa: N818 - it is how the analysis says no, not an error
    """Something that can't be proven harmless: where, about which name, and why."""

    def __init__(self, node: ast.AST, name: str, reason: str) -> None:
        super().__init__(reason)
        self.line: int = getattr(node, "lineno", 0)
        self.name = name
        self.reason = reason


@dataclass
class Frame:
    """What is known while the statements of one body are gone through.

    ``made`` has the names that the body binds, as they are at this point; ``helper`` judges a Python function that is called.
    In a branch or a loop of the body (``nesting``) an assignment adds to what a name may be. ``is_mixed`` is for the whole body,
    so that is gone through until nothing new comes (``is_settled``).
    """

    around: Surroundings
    helper: Callable[[FunctionType, ast.AST], Value]
    made: dict[str, Value] = field(default_factory=dict)
    hidden: list[dict[str, Value]] = field(default_factory=list)  # variables of comprehensions and lambdas
    functions: set[str] = field(default_factory=set)  # names that only definitions of the body bind
    reads: set[str] = field(default_factory=set)
    globals_read: set[str] = field(default_factory=set)
    helpers_read: set[str] = field(default_factory=set)
    orders_by_hash: bool = False
    is_mixed: bool = False  # something of the body's own was given something from before to hold
    is_settled: bool = True
    nesting: int = 0


def inside(value: Value) -> Value:
    """What is in a value: an element, an attribute."""
    if value.kind in (NUMBER, ARRAY):
        return value
    return OWNED_VALUE if value.ownership is Ownership.OWNED else SHARED_VALUE


def joined(one: Value, other: Value) -> Value:
    """What is known of a value that is one or the other."""
    return Value(min(one.ownership, other.ownership), one.kind if one.kind == other.kind else "")


def root_name(node: ast.expr) -> str:
    """``a`` of ``a.b[c]``; empty if there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_hidden(node: ast.expr, frame: Frame) -> bool:
    """Whether the name that an expression begins with is a variable of the body."""
    name = root_name(node)
    return name in frame.made or any(name in names for names in frame.hidden)
