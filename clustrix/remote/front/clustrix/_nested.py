"""Jobs out of a job: submitted by the clustrix that is installed for the job's Python, if there is one."""

import importlib
import json
import os
import sys
from typing import Any, Callable, Dict

__all__ = ["installed"]

# What of the client's configuration is about the client's own machine.
_OF_THE_CLIENT = (
    "cluster_host",
    "cluster_port",
    "username",
    "key_file",
    "connection",
    "local_work_dir",
    "local_cache_dir",
)


def installed(function: Callable[..., Any], options: Dict[str, Any]) -> Any:
    """``function`` decorated by the installed clustrix, which runs its agent on this node.

    Raises RuntimeError where it can't: then ``nested="local"`` runs the function here.
    """
    name = getattr(function, "__qualname__", repr(function))
    where = "Python %d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.executable)
    way_out = (
        'choose such a Python with python= or environment=, or leave out nested="submit" to have it run in this job'
    )
    if sys.version_info < (3, 10):
        raise RuntimeError(
            "%s can't be submitted out of this job: clustrix needs Python 3.10, and this is %s; %s"
            % (name, where, way_out)
        )
    try:
        real = _real()
    except ImportError as error:
        raise RuntimeError(
            "%s can't be submitted out of this job: no clustrix is installed for its %s (%s); %s"
            % (name, where, error, way_out)
        ) from error
    with open(os.path.join(os.environ["CLUSTRIX_JOB_DIR"], "spec.json"), encoding="utf-8") as stream:
        config = json.load(stream)["config"]
    kept = {key: value for key, value in dict(config, **options).items() if key not in _OF_THE_CLIENT}
    return real.cluster(**dict(kept, connection="local"))(function)


def _real() -> Any:
    """The package itself: it takes the place of this one in ``sys.modules``, for it imports itself by that name."""
    front = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "clustrix"}
    if not any(getattr(module, "__file__", "").startswith(front) for module in ours.values()):
        return sys.modules["clustrix"]
    path = list(sys.path)
    for name in ours:
        del sys.modules[name]
    sys.path[:] = [entry for entry in path if os.path.abspath(entry or ".") != front]
    importlib.invalidate_caches()
    try:
        real = importlib.import_module("clustrix")
        importlib.import_module("clustrix.decorator")
    except ImportError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "clustrix"]:
            del sys.modules[name]
        sys.modules.update(ours)
        sys.path[:] = path
        raise
    return real
