"""A map: its calls as the tasks of one array, and their results in order as they come."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

from clustrix.deaths import death_of
from clustrix.errors import ClustrixError
from clustrix.future import ClusterFuture, JobControl, ResourcesUsed
from clustrix.interrupts import cancel_unless_again
from clustrix.progress import watching
from clustrix.remote.tasks import RESULT, entries, pack_arguments
from clustrix.serialization import Met, Outcome, dump_task, open_result
from clustrix.submission import EncodedValues, PreparedCall, with_classes_of_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clustrix.journal import Entry
    from clustrix.logs import LogPart
    from clustrix.progress import Track
    from clustrix.session import PythonWish

__all__ = ["MapFuture", "Results", "check_chunksize", "encode_tasks", "tasks_spec"]

_PENDING = object()


class _Failure:
    """The exception of a task, in the place of its value."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception


class MapFuture(ClusterFuture):
    """The future of a map: its value is the list of all results; its exception is that of the first task that has one.

    What is kept of a task is its value, and nothing before that is here.
    """

    def __init__(self, job_id: str, control: JobControl, track: Track, tasks: int) -> None:
        super().__init__(job_id, control, track)
        self.tasks = tasks
        self._slots: list[Any] = [_PENDING] * tasks
        self._unfinished = tasks
        self._first, self._last = float("inf"), 0.0  # Unix seconds of the first beginning and the last end of a task
        self._came = threading.Condition()
        self._wanted: dict[int, list[ClusterFuture]] = {}
        self.add_done_callback(lambda _: self._wake())

    def task(self, number: int) -> ClusterFuture:
        """A future of one task. Cancelling that leaves the map as it is."""
        future = ClusterFuture(f"{self.job_id}.{number}", self._control)
        with self._came:
            if self._slots[number] is _PENDING and not self.done():
                self._wanted.setdefault(number, []).append(future)
                return future
        self._settle(number, future)
        return future

    def take_in(
        self, entry: Entry, head: dict[str, Any], log: bytes | bytearray, host: str, made: Mapping[Any, str]
    ) -> bool:
        """Take in what the agent tells of tasks: results, with classes that are ``made`` here, and deaths. Whether that was the end of the last one."""
        view, is_last = memoryview(log), False
        for each in entries(view):
            if each.kind == RESULT:
                # A copy of its own: a small array that stays in it shall not keep all the others.
                is_last |= self._fill(each.first, _opened(bytearray(each.result_in(view)), entry, each.first, made))
        for dead in head["dead"]:
            for number in dead["tasks"]:
                task = dataclasses.replace(entry, job_id=f"{entry.job_id}.{number}")
                is_last |= self._fill(number, Outcome({}, None, death_of(task, dead, host)))
        if self.track is not None:
            done = self.tasks - self._unfinished
            self.track.go_on(f"{done} of {self.tasks}", done, self.tasks)
        return is_last

    def outcome(self) -> tuple[list[Any] | None, BaseException | None]:
        """The map's value, or its exception, when all tasks have ended."""
        failures = [slot.exception for slot in self._slots if isinstance(slot, _Failure)]
        # No copy, which would keep what is taken from here afterwards.
        return (None, failures[0]) if failures else (self._slots, None)

    def take(self, number: int, deadline: float | None) -> Any:
        """Wait for a task's value and forget it, or raise its exception; TimeoutError at ``deadline`` (time.monotonic)."""
        with watching(self.track, lingers=True), self._came:
            while self._slots[number] is _PENDING and not self.done():
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise concurrent.futures.TimeoutError
                self._came.wait(remaining)
            slot, self._slots[number] = self._slots[number], None
        if slot is _PENDING:
            self.result(0)  # which raises what has ended all of it
        if isinstance(slot, _Failure):
            try:
                raise slot.exception
            finally:
                del slot  # no circle of exception and frame
        return slot

    def _fill(self, number: int, outcome: Outcome) -> bool:
        """Note how a task ended, unless that is known already; whether all have now."""
        head, value, exception = outcome.head, outcome.value, outcome.exception
        with self._came:
            if self._slots[number] is not _PENDING:
                return False
            self._slots[number] = value if exception is None else _Failure(exception)
            self._unfinished -= 1
            if exception is not None and self.track is not None:
                self.track.failed += 1
            wanted = self._wanted.pop(number, [])
            self._count(head)
            self._came.notify_all()
            is_last = self._unfinished == 0
        for future in wanted:
            if head:
                future.note_facts(head)
            self._settle(number, future)
        return is_last

    def _count(self, head: dict[str, Any]) -> None:
        """Add what a task took."""
        used = head.get("used")
        if used is None:
            return
        before = self.resources_used or ResourcesUsed(0, 0.0, 0.0)
        self._first, self._last = min(self._first, head["started"]), max(self._last, head["ended"])
        memory, cpu = max(before.max_memory, used["memory"]), before.cpu_time + used["cpu"]
        self.resources_used = ResourcesUsed(memory, cpu, self._last - self._first)

    def _wake(self) -> None:
        with self._came:
            self._came.notify_all()
            wanted, self._wanted = self._wanted, {}
        for number, futures in wanted.items():
            for future in futures:
                self._settle(number, future)

    def _settle(self, number: int, future: ClusterFuture) -> None:
        if not future.set_running_or_notify_cancel():
            return
        slot = self._slots[number]
        if isinstance(slot, _Failure):
            future.set_exception(slot.exception)
        elif slot is not _PENDING:
            future.set_result(slot)
        else:
            future.set_exception(concurrent.futures.CancelledError() if self.cancelled() else self.exception())


