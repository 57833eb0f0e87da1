"""Values that need nothing but builtins and the standard library, opened and written anew for another Python.

Only classes that hold data are opened: another one may do more as it is rebuilt (start a process, open a file), and would do
so twice. An exception stays the record that it travels as: only whoever receives it may have its class.
"""

import io
import pickle
import sys
from typing import Any, Dict, FrozenSet, Optional, Tuple

from . import reducers, renames
from .exceptions import EXCEPTION, reduce_exception
from .reducers import Settings

__all__ = ["rewrite"]

# Of these modules the classes, all of them or some, and beside them what pickles of their values call or refer to.
CLASSES: Dict[str, Optional[FrozenSet[str]]] = {
    "argparse": frozenset(["Namespace"]),
    "array": None,
    "builtins": None,
    "collections": None,
    "datetime": None,
    "decimal": None,
    "fractions": None,
    "functools": frozenset(["partial"]),
    "ipaddress": None,
    "operator": None,
    "pathlib": None,
    "pathlib._local": None,
    "random": frozenset(["Random"]),
    "time": frozenset(["struct_time"]),
    "types": frozenset(["SimpleNamespace"]),
    "uuid": None,
}
OTHERS: FrozenSet[Tuple[str, str]] = frozenset(
    [("array", "_array_reconstructor"), ("builtins", "Ellipsis"), ("builtins", "NotImplemented"), ("re", "_compile")]
)


def rewrite(data: Any, target: Tuple[int, int]) -> Optional[bytes]:
    """The pickle of the value in ``data`` (as ``loads`` reads it) for Python ``target``; None if it stays unopened.

    It does if it needs anything else, or if this Python can't read it or write it for ``target``: what is wrong with it
    then says whoever it is for.
    """
    protocol = 5 if target >= (3, 8) and sys.version_info >= (3, 8) else 4
    settings = Settings(protocol, target=target)
    try:
        return b"".join(reducers.write(_Reader(data).load(), settings, reduce_exception(settings)))
    except Exception:  # noqa: BLE001 - whatever a pickle raises
        return None


class _Record:
    """An exception on its way through."""

    def __init__(self, record: Dict[str, Any]) -> None:
        self.record = record

    def __reduce__(self) -> Tuple[Any, ...]:
        return EXCEPTION, (self.record,)


class _Reader(pickle.Unpickler):
    def __init__(self, data: Any) -> None:
        super().__init__(io.BytesIO(data))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (EXCEPTION.__module__, EXCEPTION.__name__):
            return _Record
        some = CLASSES.get(module, frozenset())
        if (module, name) in OTHERS or some is None or name in some:
            found = renames.look_up(module, name)
            if isinstance(found, type) or (module, name) in OTHERS:
                return found
        raise pickle.UnpicklingError("%s.%s is not opened here" % (module, name))
