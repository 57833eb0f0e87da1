"""Run ordinary Python functions on other people's clusters. Names only: each is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "cluster": "decorator",
    "ClusterConfig": "config",
    "ProfileManager": "config",
    "configure": "config",
    "get_config": "config",
    "load_config": "config",
    "save_config": "config",
    "ClusterExecutor": "executor",
    "attach": "executors",
    "answer_prompts": "connection.prompts",
    "load_ipython_extension": "magics",
    "ClusterFuture": "future",
    "widget": "form",
    "LocalExecutor": "local_executor",
    "choose_executor_type": "local_executor",
    "create_local_executor": "local_executor",
}
_ERRORS = (
    "AuthenticationError", "ClusterConnectionError", "ClustrixError", "ConfigurationError", "EnvironmentSetupError",
    "HostKeyError", "JobCancelledError", "JobFailedError", "JobTimeoutError", "NodeFailureError", "OutOfMemoryError",
    "PackagingError", "RemoteError", "ResultLostError", "SerializationError", "SubmissionError", "UnsupportedSyntaxError",
)  # fmt: skip
_FILES = (
    "ClusterFilesystem", "DiskUsage", "FileInfo", "cluster_count_files", "cluster_du", "cluster_exists", "cluster_find",
    "cluster_get", "cluster_glob", "cluster_isdir", "cluster_isfile", "cluster_ls", "cluster_mkdir", "cluster_put",
    "cluster_read", "cluster_rm", "cluster_stat", "cluster_write",
)  # fmt: skip
_HOMES.update(dict.fromkeys(_FILES, "filesystem"))
_HOMES.update(dict.fromkeys(_ERRORS, "errors"))

__all__ = [*sorted(_HOMES), "as_completed", "wait"]  # noqa: PLE0604 - a list of strings that ruff can't see through


def __getattr__(name: str) -> Any:
    if name in ("as_completed", "wait"):
        value = getattr(importlib.import_module("concurrent.futures"), name)
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"clustrix.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'clustrix' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
