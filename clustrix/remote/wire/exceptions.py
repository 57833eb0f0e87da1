"""Exceptions as records: what pickle loses of them (causes, contexts, tracebacks) or can't rebuild at all.

pickle calls `cls(*args)`, which fails for every class whose `__init__` takes something else than it passes on. Here
`cls.__new__` is called, and `__init__` never; attributes are set one by one. A record is made of builtins only:

    {"format": 1, "python": "3.12.1", "type_name": ..., "text": ..., "traceback": text or None,
     "exceptions": [entry, ...]}

The first entry is the exception itself; the others are those that it refers to, however deep, by their index. So
a chain of causes may be long or closed. A value in an entry is a pair: its own pickle or None, its text or None.
"""

import sys
from functools import lru_cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

from . import reducers
from .culprit import WireError
from .reducers import PSEUDO_MODULE, Settings, token
from .seal import SealError

__all__ = ["RemoteErrorBase", "RemoteTraceback", "describe_exception", "rebuild_exception", "reduce_exception"]

Record = Dict[str, Any]
Value = Tuple[Optional[bytes], Optional[str]]

FORMAT = 1
LONGEST_REPR = 2000

EXCEPTION = token("exception")
KNOWN_EXCEPTION = token("known_exception")

# A class may forbid to set them (a frozen dataclass) or have something of its own by that name.
_OF_ALL: Dict[str, Any] = dict(vars(BaseException))
ARGS, CAUSE, CONTEXT = _OF_ALL["args"], _OF_ALL["__cause__"], _OF_ALL["__context__"]
SUPPRESS = _OF_ALL["__suppress_context__"]

# Of the builtin classes: kept elsewhere in the entry, or more than the exception's own (`obj`: pickle omits it, too).
NOT_ATTRIBUTES = frozenset(["args", "obj", "exceptions", "message"])
# Where builtin groups, their backport and our stand-ins for them keep their members.
OF_GROUPS = frozenset(["exceptions", "message", "_exceptions", "_message"])


class RemoteErrorBase(Exception):  # noqa: N818 - the client passes its own RemoteError
    """An exception whose class this Python lacks; `type_name` is the class's full name where it was raised."""

    type_name = ""


class RemoteTraceback(Exception):  # noqa: N818 - named like the one of concurrent.futures
    """Stands at the end of a rebuilt exception's chain, where Python prints it: the traceback from over there."""

    def __str__(self) -> str:
        return '\n"""\n{}"""'.format(self.args[0])


OURS: Dict[str, Type[BaseException]] = {
    cls.__name__: cls for cls in (RemoteErrorBase, RemoteTraceback, SealError, WireError)
}


def describe_exception(exc: BaseException, settings: Settings = Settings()) -> Record:  # noqa: B008 - immutable
    """The record of `exc`. Never fails: what can't be pickled is replaced by its `repr`."""
    described = _Described(settings)
    described.index_of(exc)
    entries: List[Record] = []
    while len(entries) < len(described.found):  # describing one may find more
        entries.append(described.entry(described.found[len(entries)]))
    first = entries[0]
    return {
        "format": FORMAT,
        "python": "{}.{}.{}".format(*sys.version_info),
        "type_name": "{}.{}".format(first["module"], first["qualname"]),
        "text": first["text"],
        "traceback": _formatted(exc) if any(e.__traceback__ for e in described.found) else None,
        "exceptions": entries,
    }


def reduce_exception(settings: Settings) -> Callable[[BaseException], Tuple[Any, ...]]:
    """The reducer that sends an exception inside a value as its record."""
    return lambda exc: (EXCEPTION, (describe_exception(exc, settings),))