def _opened(sealed: bytearray, entry: Entry, number: int, made: Mapping[Any, str]) -> Outcome:
    expected = {"job_id": entry.job_id, "task": number, "package": entry.package}
    try:
        return open_result(sealed, bytes.fromhex(entry.key), expected, made, entry.retries)
    except ClustrixError as error:
        return Outcome({}, None, error)


class Results:
    """The iterator that a map gives: each task's value in order, or its exception; the next one comes after that all the same.

    As with ``concurrent.futures``, what is left is cancelled when iterating has begun and is given up: by ``close()``, by
    letting go of the iterator, by Ctrl-C, or because ``timeout`` seconds after the call of ``map`` the next result is not there (TimeoutError).
    ``job_id`` is what ``clustrix.attach`` takes, None for a map of nothing.
    """

    def __init__(self, future: ClusterFuture | None, tasks: int, timeout: float | None) -> None:
        self.job_id = future.job_id if future else None
        self._future = future
        self._tasks = tasks
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._next = 0
        self._has_begun = False

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> Any:
        self._has_begun = True
        if self._future is None or self._next >= self._tasks:
            raise StopIteration
        number, self._next = self._next, self._next + 1
        try:
            return self._take(self._future, number)
        except concurrent.futures.TimeoutError:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.close()
            raise
        except KeyboardInterrupt:
            self._next = self._tasks
            cancel_unless_again(self._future)
            raise

    def logs(self, *, follow: bool = False) -> Iterator[LogPart]:
        """What the map's elements write; see ClusterFuture.logs."""
        return self._future.logs(follow=follow) if self._future is not None else iter(())

    def close(self) -> None:
        """Cancel what has not ended; no more results come."""
        self._next = self._tasks
        if self._future is not None and not self._future.done():
            self._future.cancel()

    def _take(self, future: ClusterFuture, number: int) -> Any:
        if isinstance(future, MapFuture):
            return future.take(number, self._deadline)
        return future.result(None if self._deadline is None else self._deadline - time.monotonic())

    def __del__(self) -> None:
        if self._has_begun and self._next < self._tasks:
            with contextlib.suppress(Exception):  # the interpreter may be on its way out
                self.close()


def check_chunksize(chunksize: int | None) -> None:
    """Raise ValueError for what is no number of tasks."""
    if chunksize is not None and (not isinstance(chunksize, int) or isinstance(chunksize, bool) or chunksize < 1):
        raise ValueError(
            f"chunksize={chunksize!r}: allowed is a whole number of 1 or more, or None to have it found out"
        )


def encode_tasks(
    call: PreparedCall, tasks: Sequence[tuple[Any, ...]], readers: Mapping[PythonWish, tuple[int, int]]
) -> tuple[PreparedCall, EncodedValues]:
    """As ``encode_call``, for the arguments of all tasks. An argument that is one object in all of them is written once."""
    columns = len(tasks[0])
    shared = [all(task[column] is tasks[0][column] for task in tasks) for column in range(columns)]

    def encode(each: PreparedCall) -> EncodedValues:
        reader, met = readers.get(each.python_wish), Met()
        made = each.package.made
        own = [
            dump_task(_own(task, shared), number, _own(range(columns), shared), reader, met, made=made)
            for number, task in enumerate(tasks)
        ]
        common = {
            column: dump_task(tasks[0][column], None, column, reader, met, made=made)
            for column in range(columns)
            if shared[column]
        }
        arguments = pack_arguments(own, columns, common)
        return each.encoded(arguments, reader, met)

    given = [value for task in tasks for value in _own(task, shared)]
    given += [value for value, is_shared in zip(tasks[0], shared, strict=True) if is_shared]
    return with_classes_of_values(call, given, encode)


def tasks_spec(tasks: int, chunksize: int | None, most_elements: int) -> dict[str, Any]:
    """What the spec of a map has beside that of a job. An element takes ``chunksize`` tasks at once; None: as many as suit what they cost."""
    elements = min(most_elements, -(-tasks // (chunksize or 1)))
    return {"tasks": tasks, "chunksize": chunksize, "elements": elements}


def _own(values: Iterable[Any], shared: list[bool]) -> tuple[Any, ...]:
    return tuple(value for value, is_shared in zip(values, shared, strict=True) if not is_shared)
