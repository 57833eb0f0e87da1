"""Whether two code objects do the same, and what their flags say: the proof that a text is a function's own."""

from __future__ import annotations
import __future__

import inspect
from types import CodeType
from typing import Any

__all__ = ["future_features", "future_flags", "same_code"]

# types.coroutine sets the one afterwards, and the other says only that there is a function around it.
_NOT_ITS_OWN = inspect.CO_ITERABLE_COROUTINE | inspect.CO_NESTED


def same_code(one: CodeType, other: CodeType) -> bool:
    """Equal in all that decides what the code does: not in lines and file name."""
    return one is other or _shape(one) == _shape(other)


def future_features(flags: int) -> tuple[str, ...]:
    """The ``from __future__`` names in a code object's flags which an interpreter from 3.6 up doesn't have anyway."""
    names = []
    for name in __future__.all_feature_names:
        feature = getattr(__future__, name)
        mandatory = feature.getMandatoryRelease()
        if (mandatory is None or mandatory[:2] > (3, 6)) and flags & feature.compiler_flag:
            names.append(name)
    return tuple(sorted(names))


def future_flags(code: CodeType) -> int:
    """The flags with which ``code`` was compiled, as ``compile()`` takes them."""
    every = 0
    for name in __future__.all_feature_names:
        if name != "nested_scopes":  # its flag is CO_NESTED, which says something else
            every |= getattr(__future__, name).compiler_flag
    return code.co_flags & every


def _shape(code: CodeType) -> tuple[Any, ...]:
    return (
        code.co_name,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_NOT_ITS_OWN,
        getattr(code, "co_exceptiontable", b""),
        tuple(_constant_shape(constant) for constant in code.co_consts),
    )


def _constant_shape(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _shape(constant)
    if isinstance(constant, tuple):
        return ("tuple", *(_constant_shape(item) for item in constant))
    if isinstance(constant, frozenset):
        return ("frozenset", frozenset(_constant_shape(item) for item in constant))
    if isinstance(constant, float | complex):
        return (type(constant), repr(constant))  # 0.0 equals -0.0
    return (type(constant), constant)