class _Described:
    """The exceptions that one record is about, in the order in which they were found."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.found: List[BaseException] = []
        self._index: Dict[int, int] = {}

    def index_of(self, exc: BaseException) -> int:
        if id(exc) not in self._index:
            self._index[id(exc)] = len(self.found)
            self.found.append(exc)
        return self._index[id(exc)]

    def _link(self, exc: Optional[BaseException]) -> Optional[int]:
        # The traceback of an earlier journey is in the text of this one.
        return None if exc is None or isinstance(exc, RemoteTraceback) else self.index_of(exc)

    def entry(self, exc: BaseException) -> Record:
        cls = type(exc)
        group = self._group(exc)
        attributes = [(name, value) for name, value in _attributes(exc) if group is None or name not in OF_GROUPS]
        return {
            "module": self._module(cls),
            "qualname": cls.__qualname__,
            "bases": _remote_bases(exc) or [(self._module(base), base.__qualname__) for base in cls.__mro__[1:-1]],
            "args": [self._value(arg) for arg in ARGS.__get__(exc)],
            "attributes": {name: self._value(value) for name, value in attributes},
            "notes": _notes(exc),
            "text": _text(exc),
            "cause": self._link(exc.__cause__),
            "context": self._link(exc.__context__),
            "suppress_context": exc.__suppress_context__,
            "group": group,
        }

    def _module(self, cls: type) -> str:
        if OURS.get(cls.__name__) is cls:
            return PSEUDO_MODULE
        return "__main__" if cls.__module__ == self.settings.main_module else cls.__module__

    def _group(self, exc: BaseException) -> Optional[Record]:
        bases = [base.__name__ for base in type(exc).__mro__] + [name for _, name in _remote_bases(exc)]
        if "BaseExceptionGroup" not in bases:
            return None
        members = [self.index_of(m) for m in getattr(exc, "exceptions", ()) if isinstance(m, BaseException)]
        return {"message": str(getattr(exc, "message", "")), "exceptions": members}

    def _value(self, value: Any) -> Value:
        try:
            data = b"".join(reducers.write(value, self.settings, lambda exc: (KNOWN_EXCEPTION, (self.index_of(exc),))))
        except Exception:  # noqa: BLE001 - an exception must arrive, if need be with a text in place of a value
            return None, _repr(value)
        # A class of the user's may be missing where this is read; the text takes its place there.
        return data, (None if type(value).__module__ == "builtins" else _repr(value))


def _remote_bases(exc: BaseException) -> List[Tuple[str, str]]:
    """The bases that the class of `exc` has where it was raised, if it is one of our stand-ins."""
    return list(getattr(type(exc), "_remote_bases", ()))


def _notes(exc: BaseException) -> List[str]:
    notes = vars(exc).get("__notes__")
    return [_text(note) for note in notes] if isinstance(notes, (list, tuple)) else []


def _slots(cls: type) -> Iterator[Tuple[type, str, Any]]:
    """Attributes that instances keep outside of `__dict__`: `__slots__`, and those in C like `OSError.errno`."""
    for base in cls.__mro__:
        for name, slot in list(vars(base).items()):
            if isinstance(slot, (GetSetDescriptorType, MemberDescriptorType)) and not name.startswith("__"):
                yield base, name, slot


def _attributes(exc: BaseException) -> Iterator[Tuple[str, Any]]:
    """What `exc` holds beside its arguments."""
    for base, name, slot in _slots(type(exc)):
        is_builtin = base.__module__ == "builtins"
        if name == "remote_text" or (is_builtin and name in NOT_ATTRIBUTES):
            continue
        try:
            value = slot.__get__(exc, type(exc))
        except Exception:  # noqa: BLE001, S112 - never set, or computed in C and not to be had
            continue
        if value is not None or not is_builtin:  # None in C is "never set", but OSError prints a None that was set
            yield name, value
    for name, value in list(vars(exc).items()):
        if name != "__notes__":
            yield name, value


def _text(value: Any, form: Callable[[Any], str] = str) -> str:
    try:
        return form(value)
    except Exception:  # noqa: BLE001 - what traceback prints for it, too
        return "<unprintable {} object>".format(type(value).__name__)


def _repr(value: Any) -> str:
    text = _text(value, repr)
    return text if len(text) <= LONGEST_REPR else text[:LONGEST_REPR] + " ..."


def _formatted(exc: BaseException) -> str:
    import traceback  # noqa: PLC0415 - most jobs have a value

    try:
        return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    except Exception:  # noqa: BLE001 - a chain too long for traceback's recursion, or a __str__ that fails
        lines = traceback.format_tb(exc.__traceback__)
        return "".join(
            ["Traceback (most recent call last):\n", *lines, "{}: {}\n".format(type(exc).__name__, _text(exc))]
        )


def rebuild_exception(
    record: Record, unknown_base: Type[BaseException] = RemoteErrorBase, main_module: str = "__main__"
) -> BaseException:
    """The exception that `record` describes.

    A class that is not found here is stood in for by a subclass of `unknown_base` and of its nearest builtin base,
    with the `type_name` of the real one. If there was a traceback, the last exception of the chain that Python
    prints gets a `RemoteTraceback` as its cause; every other cause and context is what it was.
    """
    if record["format"] != FORMAT:
        raise ValueError("this record of an exception has format {}, not {}".format(record["format"], FORMAT))
    rebuilt = _Rebuilt(record["exceptions"], unknown_base, main_module)
    exc = rebuilt.get(0)
    for index in range(len(rebuilt.entries)):
        rebuilt.complete(index)
    if record["traceback"] is not None:
        _append(exc, RemoteTraceback(record["traceback"]))
    return exc


class _Rebuilt:
    """The exceptions of one record, each made once, when it is first asked for."""

    def __init__(self, entries: List[Record], unknown_base: Type[BaseException], main_module: str) -> None:
        self.entries = entries
        self._unknown_base: Any = unknown_base
        self._main_module = main_module
        self._made: Dict[int, BaseException] = {}
        self._in_the_making: List[int] = []

    def get(self, index: int) -> BaseException:
        if index not in self._made:
            if index in self._in_the_making:  # its own arguments refer to it: they must follow later
                self._made[index] = self._instance(self.entries[index], (), [])
            else:
                self._in_the_making.append(index)
                self._make(index, self.entries[index])
                self._in_the_making.pop()
        return self._made[index]

    def _make(self, index: int, entry: Record) -> None:
        args = tuple(self._load(value) for value in entry["args"])
        members = [self.get(member) for member in entry["group"]["exceptions"]] if entry["group"] else []
        if index not in self._made:
            self._made[index] = self._instance(entry, args, members)
        ARGS.__set__(self._made[index], args)

    def _instance(self, entry: Record, args: Tuple[Any, ...], members: List[BaseException]) -> BaseException:
        cls = self._class(entry)
        exc = None if cls is None else _new(cls, args, entry["group"], members)
        if exc is not None:
            return exc
        bases = tuple((module, name) for module, name in entry["bases"])
        unknown: Any = _unknown_class(entry["module"], entry["qualname"], bases, self._unknown_base)
        exc = _new(unknown, args, entry["group"], members)
        if exc is None:
            raise TypeError("{} can't stand in for {}".format(self._unknown_base, unknown.type_name))
        unknown.remote_text.__set__(exc, entry["text"])
        return exc

    def _class(self, entry: Record) -> Optional[Type[BaseException]]:
        if entry["module"] == PSEUDO_MODULE:
            return OURS.get(entry["qualname"])
        try:
            cls = reducers.look_up(entry["module"], entry["qualname"], self._main_module)
        except Exception:  # noqa: BLE001 - a module that can't be imported here, for whatever reason, is unknown
            return None
        return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None

    def _load(self, value: Value) -> Any:
        data, text = value
        if data is None:
            return text
        names = {"known_exception": self.get, "exception": self._nested}
        try:
            return reducers.read(data, self._main_module, names)
        except Exception as error:  # noqa: BLE001 - what this Python lacks must not hide the exception
            return text or "<can't be read here: {}: {}>".format(type(error).__name__, error)

    def _nested(self, record: Record) -> BaseException:
        return rebuild_exception(record, self._unknown_base, self._main_module)

    def complete(self, index: int) -> None:
        entry, exc = self.entries[index], self.get(index)
        slots = {name: slot for _, name, slot in reversed(list(_slots(type(exc))))}
        for name, value in entry["attributes"].items():
            _set_attribute(exc, slots.get(name), name, self._load(value))
        if entry["notes"]:
            vars(exc)["__notes__"] = list(entry["notes"])
        if entry["group"] and not hasattr(exc, "exceptions"):
            members = tuple(self.get(member) for member in entry["group"]["exceptions"])
            vars(exc).update(message=entry["group"]["message"], exceptions=members)
        CAUSE.__set__(exc, None if entry["cause"] is None else self.get(entry["cause"]))
        CONTEXT.__set__(exc, None if entry["context"] is None else self.get(entry["context"]))
        SUPPRESS.__set__(exc, entry["suppress_context"])


def _set_attribute(exc: BaseException, slot: Any, name: str, value: Any) -> None:
    """Past the class's own `__setattr__`, as it may be frozen."""
    try:
        slot.__set__(exc, value)
    except (AttributeError, TypeError):  # no slot here, or one that C computes: an attribute like others
        vars(exc)[name] = value


