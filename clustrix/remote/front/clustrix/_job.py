"""The names of ``clustrix`` inside a job, and the values that came along with the main file."""

import functools
import json
import os
from typing import Any, Dict

from clustrix_remote import wire  # type: ignore[import-not-found]
from clustrix_remote.paths import read_whole  # type: ignore[import-not-found]

__all__ = ["JobConfig", "cluster", "configure", "get_config", "load_bindings"]


class JobConfig:
    """The client's configuration, without its secrets: its fields are attributes."""

    def __init__(self, fields: Dict[str, Any]) -> None:
        self.__dict__.update(fields)

    def __repr__(self) -> str:
        return "JobConfig(%s)" % ", ".join("%s=%r" % item for item in sorted(self.__dict__.items()))


def cluster(function: Any = None, **options: Any) -> Any:
    """Inside a job a decorated function runs plainly, unless ``nested="submit"`` asks for a job of its own."""
    if function is None:
        return lambda decorated: cluster(decorated, **options)
    if options.get("nested", getattr(get_config(), "nested", "local")) == "submit":
        return _Nested(function, options)
    function.local = function
    return function


class _Nested:
    """A function whose calls are jobs out of this job; what that takes is there when it is first called."""

    def __init__(self, function: Any, options: Dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        # What a job is for it calls itself: else it would submit another such job, and that one the next.
        self.local = self.clustrix_undecorated = function
        self._options = options
        self._decorated = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in ("submit", "map", "options", "explain"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> Any:
        if self._decorated is None:
            from ._nested import installed  # noqa: PLC0415 - few jobs submit others

            self._decorated = installed(self.local, self._options)
        return self._decorated


def configure(**fields: Any) -> None:
    """Inside a job there is nothing to configure."""


def get_config() -> JobConfig:
    """The client's configuration when the job was submitted, without its secrets."""
    with open(os.path.join(os.environ["CLUSTRIX_JOB_DIR"], "spec.json"), encoding="utf-8") as stream:
        return JobConfig(json.load(stream)["config"])


def load_bindings(namespace: Dict[str, Any]) -> None:
    """Put the values that travelled beside the package into the main file's ``namespace``."""
    namespace.update(wire.loads(read_whole(os.path.join(os.environ["CLUSTRIX_JOB_DIR"], "bindings"))))
