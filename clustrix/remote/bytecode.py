"""Functions that came as bytecode: read by the client's own cloudpickle, and only by a Python with the client's magic number."""

import importlib.util
import os
import pickle
import sys
from typing import Any, Callable, Dict

__all__ = ["MAGIC", "BytecodeError", "check_magic", "load_function"]

MAGIC = importlib.util.MAGIC_NUMBER.hex()


class BytecodeError(Exception):
    """The function has another bytecode than this Python."""


def check_magic(entry: Dict[str, Any]) -> None:
    """Raises BytecodeError unless the bytecode of ``entry`` is that of this Python."""
    if entry["magic"] != MAGIC:
        raise BytecodeError(
            "%s is bytecode with the magic number %s, and Python %s has %s"
            % (entry["name"], entry["magic"], "%d.%d.%d" % sys.version_info[:3], MAGIC)
        )


def load_function(package: str, data: bytes, entry: Dict[str, Any]) -> Callable[..., Any]:
    """The function in ``data``, of the package in that directory, whose cloudpickle comes before the environment's from now on."""
    check_magic(entry)
    sys.path.insert(0, os.path.join(package, "tools"))
    return pickle.loads(data)  # type: ignore[no-any-return] # noqa: S301 - the client's own function