def _new(
    cls: Type[BaseException], args: Tuple[Any, ...], group: Optional[Record], members: List[BaseException]
) -> Optional[BaseException]:
    """An instance without `__init__`, by the first way that gives one of exactly this class.

    `OSError.__new__(OSError, 2, "")` gives a FileNotFoundError, for example; a class may have a `__new__` that wants
    something else than it keeps as `args`, and those of groups usually do.
    """
    builtin: Any = next(base for base in cls.__mro__ if base.__module__ in ("builtins", "exceptiongroup"))
    ways: List[Callable[[], Any]] = [
        lambda: cls.__new__(cls, *args),
        lambda: cls.__new__(cls),
        lambda: builtin.__new__(cls),
    ]
    if group is not None:
        message = group["message"]
        ways.insert(0, lambda: builtin.__new__(cls, message, members))
    for make in ways:
        try:
            exc: Any = make()
        except Exception:  # noqa: BLE001, S112 - the next way
            continue
        if type(exc) is cls:
            return exc
    return None


@lru_cache(maxsize=None)
def _unknown_class(module: str, qualname: str, bases: Tuple[Tuple[str, str], ...], unknown_base: Any) -> Any:
    """The class that stands in for one that this Python lacks; the same one every time."""
    builtin = next(
        cls for cls in (_builtin_exception(*base) for base in (*bases, ("builtins", "BaseException"))) if cls
    )
    namespace = {
        "__module__": module,
        "__qualname__": qualname,
        "__slots__": ("remote_text",),
        "__str__": lambda exc: exc.remote_text,
        "__reduce_ex__": lambda exc, _protocol: (rebuild_exception, (describe_exception(exc), unknown_base)),
        "_remote_bases": bases,
        "type_name": "{}.{}".format(module, qualname),
    }
    parents = (unknown_base,) if issubclass(unknown_base, builtin) else (unknown_base, builtin)
    return type(qualname.rpartition(".")[2], parents, namespace)


def _builtin_exception(module: str, name: str) -> Optional[Type[BaseException]]:
    if module not in ("builtins", "exceptiongroup"):
        return None
    try:
        cls: Type[BaseException] = reducers.look_up(module, name, "__main__")
    except (ImportError, AttributeError):
        return None
    return cls


def _append(exc: BaseException, remote: RemoteTraceback) -> None:
    """Puts `remote` at the end of the chain that Python prints for `exc`: it comes first, and is printed once."""
    seen = {id(exc)}
    while True:
        following = exc.__cause__
        if following is None and not exc.__suppress_context__:
            following = exc.__context__
        if following is None:
            CAUSE.__set__(exc, remote)
            return
        if id(following) in seen:  # a closed chain has no end; the traceback module looks here next
            CONTEXT.__set__(exc, remote)
            SUPPRESS.__set__(exc, False)
            return
        seen.add(id(following))
        exc = following
