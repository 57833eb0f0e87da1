"""The array of a map, as the agent sees it: what its elements log, which of them are dead, and who runs what those have left.

A task ends in the result that its element logged, or in the death of the element that was at it. What a dead element had
taken and not begun is offered again. If no element is left to take it, a further array is queued, as long as each round brings some task to its end.
"""

import os
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from . import jobs, pool
from .paths import StatePaths, look_again
from .schedulers import JobState, SchedulerError, SchedulerUnavailableError, scheduler
from .tasks import BEGAN, CLAIMED, LEFT, RESULT, entries

__all__ = ["Array", "DeadTasks", "News"]

LOG_TAIL = 1 << 16  # bytes of each log that come with the death of an element
GRACE_COMPLETED, GRACE_DEAD = 90.0, 2.0  # seconds, as in watch.py
MOST_ROUNDS_IN_VAIN = 5
LARGEST_NEWS = 4 << 20  # bytes of a log that are read at once, unless one result is larger


class DeadTasks(NamedTuple):
    """Tasks that ended without a result, with what is known of the element that was at them."""

    tasks: List[int]
    state: Optional[JobState]
    stdout: str
    stderr: str
    step: str


class News(NamedTuple):
    """What became known of a map: entries of its elements' logs (see tasks.py), and tasks that died."""

    job_id: str
    log: bytes
    dead: List[DeadTasks]


class _Element:
    """One element: how far its log was read, and what it says."""

    def __init__(self) -> None:
        self.read = 0
        self.told = 0
        self.range: Tuple[int, int] = (0, 0)
        self.begun = 0
        self.has_left = False
        self.is_over = False
        self.is_suspicious = False
        self.dead_since: Optional[float] = None


