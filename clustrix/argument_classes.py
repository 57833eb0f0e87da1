"""Classes and functions that only the arguments of a call need: the reader has to have them, so they join the package."""

from __future__ import annotations

import functools
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from clustrix.captured_values import references_in
from clustrix.errors import SerializationError
from clustrix.file_packaging import PackageInfo, package_function_for_execution
from clustrix.local_modules import is_standard_library, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from clustrix.remote.wire import Bytes

__all__ = ["functions_in", "made_in", "package_with_classes"]

_IN_ONE_PIECE = 1 << 17  # a longer piece of a pickle is one string, or one array


def made_in(values: Sequence[Any]) -> frozenset[Any]:
    """The functions and classes in the arguments of a call that code made as it ran: no name finds them."""
    return references_in(list(values)).made


def functions_in(values: Sequence[Any], pickled: Sequence[Bytes], classes: Iterable[type]) -> frozenset[FunctionType]:
    """The Python functions in the arguments of a call, whose ``pickled`` form has instances of ``classes``.

    The pickler tells nobody of them, and asking it to costs a sixth of its time, so that is done where there may be some: as an
    argument or in one that is a list or dict, bound in something, or of a script. Elsewhere, one whose module the job lacks is its error.
    """
    parts = [part for value in values if type(value) in (list, tuple) for part in value[:100]]
    parts += [part for value in values if type(value) is dict and len(value) <= 100 for part in value.values()]
    if (
        any(isinstance(value, FunctionType) for value in (*values, *parts))
        or not {functools.partial, MethodType}.isdisjoint(classes)
        or any(b"__main__" in bytes(piece) for piece in pickled if len(piece) <= _IN_ONE_PIECE)
    ):
        return references_in(list(values)).functions
    return frozenset()


def package_with_classes(
    function: Callable[..., Any],
    config: Any,
    package: PackageInfo,
    classes: Iterable[Any],
    include: Iterable[str] = (),
) -> PackageInfo:
    """The function's ``package`` with ``classes`` (and functions), and what they need; itself where it has all of that.

    :raises PackagingError: one of them can't be packed
    :raises SerializationError: one of a script, or that code made as it ran, can't go where the function goes
    """
    lacking = [cls for cls in classes if not _has(package, cls)]
    if not lacking:
        return package
    more = package_function_for_execution(function, config, classes=lacking, include=include)
    for cls in lacking:
        if (cls.__module__ == "__main__" or _is_made(cls)) and not _has(more, cls):
            kind = "a" if isinstance(cls, type) else "the function"
            raise SerializationError(
                f"the arguments hold {kind} {cls.__qualname__} of {cls.__module__}, and {package.function_name} is not "
                f"packed as a part of that file: put it at the top of a module, or call {package.function_name} from a function of that file"
            )
    return more


def _is_made(value: Any) -> bool:
    return "<" in value.__qualname__


def _has(package: PackageInfo, cls: Any) -> bool:
    """Whether the job has the class: of the standard library, of a library that the function imports, or in the package."""
    if _is_made(cls):
        return cls in package.made
    packed, module = package.metadata["execution_info"], cls.__module__
    if module == "__main__":
        return cls.__qualname__.partition(".")[0] in packed["definition_order"]
    if is_standard_library(module) or module.partition(".")[0] == "clustrix" or module in packed["modules"]:
        return True
    top = module.partition(".")[0]
    is_imported = any(name.partition(".")[0] == top for name in package.dependencies.modules.external)
    return is_imported and locate(module) is None
