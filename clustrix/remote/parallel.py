"""The pool that parallel loops use: one function over many items, by this computer's cores, outcomes in order.

    with Pool() as pool:
        for outcome in pool.run(function, items):
            value = outcome.result()        # raises what the function raised

Workers are forked (on Linux, unless ``start_method`` says otherwise) when a run begins: they inherit the function and all that it
refers to, and the items, if these have a length; only numbers and results are pickled. A lazily read iterable is read here, not
far ahead, and its items are pickled. With ``start_method="spawn"`` the function is pickled, too, once for each worker.

What comes after an outcome that ends the work need not be done: close the iterator, or leave the pool, and the workers are killed.
"""

import contextlib
import pickle
import sys
import time
from multiprocessing.connection import wait
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence

from .chunks import Chunk, Chunks
from .cores import cores
from .native_threads import limited_native_threads
from .outcomes import Outcome, WorkerDiedError, read_error, timed_out
from .parallel_threads import run_in_threads
from .parallel_worker import SLOTS
from .worker_process import WorkerProcess

__all__ = ["Outcome", "Pool", "WorkerDiedError", "cores"]

# Seconds. How often workers are looked at whose end nobody else may tell, and, while some are idle, those that are busy.
LOOK_EVERY, LOOK_AGAIN = 1.0, 0.05


