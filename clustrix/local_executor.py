"""The cores of this machine: calls of a function in processes or threads here, results in order.

    with LocalExecutor() as executor:
        results = executor.execute_parallel(function, [{"args": (1,)}, {"args": (2,)}])

In processes it is cloudpickle that carries what pickle refuses, so lambdas and closures do. See clustrix.remote.parallel for
how the work is shared out, ended and told of.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle

from clustrix.remote.parallel import Pool, cores
from clustrix.waiting_calls import is_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["LocalExecutor", "choose_executor_type", "create_local_executor"]

# Threads wait more than they compute, so there may be more of them than cores; never hundreds on a large node.
MORE_THREADS, MOST_THREADS = 4, 32


class LocalExecutor:
    """``max_workers`` processes, or threads with ``use_threads``; None: one for each core, and some more if threads."""

    def __init__(self, max_workers: int | None = None, use_threads: bool = False) -> None:
        if max_workers is not None and (isinstance(max_workers, bool) or not isinstance(max_workers, int)):
            raise TypeError(f"max_workers is a number of workers or None, not {max_workers!r}")
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers is at least 1, or None for one for each core, not {max_workers!r}")
        if max_workers is None:
            max_workers = min(MOST_THREADS, cores() + MORE_THREADS) if use_threads else cores()
        self.max_workers = max_workers
        self.use_threads = use_threads
        self._pool = Pool(max_workers, threads=use_threads, pickler=cloudpickle.Pickler)

    def __enter__(self) -> LocalExecutor:  # noqa: PYI034 - typing has no Self before 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    def shutdown(self) -> None:
        """End what is under way."""
        self._pool.close()

    def execute_single(
        self, func: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function once, in a worker."""
        return self.execute_parallel(func, [{"args": tuple(args), "kwargs": dict(kwargs or {})}])[0]

    def execute_parallel(
        self, func: Callable[..., Any], work_chunks: Iterable[Mapping[str, Any]], timeout: float | None = None
    ) -> list[Any]:
        """Call the function once for each ``{"args": (...), "kwargs": {...}}``: the results, in that order.

        The first of them that fails, in that order, ends the work: what it raised is raised here, with ``item_index`` (from 0).
        TimeoutError, if it is not all done within ``timeout`` seconds: then the processes are killed. Threads can't be:
        they end after the call that they are at.
        """
        chunks = list(work_chunks)
        for index, chunk in enumerate(chunks):
            _check_chunk(index, chunk)
        return list(self._results(_ChunkCall(func), chunks, None, timeout))

    def execute_loop_parallel(  # noqa: PLR0917 - the contract names them in this order
        self,
        func: Callable[..., Any],
        loop_var: str,
        iterable: Iterable[Any],
        func_args: Sequence[Any] = (),
        func_kwargs: Mapping[str, Any] | None = None,
        chunk_size: int | None = None,
    ) -> list[Any]:
        """Call the function once for each item, with ``loop_var=item`` and the other arguments: the results, in order.

        ``chunk_size`` is how many items a worker gets at once; None has that follow from what the first ones cost. Errors
        are those of ``execute_parallel``.
        """
        others = dict(func_kwargs or {})
        if loop_var in others:
            raise TypeError(
                f"{loop_var!r} is the loop's variable, and is given in func_kwargs, too: leave it out there"
            )
        return list(self._results(_LoopCall(func, loop_var, tuple(func_args), others), iterable, chunk_size, None))

    def _results(
        self, call: Callable[[Any], Any], items: Iterable[Any], chunk_size: int | None, timeout: float | None
    ) -> Iterator[Any]:
        outcomes: Any = self._pool.run(call, items, chunk_size, timeout)
        try:
            for outcome in outcomes:
                if outcome.error is not None:
                    raise _named(outcome.error, outcome.index)
                yield outcome.value
        finally:
            outcomes.close()


def create_local_executor(
    max_workers: int | None = None,
    use_threads: bool | None = None,
    func: Callable[..., Any] | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> LocalExecutor:
    """A LocalExecutor; where ``use_threads`` is None, of the type that suits ``func``, and of processes if there is none."""
    if use_threads is None:
        use_threads = func is not None and choose_executor_type(func, args, kwargs)
    return LocalExecutor(max_workers, use_threads)


def choose_executor_type(
    func: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> bool:
    """Whether threads suit the call: plain pickle refuses something of it, or it waits more than it computes.

    Processes carry lambdas, too; but what pickle refuses is often something that has to stay here: a lock, a connection.
    """
    if not all(map(_is_picklable, (func, *args, *(kwargs or {}).values()))):
        return True
    return is_waiting(func)


class _ChunkCall:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, chunk: Mapping[str, Any]) -> Any:
        return self._function(*chunk.get("args", ()), **chunk.get("kwargs", {}))


class _LoopCall:
    def __init__(
        self, function: Callable[..., Any], variable: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._function, self._variable, self._args, self._kwargs = function, variable, args, kwargs

    def __call__(self, item: Any) -> Any:
        return self._function(*self._args, **{**self._kwargs, self._variable: item})


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def _is_picklable(value: Any) -> bool:
    try:
        # Large arrays are not even looked at.
        pickle.Pickler(_Nowhere(), 5, buffer_callback=lambda _buffer: False).dump(value)
    except Exception:  # noqa: BLE001 - a class of the user's may raise anything
        return False
    return True


def _check_chunk(index: int, chunk: Any) -> None:
    try:
        unknown = set(chunk) - {"args", "kwargs"}
    except TypeError:
        unknown = {chunk}
    if unknown or not hasattr(chunk, "get"):
        raise TypeError(f'work_chunks[{index}] is {chunk!r}, and not like {{"args": (1, 2), "kwargs": {{"name": 3}}}}')


def _named(error: BaseException, index: int) -> BaseException:
    try:
        error.item_index = index  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - a frozen class's
        return error
    return error
