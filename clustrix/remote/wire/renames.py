"""Where a name of a pickle is found in this Python and with these libraries.

A pickle refers to classes and functions by module and name, and both move between versions. The old name is
turned into the one that is right here *before* it is looked up: a look-up that succeeds may still give the wrong
thing (`numpy.bool` is the builtin `bool` in numpy 1.19 to 1.23).
"""

import importlib
import os
import sys
from typing import Any, Callable, Dict, FrozenSet, Tuple

__all__ = ["local_name", "look_up"]

Name = Tuple[str, str]

MOVED: Dict[Name, Name] = {
    ("_queue", "Empty"): ("queue", "Empty"),  # 3.7+; `queue` has it everywhere
    # re.error changed its module with 3.11 and its name with 3.13; `re.error` is found everywhere.
    ("sre_constants", "error"): ("re", "error"),
    ("re._constants", "error"): ("re", "error"),
    ("re._constants", "PatternError"): ("re", "error"),
    ("re", "PatternError"): ("re", "error"),
}

# The modules of asyncio that have defined its errors: `asyncio` itself exports them in every version.
ASYNCIO_MODULES: FrozenSet[str] = frozenset(
    ["asyncio.base_futures", "asyncio.events", "asyncio.exceptions", "asyncio.futures", "asyncio.streams"]
)
ASYNCIO_ERRORS: FrozenSet[str] = frozenset(
    [
        "CancelledError",
        "IncompleteReadError",
        "InvalidStateError",
        "LimitOverrunError",
        "SendfileNotAvailableError",
        "TimeoutError",
    ]
)

GROUPS: FrozenSet[str] = frozenset(["BaseExceptionGroup", "ExceptionGroup"])


def local_name(module: str, name: str) -> Name:
    """The module and name that `module` and `name`, as some other Python wrote them, have here."""
    if (module, name) in MOVED:
        return MOVED[module, name]
    if module == "pathlib._local":  # 3.13 only; `pathlib` exports everything in it
        return "pathlib", name
    if module == "__mp_main__":  # what a spawned child of multiprocessing calls the main module
        return "__main__", name
    if module in ASYNCIO_MODULES and name in ASYNCIO_ERRORS:
        return "asyncio", name
    if name in GROUPS and module in ("builtins", "exceptiongroup"):  # the second is the backport's
        return ("exceptiongroup" if sys.version_info < (3, 11) else "builtins"), name
    if module == "numpy" or module.startswith("numpy."):
        return _numpy_name(module, name)
    return module, name


def _numpy_name(module: str, name: str) -> Name:
    """Version 2 renamed `numpy.core` to `numpy._core`, `numpy.bool_` to `numpy.bool`, and made `numpy.rec` a package."""
    is_old = int(importlib.import_module("numpy").__version__.split(".")[0]) < 2
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in ("core", "_core"):
        parts[1] = "core" if is_old else "_core"
        return ".".join(parts), name
    if is_old and module == "numpy" and name == "bool":
        return module, "bool_"
    if is_old and module == "numpy.rec":
        return "numpy.core.records", name
    return module, name


def look_up(module: str, name: str) -> Any:
    """What `module` and `name`, written by some other Python, are here.

    Raises ImportError or AttributeError, as unpickling does.
    """
    module, name = local_name(module, name)
    if (module, name) in STAND_INS:
        return STAND_INS[module, name]
    importlib.import_module(module)
    found = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _foreign_path(flavour: str) -> Callable[..., Any]:
    """Reads the concrete path of the other kind of operating system, which can't be made here.

    A relative path means the same place in both worlds, so it becomes a path of this one; an absolute one names
    something over there, so it stays what it is, as a pure path.
    """

    def rebuild(*parts: str) -> Any:
        import pathlib  # noqa: PLC0415 - as dear as all of this package, and most values hold no such path

        path = getattr(pathlib, flavour)(*parts)
        return path if path.anchor else pathlib.Path(*path.parts)

    return rebuild


def _ufunc(module: str, name: str) -> Any:
    """What numpy before 1.20 writes for `numpy.add`, with the module in which it happens to find it."""
    return look_up(module, name)


STAND_INS: Dict[Name, Callable[..., Any]] = {
    ("numpy.core", "_ufunc_reconstruct"): _ufunc,
    ("numpy._core", "_ufunc_reconstruct"): _ufunc,
}
if os.name == "nt":
    STAND_INS["pathlib", "PosixPath"] = _foreign_path("PurePosixPath")
else:
    STAND_INS["pathlib", "WindowsPath"] = _foreign_path("PureWindowsPath")
