"""Attributes that functions and classes of a main file got after their definition, which is executed again in the job."""

from __future__ import annotations

import abc
import ast
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Generic

from clustrix.captured_values import literal_source
from clustrix.module_text import dotted_name, literal_or_none
from clustrix.scopes import bound_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clustrix.source import Source

__all__ = ["changes_of", "snapshot"]

_BEGIN_EMPTY = ("dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque")
_NOT_VALUES = (GetSetDescriptorType, MemberDescriptorType)


def changes_of(value: Any, source: Source) -> Callable[[], dict[str, Any]]:
    """A function that gives the attributes of a function or class which its definition, at ``source``, doesn't give it.

    What decorators, metaclasses and ``__init_subclass__`` do, they do again in the job; so of what they were at, attributes count
    only where the class statement assigns another literal.
    """
    if isinstance(value, FunctionType):
        return lambda: {} if source.decorators else dict(vars(value))
    node = source.node
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - a class has the source of one
    assigned, bound, is_plain = _assigned(node), bound_in(node.body), _is_plain(value, node)
    return lambda: {
        name: item
        for name, item in vars(value).items()
        if _has_changed(name, item, assigned) or _was_added(value, name, item, bound, is_plain=is_plain)
    }


def snapshot(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Equal while the attributes are: literals by their text, other objects by identity."""
    return {name: literal_source(value) or id(value) for name, value in attributes.items()}


def _assigned(node: ast.ClassDef) -> dict[str, str]:
    """What the statement assigns to names, as far as these are literals or begin as empty containers; by its text, or ''."""
    found: dict[str, str] = {}
    for item in node.body:
        targets = (
            item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
        )
        expression = getattr(item, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(expression, ast.expr):
                literal = literal_or_none(expression)
                text = literal_source(literal[0]) if literal is not None else None
                if text is not None:
                    found[target.id] = text
                elif _begins_empty(expression):
                    found[target.id] = ""
                else:
                    found.pop(target.id, None)
    return found


def _begins_empty(expression: ast.expr) -> bool:
    if not isinstance(expression, ast.Call) or expression.keywords:
        return False
    name = dotted_name(expression).rpartition(".")[2]
    return name in _BEGIN_EMPTY and len(expression.args) <= (name == "defaultdict")


def _has_changed(name: str, value: Any, assigned: Mapping[str, str]) -> bool:
    if name not in assigned or name.startswith("__"):
        return False
    if not assigned[name]:
        return hasattr(value, "__len__") and len(value) > 0
    text = literal_source(value)
    is_value = text is not None or isinstance(value, list | tuple | dict | set | frozenset)
    return is_value and text != assigned[name]


def _is_plain(cls: type, node: ast.ClassDef) -> bool:
    """Whether nothing but its statement, and assignments after it, can have given the class attributes."""
    inherited = [base for base in cls.__mro__[1:] if base not in (object, Generic)]
    return (
        type(cls) in (type, abc.ABCMeta)
        and not node.decorator_list
        and not hasattr(cls, "_fields")
        and not any("__init_subclass__" in vars(base) for base in inherited)
    )


def _was_added(cls: type, name: str, value: Any, bound: set[str], *, is_plain: bool) -> bool:
    if isinstance(value, FunctionType):
        is_own = value.__qualname__.startswith(f"{cls.__qualname__}.")
        # What decorators add, they mostly make as they run.
        is_users = is_plain or (value.__module__ == cls.__module__ and "<locals>" not in value.__qualname__)
        return not is_own and is_users and (name not in bound or value.__name__ != name)
    if not is_plain:
        return False
    is_special = name.startswith("__") or name == "_abc_impl" or isinstance(value, _NOT_VALUES)
    return name not in bound and not is_special
