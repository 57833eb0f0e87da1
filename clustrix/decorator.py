"""``@cluster``: an ordinary function that runs on the cluster when it is called."""

from __future__ import annotations

import concurrent.futures
import functools
import opcode
import os
from typing import TYPE_CHECKING, Any, overload

from clustrix.config import ClusterConfig, effective_config
from clustrix.interrupts import cancel_unless_again
from clustrix.resources import loop_wish, split_keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clustrix.executor import ClusterExecutor
    from clustrix.explain import Report
    from clustrix.future import ClusterFuture

__all__ = ["ClusterFunction", "cluster", "runs_here"]


class ClusterFunction:
    """A function that ``@cluster`` was put in front of. It keeps its name, docstring, signature and ``__wrapped__``."""

    def __init__(self, function: Callable[..., Any], keywords: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.undecorated = function
        self._keywords = keywords
        self.job_options, self.config_overrides = split_keywords(keywords)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function on the cluster and return its value (with ``async_submit``, a future at once)."""
        config = self._config()
        if runs_here(config):
            return self._with_loops(config)(*args, **kwargs)
        wants_future = config.async_submit if self.job_options.async_submit is None else self.job_options.async_submit
        future = _executor_for(config).submit_job(
            self.undecorated, args, kwargs, self.job_options, config, is_awaited=not wants_future
        )
        return future if wants_future else _wait(future)

    def submit(self, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Submit a call and return its future at once: a ClusterFuture, or a plain one where the call runs here."""
        config = self._config()
        if runs_here(config):
            return _local_threads().submit(self.undecorated, *args, **kwargs)
        return _executor_for(config).submit_job(self.undecorated, args, kwargs, self.job_options, config)

    def map(self, *iterables: Iterable[Any], chunksize: int | None = None) -> Iterator[Any]:
        """Call the function with items of ``iterables``, as ``map`` does: an iterator of the values, in order as they come.

        On the cluster all calls are the tasks of one array. A task that fails raises in its place, and the next value comes
        after it. ``chunksize`` is how many tasks are taken at once; None has that found out. See ClusterExecutor.map.
        """
        config = self._config()
        if runs_here(config):
            return _local_threads().map(self.undecorated, *iterables)
        return _executor_for(config).submit_map(
            self.undecorated, iterables, self.job_options, config, chunksize=chunksize
        )

    def local(self, *args: Any, **kwargs: Any) -> Any:
        """Run the undecorated function here."""
        return self.undecorated(*args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> Report:
        """What a call would do: where it would run, what would be sent, its environment, its job script. Nothing is sent or connected to."""
        from clustrix.explain import explain  # noqa: PLC0415 - as below

        config = self._config()
        return explain(self.undecorated, args, kwargs, self.job_options, config, runs_here=runs_here(config))

    def options(self, **overrides: Any) -> ClusterFunction:
        """A copy with other resources: ``f.options(cores=8)(x)``."""
        return ClusterFunction(self.undecorated, {**self._keywords, **overrides})

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<cluster function {self.undecorated.__module__}.{self.undecorated.__qualname__}>"

    def _with_loops(self, config: ClusterConfig) -> Callable[..., Any]:
        """The function as it runs here: its loops by all cores where that is wanted and worth it."""
        wish = loop_wish(self.job_options, config)
        if wish is None or not (wish.is_asked or _has_loop(self.undecorated)):
            return self.undecorated
        from clustrix.loop_transform import running_here  # noqa: PLC0415 - most functions have no loop

        return running_here(self.undecorated, wish)

    def _config(self) -> ClusterConfig:
        return effective_config(self.config_overrides)


@overload
def cluster(function: Callable[..., Any], /) -> ClusterFunction: ...


@overload
def cluster(**keywords: Any) -> Callable[[Callable[..., Any]], ClusterFunction]: ...


def cluster(function: Callable[..., Any] | None = None, /, **keywords: Any) -> Any:
    """Make a function run on the configured cluster: ``@cluster`` or ``@cluster(cores=8, memory="16GB", time="02:00:00")``.

    The keywords are those of JobOptions, and any field of ClusterConfig to override it for this function alone.
    Raises ConfigurationError (a TypeError and ValueError) for unknown keywords and wrong values.
    """
    if function is not None:
        return ClusterFunction(function, {})
    split_keywords(keywords)
    return lambda decorated: ClusterFunction(decorated, keywords)


def _executor_for(config: ClusterConfig) -> ClusterExecutor:
    # Decorating alone needs neither the packaging nor a connection: a script that only imports stays fast.
    from clustrix.executors import executor_for  # noqa: PLC0415

    return executor_for(config)


def runs_here(config: ClusterConfig) -> bool:
    """Whether calls with that configuration run in this process."""
    if config.cluster_type == "local" or config.prefer_local_parallel:
        return True
    if "CLUSTRIX_JOB_ID" in os.environ and config.nested == "local":
        return True
    return not config.cluster_host and config.connection != "local"


def _has_loop(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and opcode.opmap["FOR_ITER"] in code.co_code[::2]


def _wait(future: ClusterFuture) -> Any:
    """The job's value. Ctrl-C cancels the job; a second one leaves it running."""
    try:
        return future.result()
    except KeyboardInterrupt:
        cancel_unless_again(future)
        raise


@functools.cache
def _local_threads() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(thread_name_prefix="clustrix-local")
