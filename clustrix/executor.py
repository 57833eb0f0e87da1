"""The executor: functions in, futures out, one connection for all of them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import time
from typing import TYPE_CHECKING, Any

from clustrix import errors
from clustrix.arrays import MapFuture, Results, check_chunksize, encode_tasks, tasks_spec
from clustrix.builtin_calls import callable_without_source
from clustrix.config import ClusterConfig, get_config
from clustrix.dispatch import Dispatch
from clustrix.journal import JobRecord, Journal
from clustrix.known_jobs import cluster_records, drop_expired, journal_records, split_task
from clustrix.resources import JobOptions
from clustrix.session import HOST_FIELDS, Session
from clustrix.submission import EncodedValues, PreparedCall, encode_call, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from clustrix.future import ClusterFuture

__all__ = ["ClusterExecutor"]


class ClusterExecutor(concurrent.futures.Executor):
    """Runs functions as jobs on the cluster of ``config``. Constructing connects nowhere; the first submission does."""

    def __init__(self, config: ClusterConfig | None = None) -> None:
        self._config = config or get_config()
        if not self._config.cluster_host and "local" not in (self._config.connection, self._config.cluster_type):
            raise errors.ConfigurationError(
                "cluster_host is not set: `clustrix init` makes a profile of a cluster, or configure(cluster_host=...) says where jobs run"
            )
        self._journal = Journal()
        self._dispatch = Dispatch(self._config, self._journal)

    @property
    def _session(self) -> Session:
        return self._dispatch.session  # another one in a forked child

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ClusterFuture:
        """Submit ``fn(*args, **kwargs)`` as a job and return its future; ``fn`` may be decorated with ``@cluster``.

        What can fail before anything is sent is raised here: PackagingError, SerializationError, ConfigurationError, and
        for the first job, which connects, ClusterConnectionError and its kin.
        """
        function, options, config = self._described(fn)
        function, args, options = callable_without_source(function, args, options)
        return self.submit_job(function, args, kwargs, options, config)

    def job_script(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
        """The script that ``submit`` would have the scheduler run, with words for what only the cluster knows. Nothing is sent.

        Raises what ``submit`` would before it connects.
        """
        from clustrix.explain import render_job_script  # noqa: PLC0415 - it needs much that no submission does

        function, options, config = self._described(fn)
        function, args, options = callable_without_source(function, args, options)
        call, _ = encode_call(prepare(function, options, config), args, kwargs, {})
        return render_job_script(call)

    def submit_job(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: JobOptions,
        config: ClusterConfig,
        *,
        is_awaited: bool = False,
    ) -> ClusterFuture:
        """As ``submit``, with the job's options, and a configuration that may differ from the executor's in all but where.

        Whoever awaits the future at once, and changes no argument meanwhile, spares a copy of large arrays.
        """
        self._dispatch.refuse_if_over()
        started = time.perf_counter()
        call = prepare(function, options, config)
        packaged = time.perf_counter()
        call, values = encode_call(call, args, kwargs, self._session.python_versions)
        values = values if is_awaited else values.copied()
        return self._start(call, values, started, packaged)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
    ) -> Iterator[Any]:
        """As ``concurrent.futures.Executor.map``, all calls being the tasks of one array of the scheduler.

        Its elements, as many as there are tasks but at most ``max_parallel_jobs`` and what the site takes, take tasks as they get
        through them: ``chunksize`` at once, or if that is None as many as suit what a task costs. Without a scheduler they are processes of
        the host, as many as it has cores for. So a task finds what earlier ones in its process left in the function's modules; ``time``
        is for all that an element does, and it stops in time before its end. With ``retries=`` what an element was at is run again if that
        died of its surroundings. The job's id with ``.3`` attaches to task 3 alone.
        """
        function, options, config = self._described(fn)
        if iterables:
            function, first, options = callable_without_source(function, (), options)
            iterables = (*(itertools.repeat(argument) for argument in first), *iterables)
        return self.submit_map(function, iterables, options, config, timeout=timeout, chunksize=chunksize)

    def submit_map(
        self,
        function: Callable[..., Any],
        iterables: Iterable[Iterable[Any]],
        options: JobOptions,
        config: ClusterConfig,
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
    ) -> Results:
        """As ``map``, with what ``submit_job`` takes."""
        self._dispatch.refuse_if_over()
        check_chunksize(chunksize)
        tasks = list(zip(*iterables, strict=False))
        if not tasks:
            return Results(None, 0, timeout)
        if len(tasks) == 1:
            return Results(self.submit_job(function, tasks[0], {}, options, config), 1, timeout)
        started = time.perf_counter()
        call = prepare(function, options, config)
        packaged = time.perf_counter()
        call, values = encode_tasks(call, tasks, self._session.python_versions)
        more = tasks_spec(len(tasks), chunksize, call.config.max_parallel_jobs)
        return Results(self._start(call, values.copied(), started, packaged, more), len(tasks), timeout)

    def _start(
        self,
        call: PreparedCall,
        values: EncodedValues,
        started: float,
        packaged: float,
        more: dict[str, Any] | None = None,
    ) -> ClusterFuture:
        encoded = time.perf_counter()
        self._session.connect()
        timings = {
            "package": packaged - started,
            "encode arguments": encoded - packaged,
            "connect": time.perf_counter() - encoded,
        }
        return self._dispatch.hand_in(call, values, timings, more)

    def connect(self) -> None:
        """Connect now. Raises ClusterConnectionError and its kin."""
        self._session.connect()

    def disconnect(self) -> None:
        """Close the connection. Jobs go on; the next submission connects again."""
        self._session.disconnect()

    def attach(self, job_id: str | int, *, keep: bool = False) -> ClusterFuture:
        """A future for a job whose result was not fetched, by its id or the scheduler's number, whichever process or machine submitted it.

        That of a map has the list of its results; ``<job_id>.3`` is its task 3, which leaves the map to be attached to again, as
        ``keep`` leaves any job.
        """
        map_id, number = split_task(str(job_id))
        if number is None:
            return self._dispatch.attach(map_id, is_kept=keep)
        whole = self._dispatch.attach(map_id, is_kept=True)
        if not (isinstance(whole, MapFuture) and number.isdecimal() and int(number) < whole.tasks):
            words = f"has the tasks 0 to {whole.tasks - 1}" if isinstance(whole, MapFuture) else "is no map"
            raise errors.ClustrixError(f"there is no task {job_id!r}: job {map_id} {words}")
        return whole.task(int(number))

    def jobs(self) -> list[JobRecord]:
        """The jobs that were submitted to this cluster from here and not fetched yet, by the journal; nobody is asked."""
        return journal_records(self._journal, self._config)

    def discover(self) -> list[JobRecord]:
        """The jobs that this account has on the cluster and nobody fetched yet, from whichever machine; ``attach`` fetches them."""
        found = cluster_records(self._session, self._config)
        drop_expired(self._journal, self._config, found)
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs, and close the connection when all have ended; with ``wait``, return then.

        ``cancel_futures`` cancels the jobs that have not begun.
        """
        self._dispatch.shut_down(wait=wait, cancel_futures=cancel_futures)

    @property
    def is_shut_down(self) -> bool:
        """Whether it takes no more jobs."""
        return self._dispatch.is_shut_down

    def _described(self, fn: Callable[..., Any]) -> tuple[Callable[..., Any], JobOptions, ClusterConfig]:
        """The function, and what a ``@cluster`` in front of it says of its jobs."""
        options = getattr(fn, "job_options", None) or JobOptions()
        overrides = getattr(fn, "config_overrides", {})
        elsewhere = sorted(set(overrides) & set(HOST_FIELDS))
        if elsewhere:
            raise errors.ConfigurationError(
                f"{fn!r} was decorated with {elsewhere[0]}=..., and this executor has its own: call the function, or leave that out"
            )
        config = dataclasses.replace(self._config, **overrides) if overrides else self._config
        return getattr(fn, "undecorated", fn), options, config

    def request(self, operation: str, head: dict[str, Any], body: Any = b"") -> dict[str, Any]:
        """Ask the host's agent for what is no job, over the same connection; see Channel.request."""
        return self._session.request(operation, head, (body,))
