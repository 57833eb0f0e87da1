"""Stands in for `typing` while a job starts under Python 3.6, whose own takes longer to import than all of the rest.

Nobody reads the annotations of this package where it runs. It has the names that the package's modules import, and stands
there only until they are imported: the user's modules get the real one.
"""

# ruff: noqa: ANN001, ANN201, ANN204, PYI024 - it can't use what it stands in for

import collections
import contextlib
import sys

__all__ = ["without_typing"]


class _Hint:
    """What any annotation is here."""

    def __getitem__(self, _parts):  # type: ignore[no-untyped-def]
        return self

    def __call__(self):  # type: ignore[no-untyped-def]
        """Typing takes what can be called for a type, so modules that are imported later may name an alias of this in theirs."""
        raise TypeError("this is an annotation")


class _NamedTupleMeta(type):
    def __new__(cls, name, bases, namespace):  # type: ignore[no-untyped-def]
        if not bases:
            return super().__new__(cls, name, bases, namespace)
        fields = list(namespace.get("__annotations__", ()))
        made = collections.namedtuple(name, fields, module=namespace["__module__"])  # type: ignore[misc]
        made.__new__.__defaults__ = tuple(namespace[field] for field in fields if field in namespace)
        for key, value in namespace.items():
            if key not in fields and key != "__module__":
                setattr(made, key, value)
        return made


class NamedTuple(metaclass=_NamedTupleMeta):
    """As typing's: fields by annotation, with default values and methods."""


Any = BinaryIO = Callable = Deque = Dict = FrozenSet = Iterable = Iterator = List = Optional = Sequence = Set = (
    Tuple
) = Type = Union = _Hint()


@contextlib.contextmanager
def without_typing():  # type: ignore[no-untyped-def]
    """For the time of imports; nothing happens where `typing` is there already, or is quick."""
    if sys.version_info >= (3, 7) or "typing" in sys.modules:
        yield
        return
    sys.modules["typing"] = sys.modules[__name__]
    try:
        yield
    finally:
        del sys.modules["typing"]
