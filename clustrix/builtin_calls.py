"""Calls of what has no Python source to pack: built-in and C functions, and classes of C. They travel as an argument."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.local_modules import is_standard_library
from clustrix.source import submitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from clustrix.resources import JobOptions

__all__ = ["callable_without_source"]


def _call(function, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202 - runs under any Python
    return function(*args, **kwargs)


# The job has no such module: it is sent as a script's function is.
_call.__module__ = "__main__"


def callable_without_source(
    function: Callable[..., Any], args: tuple[Any, ...], options: JobOptions
) -> tuple[Callable[..., Any], tuple[Any, ...], JobOptions]:
    """What to submit for ``function(*args)``: that itself, or where it can't be packed a call of it by a function that can.

    The distribution that such a function comes from is among what its job requires.
    """
    try:
        submitted(function)
    except PackagingError:
        if not callable(function):
            raise
    else:
        return function, args, options
    root = _module(function).partition(".")[0]
    if not is_standard_library(root) and root != "__main__":
        options = dataclasses.replace(options, include=[*(options.include or ()), root])
    return _call, (function, *args), options


def _module(function: Any) -> str:
    """Where it is defined: C functions of a module have that as ``__self__``, and some objects only their class knows."""
    for place in (function, type(getattr(function, "__self__", function)), type(function)):
        name = getattr(place, "__module__", None)
        if isinstance(name, str):
            return name
    return "builtins"
