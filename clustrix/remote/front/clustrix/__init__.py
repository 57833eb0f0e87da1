"""What ``import clustrix`` is inside a job: the same names, without a connection. Those for files are imported when they are first used."""

import importlib
import sys
from types import ModuleType
from typing import Any

from ._job import cluster, configure, get_config

__all__ = ["cluster", "configure", "get_config"]


class _FrontDoor(ModuleType):
    """A module's own ``__getattr__`` is not in Python 3.6."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            value = getattr(importlib.import_module("clustrix.filesystem"), name, None)
            if value is not None:
                setattr(self, name, value)
                return value
        raise AttributeError("module 'clustrix' has no attribute %r inside a job" % name)


sys.modules[__name__].__class__ = _FrontDoor
