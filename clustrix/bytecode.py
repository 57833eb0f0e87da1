"""A function without source, as the bytes that cloudpickle makes of it: for a Python with this one's bytecode and no other.

The bytes of equal functions are equal within a process, where nothing they capture has changed; cloudpickle promises no more
(its order of sets and its names of classes differ between processes). So such a package is named by its content as
any other, but another process may make another one of the same function.
"""

from __future__ import annotations

import dis
import importlib.util
import io
import operator
import sys
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle

from clustrix.errors import PackagingError
from clustrix.file_access import perhaps_paths_in
from clustrix.local_modules import Import
from clustrix.module_text import nested_codes
from clustrix.source import plain_function, submitted, unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAGIC", "Bytecode", "cloudpickle_files", "pickle_function"]

MAGIC = importlib.util.MAGIC_NUMBER.hex()
_OWN_PACKAGE = "clustrix"
_COMES_ALONG = ("builtins", "cloudpickle")


class Bytecode(NamedTuple):
    """cloudpickle's bytes of a function, and the modules that they, and the code in them, import.

    ``is_alone``: no other function and no class came along by value. ``paths`` are strings that may be paths of files.
    """

    data: bytes
    imports: list[Import]
    is_alone: bool
    paths: frozenset[str]


def pickle_function(func: Any) -> Bytecode:
    """The function by value, with all it reaches that can't be imported; what can be is referred to.

    :raises PackagingError: cloudpickle refuses something that it captures
    """
    value = submitted(func)
    function = plain_function(value)
    if isinstance(value, MethodType):  # the runner takes a method's function, and its object is bound here
        value = partial(value)
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    try:
        pickler.dump(value)
    except Exception as error:
        raise PackagingError(
            f"function {function.__qualname__!r} has no source here, and its bytecode can't be sent either: {error}. "
            "Put it into a file and import it, or make such objects inside the function."
        ) from error
    imports = {(item.module, item.name): item for item in pickler.imports}
    return Bytecode(
        buffer.getvalue(), [imports[key] for key in sorted(imports)], pickler.by_value <= 1, frozenset(pickler.paths)
    )


@cache
def cloudpickle_files() -> dict[str, bytes]:
    """The client's own cloudpickle, which is pure Python, by path below its import root: what reads must be as new as what wrote."""
    root = Path(cloudpickle.__file__).parent
    return {
        f"cloudpickle/{path.relative_to(root).as_posix()}": path.read_bytes().replace(b"\r\n", b"\n")
        for path in sorted(root.rglob("*.py"))
    }


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no annotations
    """Notes what is imported, and writes clustrix's own objects as the names that a job has for them."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer)
        self.imports: list[Import] = []
        self.by_value = 0
        self.paths: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        inner = unwrap_cluster(value)
        if inner is not value:
            return operator.itemgetter(0), ((inner,),)
        module = getattr(value, "__module__", None)
        if isinstance(value, type | FunctionType) and isinstance(module, str) and module.startswith(f"{_OWN_PACKAGE}."):
            return operator.attrgetter(value.__qualname__), (sys.modules[_OWN_PACKAGE],)
        reduced = super().reducer_override(value)
        if isinstance(value, ModuleType):
            if sys.modules.get(value.__name__) is value:
                self.imports.append(Import(value.__name__))
        elif isinstance(value, type | FunctionType):
            if reduced is not NotImplemented and module != "builtins":
                self.by_value += 1
                if isinstance(value, FunctionType):
                    self.imports += _imports_of(value)
                    for code in (value.__code__, *nested_codes(value.__code__)):
                        self.paths |= perhaps_paths_in(code)
            elif isinstance(module, str) and module.partition(".")[0] not in _COMES_ALONG:
                self.imports.append(Import(module))
        return reduced


def _imports_of(function: FunctionType) -> Iterator[Import]:
    """The import statements in a function's code, and in what it defines."""
    package = function.__globals__.get("__package__") or ""
    for code in (function.__code__, *nested_codes(function.__code__)):
        yield from _imports_in(code, package)


def _imports_in(code: CodeType, package: str) -> Iterator[Import]:
    constants: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            constants.append(step.argval)
        elif step.opname == "IMPORT_NAME":
            level, names = constants[-2:]
            module = importlib.util.resolve_name("." * level + step.argval, package) if level else step.argval
            for name in names or ("",):
                yield Import(module, "" if name == "*" else name, is_deferred=True)