class Pool:
    """``workers`` processes, by default one for each of ``cores()``, so only one in a worker of another pool.

    ``start_method`` is "fork" or "spawn"; with ``threads`` there are threads instead, and neither counts. ``pickler`` is a
    class like pickle.Pickler, asked for what that refuses (cloudpickle's, on the client).
    """

    def __init__(
        self,
        workers: Optional[int] = None,
        start_method: Optional[str] = None,
        threads: bool = False,
        pickler: Any = pickle.Pickler,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError("a pool needs at least one worker, not %r" % (workers,))
        if start_method not in (None, "fork", "spawn"):
            raise ValueError("start_method is 'fork' or 'spawn', not %r" % (start_method,))
        self.workers = cores() if workers is None else workers
        self._method = start_method or ("fork" if sys.platform == "linux" else "spawn")
        self._threads = threads
        # What needs no more than pickle is written by it much faster.
        self._picklers = (pickle.Pickler,) if pickler is pickle.Pickler else (pickle.Pickler, pickler)
        self._runs: List[Iterator[Outcome]] = []

    def __enter__(self) -> "Pool":  # noqa: PYI034 - 3.6 has no Self
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the runs that are under way."""
        while self._runs:
            self._runs.pop().close()  # type: ignore[attr-defined]

    def run(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        chunk_size: Optional[int] = None,
        timeout: Optional[float] = None,
    ) -> Iterator[Outcome]:
        """Call the function with each item: an iterator of the outcomes, in the order of the items.

        Nothing begins before the first outcome is asked for, and workers get more to do whenever the next one is.
        ``chunk_size`` is how many items are handed out at once, None: as the cost of those that are done tells.
        After ``timeout`` seconds everything is ended, and TimeoutError raised. A worker that dies at an item is that item's
        outcome, a WorkerDiedError; another one goes on. What the iterable itself raises comes after the outcomes before it.
        """
        if chunk_size is not None and chunk_size < 1:
            raise ValueError("chunk_size is at least 1, not %r" % (chunk_size,))
        if self._threads:
            run = run_in_threads(function, items, self.workers, timeout)
        else:
            run = _Run(self, function, items, chunk_size, timeout).outcomes()
        self._runs = [known for known in self._runs if known.gi_frame is not None]  # type: ignore[attr-defined]
        self._runs.append(run)
        return run

    def worker(self, function: Callable[[Any], Any], items: Optional[Sequence[Any]]) -> WorkerProcess:
        """A worker for one run, not started yet."""
        return WorkerProcess(self._method, function, items, self._picklers, self.native_threads)

    @property
    def native_threads(self) -> int:
        """How many threads the native libraries of a worker may have."""
        return max(1, cores() // self.workers)

    @property
    def is_forked(self) -> bool:
        """Whether workers inherit what this process has."""
        return self._method == "fork"


class _Run:
    """One function over its items, with workers of its own."""

    def __init__(
        self, pool: Pool, function: Any, items: Iterable[Any], chunk_size: Optional[int], timeout: Optional[float]
    ) -> None:
        self._pool, self._function = pool, function
        self._chunks = Chunks(items, pool.is_forked, pool.workers, chunk_size)
        self._timeout = timeout
        self._workers: List[WorkerProcess] = []
        self._surroundings = contextlib.ExitStack()
        # Outcomes that wait for earlier ones, by the first index of each piece.
        self._pieces: Dict[int, List[Outcome]] = {}
        self._position = 0

    def outcomes(self) -> Iterator[Outcome]:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        is_complete = False
        try:
            if self._pool.is_forked:
                self._surroundings.enter_context(limited_native_threads(self._pool.native_threads))
            while True:
                piece = self._pieces.pop(self._position, None)
                if piece is not None:
                    for outcome in piece:
                        yield outcome
                    self._position += len(piece)
                    continue
                self._hand_out()
                if self._position == self._chunks.read and not self._chunks.has_more():
                    break
                if deadline is not None and time.monotonic() >= deadline:
                    raise timed_out(self._timeout, self._position, self._chunks.total)
                self._collect(deadline)
            is_complete = True
            if self._chunks.error is not None:
                raise self._chunks.error
        finally:
            with self._surroundings:
                self._end(at_once=not is_complete)

    def _hand_out(self) -> None:
        """Give those something that have nothing, and, when it is known what items cost, something to go on with to the others.

        Messages with items may be long: while one is sent, the worker has to read.
        """
        has_short_messages = self._chunks.inherited is not None
        for load in range(SLOTS if has_short_messages else 1):
            idle = [worker for worker in self._workers if worker.load == load]
            while idle or (load == 0 and len(self._workers) < self._pool.workers):
                chunk = self._chunks.next(self._position) or (self._taken() if load == 0 else None)
                if chunk is None:
                    return
                if not idle:
                    idle.append(self._pool.worker(self._function, self._chunks.inherited))
                    self._workers.append(idle[0])
                    idle[0].start()
                idle.pop().give(chunk, self._chunks.values(chunk))

    def _taken(self) -> Optional[Chunk]:
        """Items of the worker that has the most; None if it will have done them by the time that another could."""
        busy = [worker for worker in self._workers if worker.load]
        if self._chunks.has_more() or not busy:
            return None
        owner = max(busy, key=WorkerProcess.left)
        is_late = time.monotonic() - owner.since > LOOK_AGAIN
        if not owner.left() or not (is_late or self._chunks.is_worth_taking(owner.left())):
            return None
        chunk = owner.take(self._chunks.longest())
        return chunk if chunk.first < chunk.stop else None

    def _collect(self, deadline: Optional[float]) -> None:
        """Wait until a worker is done or dead, or until it is time to look at something."""
        longest = LOOK_EVERY if all(worker.load for worker in self._workers) else LOOK_AGAIN
        if deadline is not None:
            longest = max(0.0, min(longest, deadline - time.monotonic()))
        by_signal: Dict[Any, WorkerProcess] = {}
        for worker in self._workers:
            by_signal[worker.connection] = by_signal[worker.process.sentinel] = worker
        ready = wait(list(by_signal), longest)
        # What a worker sent before it died counts.
        for signal in sorted(ready, key=lambda signal: isinstance(signal, int)):
            worker = by_signal[signal]
            if worker not in self._workers:
                continue
            if isinstance(signal, int):
                self._bury(worker)
            else:
                self._receive(worker)
        if not ready:
            # A process that it has left behind may hold its pipes.
            for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
                self._bury(worker)

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            done = worker.done()
        except (EOFError, ConnectionError):
            self._bury(worker)
            return
        except Exception as error:  # noqa: BLE001 - whatever a pickle raises
            chunk, begun = worker.finish()
            done_of = Chunk(chunk.first, begun)
            text = "the results of items %d to %d can't be read from their worker: %s: %s"
            reason = TypeError(text % (done_of.first, done_of.stop - 1, type(error).__name__, error))
            reason.__cause__ = error
            self._settle(chunk, [Outcome(index, None, reason) for index in range(*done_of)])
            return
        chunk, _ = worker.finish()
        outcomes = list(map(Outcome, range(chunk.first, chunk.first + done.size), done.values))
        for offset, record in done.errors.items():
            raised = read_error(record, self._pool.is_forked)
            outcomes[offset] = Outcome(chunk.first + offset, None, raised)
        self._chunks.measured(done.size, done.seconds)
        self._settle(chunk, outcomes)

    def _settle(self, chunk: Chunk, outcomes: List[Outcome]) -> None:
        """Keep the outcomes of a chunk's first items, and give back the others."""
        end = chunk.first + len(outcomes)
        if outcomes:
            self._pieces[chunk.first] = outcomes
        self._chunks.forget(Chunk(chunk.first, end))
        self._chunks.give_back(Chunk(end, chunk.stop))

    def _bury(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        how = worker.how_it_ended()
        worker.end(at_once=True)
        while worker.load:
            chunk, begun = worker.finish()
            worker.has_begun = worker.has_begun or begun > chunk.first
            if not worker.has_begun:
                raise WorkerDiedError("a worker process %s before it began its first item, %d" % (how, chunk.first))
            outcomes = []
            for index in range(chunk.first, begun):
                text = "the worker process %s at item %d" % (how, begun - 1)
                if index < begun - 1:
                    text += "; item %d was done, but its result not handed over yet" % index
                outcomes.append(Outcome(index, None, WorkerDiedError(text)))
            self._settle(chunk, outcomes)

    def _end(self, at_once: bool) -> None:
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.end(at_once)
        self._workers.clear()
