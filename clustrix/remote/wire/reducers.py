"""How values are taken apart and put together: one pickler and one unpickler, and what they treat specially.

Both run at the speed of C. The pickler gets a dispatch table that fills itself, one entry a class, so that a class
costs one call of Python however many instances there are (`persistent_id` would cost 46 % on 3.6). The unpickler
overrides `find_class`, which is called once for every global in the pickle.

What we rebuild ourselves is written as a call of a function in the module `clustrix_wire`. There is no such module:
`clustrix.remote.wire` has another name on the cluster, so its own names must not appear in a pickle.
"""

import copyreg
import operator
import pickle
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from . import container, numpy_states, pandas_rebuilders, pandas_states, renames
from .container import Bytes

__all__ = ["PSEUDO_MODULE", "Reducers", "Refusal", "Settings", "read", "token", "write"]

PSEUDO_MODULE = "clustrix_wire"

Reducer = Callable[[Any], Union[str, Tuple[Any, ...]]]


class Settings(NamedTuple):
    """What a pickle is written for.

    `main_module` is the module that goes by `__main__` in the pickle; `target` is the version of the Python that
    will read, or None if it is not older than this one. `made` are classes and functions by their names in the main
    module, where these are not their own.
    """

    protocol: int = 4
    main_module: str = "__main__"
    target: Optional[Tuple[int, int]] = None
    made: Optional[Dict[Any, str]] = None


class Refusal(Exception):  # noqa: N818 - it never leaves this package; users see WireError
    """A value that could be written, but not read on the other side."""


def token(name: str) -> Callable[..., Any]:
    """The function that stands for our `name` in a pickle, and can only be read by `read`.

    The pickler looks a function up before it writes its name, so the module that isn't one is in `sys.modules`.
    """
    module = sys.modules.setdefault(PSEUDO_MODULE, ModuleType(PSEUDO_MODULE, "Names in the pickles of clustrix."))
    known: Optional[Callable[..., Any]] = getattr(module, name, None)
    if known is not None:
        return known

    def stand_in(*_args: Any) -> Any:
        raise pickle.UnpicklingError("clustrix wrote this pickle for itself: read it with clustrix.remote.wire.loads")

    stand_in.__module__ = PSEUDO_MODULE
    stand_in.__name__ = stand_in.__qualname__ = name
    setattr(module, name, stand_in)
    return stand_in


MAIN_GLOBAL = token("main_global")
ARRAY = token("array")
REBUILDERS: Dict[str, Callable[[Any], Any]] = dict(numpy_states.REBUILDERS, **pandas_rebuilders.REBUILDERS)
STATE_TOKENS = {name: token(name) for name in REBUILDERS}

# What the standard library and numpy gained after 3.6, by module or by module and name: classes whose instances are
# pickled, and functions in C. Nobody tells the pickler of functions in Python and of classes themselves.
NEEDS: Dict[Tuple[str, str], Tuple[int, int]] = {
    ("_operator", "call"): (3, 11),
    ("calendar", "Day"): (3, 12),
    ("calendar", "Month"): (3, 12),
    ("contextlib", "nullcontext"): (3, 7),
    ("http", "HTTPMethod"): (3, 11),
    ("inspect", "BufferFlags"): (3, 12),
    ("math", "cbrt"): (3, 11),
    ("math", "comb"): (3, 8),
    ("math", "dist"): (3, 8),
    ("math", "exp2"): (3, 11),
    ("math", "fma"): (3, 13),
    ("math", "isqrt"): (3, 8),
    ("math", "lcm"): (3, 9),
    ("math", "nextafter"): (3, 9),
    ("math", "perm"): (3, 8),
    ("math", "prod"): (3, 8),
    ("math", "remainder"): (3, 7),
    ("math", "sumprod"): (3, 12),
    ("math", "ulp"): (3, 9),
    ("plistlib", "UID"): (3, 8),
    ("pstats", "SortKey"): (3, 7),
    ("ssl", "TLSVersion"): (3, 7),
    ("statistics", "LinearRegression"): (3, 10),
    ("statistics", "NormalDist"): (3, 8),
    ("time", "monotonic_ns"): (3, 7),
    ("time", "perf_counter_ns"): (3, 7),
    ("time", "time_ns"): (3, 7),
    ("typing", "ForwardRef"): (3, 7),
    ("typing", "NewType"): (3, 10),
    ("types", "GenericAlias"): (3, 9),
    ("types", "UnionType"): (3, 10),
    ("typing", "Union"): (3, 10),  # what 3.14 calls `int | str`
    ("numpy.dtypes", "StringDType"): (3, 9),  # numpy 2
}
NEEDS_OF_MODULES: Dict[str, Tuple[int, int]] = {
    "dataclasses": (3, 7),
    "graphlib": (3, 9),
    "importlib.metadata": (3, 8),
    "zoneinfo": (3, 9),
}


