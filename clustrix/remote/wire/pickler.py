"""Values as bytes that every Python from 3.6 up can read, whichever of them wrote them."""

from typing import Any, Dict, List, Optional, Set, Tuple, Type

from . import container, reducers
from .container import Bytes
from .culprit import WireError, locate
from .exceptions import RemoteErrorBase, rebuild_exception, reduce_exception
from .reducers import Reducers, Settings

__all__ = ["dump_pieces", "dumps", "loads"]


def dumps(
    value: Any,
    protocol: int = 4,
    main_module: str = "__main__",
    target: Optional[Tuple[int, int]] = None,
    root: str = "value",
    *,
    classes: Optional[Set[type]] = None,
) -> bytes:
    """The pickle of `value`, for a reader with Python `target` (None: one that is not older than this).

    What belongs to the module `main_module` is written as belonging to `__main__`. Raises WireError, which names
    the part that can't be sent; `root` is what it calls `value` itself. `classes` gets the classes that the value has
    instances of, apart from those which every pickler knows.
    """
    return b"".join(dump_pieces(value, protocol, main_module, target, root, classes=classes))


def dump_pieces(
    value: Any,
    protocol: int = 4,
    main_module: str = "__main__",
    target: Optional[Tuple[int, int]] = None,
    root: str = "value",
    *,
    classes: Optional[Set[type]] = None,
    made: Optional[Dict[Any, str]] = None,
    needs: Optional[Set[Tuple[int, int]]] = None,
) -> List[Bytes]:
    """As `dumps`, in pieces that are not copied: large arrays are views of the value's own memory.

    `made` are classes and functions that the reader's main module has by other names than their own.
    `needs` gets the versions of Python that something in the value needs, where `target` is None.
    """
    settings = Settings(protocol, main_module, target, made or None)
    arrays: List[memoryview] = []
    try:
        pickled = reducers.write(value, settings, reduce_exception(settings), classes, arrays, needs=needs)
        return container.pack(pickled, arrays)
    except MemoryError:
        raise
    except Exception as error:
        raise _explained(value, settings, root, error) from error


def _explained(value: Any, settings: Settings, root: str, error: Exception) -> WireError:
    reduce = reduce_exception(settings)

    def attempt(part: Any) -> Optional[Exception]:
        try:
            reducers.write(part, settings, reduce, arrays=[])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is what is looked for
            return failure
        return None

    return locate(value, root, error, attempt, Reducers(settings, reduce))


def loads(data: Any, main_module: str = "__main__", unknown_base: Type[BaseException] = RemoteErrorBase) -> Any:
    """The value that `data` (bytes, or a view of bytes) was made of by `dumps`, on whichever Python.

    Large arrays stay where they are if `data` can be written to (a bytearray, or a view of one), else they are copied.

    What the pickle calls `__main__` is looked up in `main_module`. Exceptions whose class is unknown here become
    subclasses of `unknown_base`. A `Call` becomes (function, args, kwargs), or a WireError that says why not. Only for
    data from a source that is trusted: a pickle can run anything.
    """

    def rebuild(record: Dict[str, Any]) -> BaseException:
        return rebuild_exception(record, unknown_base, main_module)

    def call(record: Dict[str, Any]) -> Any:
        from .calls import rebuild_call  # noqa: PLC0415 - a job's values hold none, and it needs half as much again to start

        return rebuild_call(record, lambda inner, main: loads(inner, main, unknown_base))

    return reducers.read(data, main_module, {"exception": rebuild, "call": call})