class Array:
    """All rounds of one map. Not for several threads at once, but for ``stop``."""

    def __init__(
        self, state: StatePaths, spec: Dict[str, Any], scheduler_id: str, tell: Callable[[News], None]
    ) -> None:
        """``scheduler_id`` is that of the first round, in case an agent was killed before it could note that."""
        self._first = scheduler_id
        self.job_id = str(spec["job_id"])
        self._state, self._job = state, state.job(self.job_id)
        self._scheduler_name = str(spec["scheduler"])
        self._tell = tell
        self._open: Set[int] = set(range(spec["tasks"]))
        self._elements: Dict[str, _Element] = {}
        self._rounds: Dict[str, int] = {}
        self._most_elements = int(spec["elements"])
        self._open_at_last_round = len(self._open)
        self._rounds_in_vain = 0
        self._has_died_since = False
        self._last_death: Optional[JobState] = None
        self._is_stopped = False
        self._find_rounds()
        for name in os.listdir(self._job.file("out")):
            # Of an array whose number nobody noted, and which the scheduler has forgotten.
            if name.startswith("tasks."):
                self._elements.setdefault(name[len("tasks.") :], _Element())

    @property
    def is_over(self) -> bool:
        """Whether every task has ended, or nobody wants to know."""
        return not self._open or self._is_stopped

    @property
    def living(self) -> List[str]:
        """The scheduler's ids of the arrays that still have elements."""
        return [
            scheduler_id
            for scheduler_id, count in self._rounds.items()
            if not all(self._elements[name].is_over for name in self._names(scheduler_id, count))
        ]

    def stop(self) -> None:
        """Nobody waits for it any more: no further element is queued."""
        self._is_stopped = True

    def look(self, marks: Iterable[str]) -> bool:
        """Read what the marks tell of; whether one of them says that an element may be dead."""
        is_suspicious = False
        prefix = self.job_id + "."
        for mark in marks:
            if not mark.startswith(prefix):
                continue
            rest, _, last = mark[len(prefix) :].rpartition(".")
            if last == "exit":
                element = self._elements.get(rest)
                if element is not None and not (element.is_over or element.is_suspicious):
                    element.is_suspicious = is_suspicious = True
                continue
            name, _, size = rest.rpartition(".") if last == "end" else (rest, "", last)
            element = self._elements.get(name)
            if element is not None and size.isdigit():
                element.told = max(element.told, int(size))
                if element.read < element.told:
                    self._read(name, element)
                if last == "end" and element.read >= element.told:
                    self._bury(name, element)
        self._finish_if_all_ended()
        return is_suspicious

    def judge(self, states: Dict[str, JobState]) -> float:
        """Act on what the scheduler says of the elements; in how many seconds it is worth asking again."""
        now, again = time.time(), float("inf")
        for name, element in self._elements.items():
            if element.is_over:
                continue
            state = states.get(name)
            if state is not None and not state.is_ended:
                element.dead_since = None
                again = min(again, 0.1) if element.is_suspicious else again
                continue
            if element.dead_since is None:
                element.dead_since = now
            may_have_results = state is not None and state.state == "COMPLETED"
            grace = GRACE_COMPLETED if may_have_results else GRACE_DEAD
            waited = now - element.dead_since
            if waited < grace and not element.has_left:
                again = min(again, grace - waited, waited + GRACE_DEAD)
                continue
            look_again(self._job.file("out"))
            self._read(name, element)
            self._bury(name, element, state)
        self._finish_if_all_ended()
        if self._open and not self._is_stopped and not self.living:
            self._queue_further()
        return again

    def _names(self, scheduler_id: str, count: int) -> List[str]:
        return list(scheduler(self._scheduler_name).element_names(scheduler_id, count))

    def _find_rounds(self) -> bool:
        """Whether there are rounds that this agent did not know of."""
        noted = jobs.rounds_of(self._job) or {self._first: self._most_elements}
        new = {key: count for key, count in noted.items() if key not in self._rounds}
        for scheduler_id, count in new.items():
            self._rounds[scheduler_id] = count
            self._elements.update((name, _Element()) for name in self._names(scheduler_id, count))
        return bool(new)

    def _read(self, name: str, element: _Element) -> None:
        """Take in what an element has logged since; what can't be seen yet is read the next time."""
        try:
            size = os.path.getsize(self._job.tasks(name))
            with open(self._job.tasks(name), "rb") as stream:
                while element.read < size:
                    stream.seek(element.read)
                    data = stream.read(LARGEST_NEWS)
                    if not self._take_in(element, data):
                        stream.seek(element.read)
                        data = stream.read(size - element.read)  # an entry that is larger
                        if not self._take_in(element, data):
                            return
        except OSError:
            return

    def _take_in(self, element: _Element, data: bytes) -> int:
        """The bytes of whole entries at the beginning of ``data``, whose results are told."""
        end, has_results = 0, False
        for entry in entries(data):
            end = entry.end
            if entry.kind == CLAIMED:
                element.range, element.begun = (entry.first, entry.second), entry.first
            elif entry.kind == BEGAN:
                element.begun = entry.second
            elif entry.kind == RESULT:
                has_results = True
                element.range = (entry.first + 1, element.range[1])
                self._open.discard(entry.first)
            elif entry.kind == LEFT:
                element.has_left = True
        element.read += end
        if has_results:
            self._tell(News(self.job_id, data[:end], []))
        return end

    def _bury(self, name: str, element: _Element, state: Optional[JobState] = None) -> None:
        """The element is over: what it was at has died, and what it had not begun is for others."""
        element.is_over = True
        first, end = element.range
        if not element.has_left:
            self._has_died_since = True
            if end or self._last_death is None:  # the many that never came to a task all die of one cause
                state = self._post_mortem(name) or state
            self._last_death = state
            # On the node that was lost may be the results of tasks that it had finished.
            is_node_lost = state is None or state.state == "NODE_FAIL"
            at = min(end, max(first + 1, element.begun) if is_node_lost else first + 1)
            self._end_without_result(range(first, at), name, state)
            first = at
        if first < end:
            pool.offer(self._job.pool, name, first, end)

    def _post_mortem(self, name: str) -> Optional[JobState]:
        try:
            known: Optional[JobState] = scheduler(self._scheduler_name).post_mortem(name)
        except SchedulerError:
            return None
        return known if known is not None and known.is_ended else None

    def _end_without_result(self, tasks: Iterable[int], name: str, state: Optional[JobState]) -> None:
        ended = sorted(self._open.intersection(tasks))
        if ended:
            self._open.difference_update(ended)
            texts = [jobs.collect_output(self._job, stream, LOG_TAIL, name) for stream in ("stdout", "stderr")]
            step = jobs.step_before_the_runner(self._job, name)
            self._tell(News(self.job_id, b"", [DeadTasks(ended, state, texts[0], texts[1], step)]))

    def _queue_further(self) -> None:
        """Nobody is left to run the open tasks."""
        if self._find_rounds():
            return
        is_cancelled = self._last_death is not None and self._last_death.state == "CANCELLED"
        is_in_vain = len(self._open) == self._open_at_last_round
        self._rounds_in_vain = self._rounds_in_vain + 1 if is_in_vain else 0
        if is_cancelled or (is_in_vain and (self._has_died_since or self._rounds_in_vain > MOST_ROUNDS_IN_VAIN)):
            # Somebody wants it to end; or not one task did by all elements of the last round, and more of them would not change that.
            # Those that only left may have seen too late, on a slow shared file system, what was offered.
            self._end_without_result(list(self._open), next(reversed(list(self._elements))), self._last_death)
            self._finish_if_all_ended()
            return
        offered = {task for each in pool.ranges(self._job.pool) for task in range(each.next, each.end)}
        for start, end in _runs(sorted(self._open - offered)):
            # Taken by an element that died before it could say so.
            pool.offer(self._job.pool, "round%d-%d" % (len(self._rounds), start), start, end)
        before, self._open_at_last_round = self._open_at_last_round, len(self._open)
        self._has_died_since = False
        elements = min(self._most_elements, len(self._open))
        try:
            jobs.queue_array(self._job, self._scheduler_name, elements, _log)
        except SchedulerUnavailableError as error:
            _log("no further elements for %s yet: %s" % (self.job_id, error))
            self._open_at_last_round = before  # the next question tries again
        except (SchedulerError, OSError) as error:
            _log("no further elements for %s: %s" % (self.job_id, error))
        self._find_rounds()
        if self._is_stopped:
            # Meanwhile, somebody cancelled those that he knew of.
            self._cancel(self.living)

    def _finish_if_all_ended(self) -> None:
        if self._open or self._is_stopped:
            return
        self._is_stopped = True
        if self.living:
            # The agent may be about to end, and does so only after this: it would leave them in the queue.
            threading.Thread(target=self._cancel, args=(self.living,), name="cancel", daemon=False).start()

    def _cancel(self, scheduler_ids: List[str]) -> None:
        try:
            scheduler(self._scheduler_name).cancel(scheduler_ids)
        except SchedulerError as error:
            _log("elements of %s may be left in the queue: %s" % (self.job_id, error))


def _log(line: str) -> None:
    """Into the agents' log: whoever asked is long gone."""
    sys.stderr.write(line + "\n")


def _runs(numbers: List[int]) -> List[Tuple[int, int]]:
    """Ascending numbers as ranges: first, and one after the last."""
    runs: List[Tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