class Reducers(dict):  # type: ignore[type-arg] # `typing.Dict` as a base would have to be the real one
    """The pickler's dispatch table: knows how instances of a class are reduced, and finds out when first asked."""

    def __init__(
        self, settings: Settings, reduce_exception: Reducer, arrays: Optional[List[memoryview]] = None
    ) -> None:
        super().__init__()
        self.needs: Set[Tuple[int, int]] = set()
        self._arrays = arrays
        self._settings = settings
        self._reduce_exception = reduce_exception
        self._plain: Reducer = operator.methodcaller("__reduce_ex__", settings.protocol)

    def __missing__(self, cls: type) -> Reducer:
        if issubclass(cls, type):
            raise KeyError(cls)  # the pickler then writes the class by its name
        self._refuse_what_target_lacks(str(cls.__module__), cls.__qualname__)
        reducer = self[cls] = self._find(cls)
        return reducer

    def _find(self, cls: type) -> Reducer:
        if issubclass(cls, BaseException):
            return self._reduce_exception
        if cls is BuiltinFunctionType:
            return self._builtin_function
        if self._arrays is not None and self._settings.protocol < 5 and numpy_states.is_array(cls):
            return self._array
        taken_apart = numpy_states.taker_apart(cls) or pandas_states.taker_apart(cls)
        if taken_apart is not None:
            name, state = taken_apart
            return lambda value: (STATE_TOKENS[name], (state(value),))
        return copyreg.dispatch_table.get(cls, self._plain)

    def _array(self, array: Any) -> Any:
        """What protocol 5 does by itself: a large array stays where it is, and the pickle has its number."""
        if self._arrays is None or not numpy_states.is_large(array):
            return self._plain(array)
        memory, description = numpy_states.flattened(array)
        self._arrays.append(memory)
        return ARRAY, (len(self._arrays) - 1, *description)

    def _builtin_function(self, function: Any) -> Any:
        self._refuse_what_target_lacks(str(function.__module__), function.__qualname__)
        return self._plain(function)

    def _refuse_what_target_lacks(self, module: str, name: str) -> None:
        """Refuse it, or note what Python it ``needs`` where it is not known who reads."""
        needs = NEEDS.get((module, name)) or NEEDS_OF_MODULES.get(module)
        target = self._settings.target
        if needs is not None and target is None:
            self.needs.add(needs)
        if needs is not None and target is not None and target < needs:
            raise Refusal("{}.{} needs Python {}.{}, and what reads this is older".format(module, name, *needs))


class _MainPickler(pickle.Pickler):
    """Writes what belongs to the module `main_module` as belonging to `__main__`, and what code made by its name there."""

    main_module = ""
    made: Optional[Dict[Any, str]] = None

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, (type, FunctionType)):
            return NotImplemented
        if self.made and value in self.made:
            return MAIN_GLOBAL, (self.made[value],)
        is_global = value.__module__ == self.main_module != "__main__"
        if is_global and "<" not in value.__qualname__:  # what a lambda or a local lacks, the pickler says
            return MAIN_GLOBAL, (value.__qualname__,)
        return NotImplemented


class _Pieces(list):  # type: ignore[type-arg] # likewise
    """What a pickler writes, in the pieces in which it does: a large one is what was to be pickled itself, not a copy."""

    write = list.append


def write(
    value: Any,
    settings: Settings,
    reduce_exception: Reducer,
    classes: Optional[Set[type]] = None,
    arrays: Optional[List[memoryview]] = None,
    *,
    needs: Optional[Set[Tuple[int, int]]] = None,
) -> List[Bytes]:
    """The pickle of `value`, in pieces; raises whatever the pickler raises.

    `classes` gets those that it has instances of, `arrays` the memory of large arrays, which is then not in the pickle,
    `needs` the versions of Python that something in it needs, where `settings` don't say which one reads.
    """
    pieces = _Pieces()
    options: Dict[str, Any] = {}
    if arrays is not None and settings.protocol >= 5:
        options["buffer_callback"] = _taker_of_large(arrays)
    pickler: pickle.Pickler
    if settings.main_module == "__main__" and not settings.made:
        pickler = pickle.Pickler(pieces, settings.protocol, **options)
    elif sys.version_info < (3, 8):
        raise ValueError(
            "main_module or made needs Python 3.8 or newer to write, and this is {}.{}".format(*sys.version_info)
        )
    else:
        pickler = _MainPickler(pieces, settings.protocol, **options)
        pickler.main_module = settings.main_module
        pickler.made = settings.made
    reducers = pickler.dispatch_table = Reducers(settings, reduce_exception, arrays)
    pickler.dump(value)
    if classes is not None:
        classes.update(reducers)
    if needs is not None:
        needs.update(reducers.needs)
    return pieces


def _taker_of_large(arrays: List[memoryview]) -> Callable[[Any], bool]:
    def stays_in_the_pickle(buffer: Any) -> bool:
        memory = buffer.raw()
        if len(memory) < container.LARGE:
            return True
        arrays.append(memory)
        return False

    return stays_in_the_pickle


class _Reader(pickle.Unpickler):
    def __init__(self, data: Any, main_module: str, ours: Dict[str, Any]) -> None:
        stream, self._arrays = container.unpack(data)
        if sys.version_info >= (3, 8):
            super().__init__(stream, buffers=self._arrays)
        else:
            super().__init__(stream)
        self._main_module = main_module
        self._ours = ours

    def find_class(self, module: str, name: str) -> Any:
        if module != PSEUDO_MODULE:
            return look_up(module, name, self._main_module)
        if name == "main_global":
            return self._main_global
        if name == "array":
            return self._array
        if name in REBUILDERS:
            return REBUILDERS[name]
        if name in self._ours:
            return self._ours[name]
        raise pickle.UnpicklingError("a newer clustrix wrote this: {!r} is not known here".format(name))

    def _main_global(self, qualname: str) -> Any:
        return look_up("__main__", qualname, self._main_module)

    def _array(self, number: int, *description: Any) -> Any:
        return numpy_states.rebuild_array(self._arrays[number], *description)


def look_up(module: str, name: str, main_module: str) -> Any:
    """What a name in a pickle is here, where `main_module` is what the pickle calls `__main__`."""
    module, name = renames.local_name(module, name)
    return renames.look_up(main_module if module == "__main__" else module, name)


def read(data: Any, main_module: str, ours: Dict[str, Any]) -> Any:
    """The value of a pickle; `ours` are the names of `PSEUDO_MODULE` beside those that this file reads itself."""
    return _Reader(data, main_module, ours).load()
