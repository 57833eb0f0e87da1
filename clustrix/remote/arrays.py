"""The array of a map, as the agent sees it: what its elements log, which of them are dead, and who runs what those have left.

A task ends in the result that its element logged, or in the death of the element that was at it. What a dead element had
taken and not begun is offered again; so is, as often as its retries allow, what it was at, if it died of its surroundings or of too
little of what the policy lets grow. If no element is left that may take it, a further array is queued, as long as each round brings some
task further. How an element died is noted as it is first seen, for schedulers forget it, and what was told once is not told otherwise later.
"""

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple, Union

from . import jobs, pool
from .attempts import as_often_as_allowed, asking_for, how_it_died, is_worth_it
from .jobs import LOG_TAIL, Round
from .paths import StatePaths, look_again, write_aside
from .runs import most_runs, policy_of
from .schedulers import JobState, SchedulerError, SchedulerUnavailableError, scheduler
from .tasks import AGAIN, BEGAN, CLAIMED, LEFT, RESULT, entries

__all__ = ["Array", "DeadTasks", "News", "Notice"]

GRACE_COMPLETED, GRACE_DEAD = 90.0, 2.0  # seconds, as in watch.py
MOST_ROUNDS_IN_VAIN = 5
BEGUN_ANEW = 118  # the exit status of an element that ran before; see runner.py
LARGEST_NEWS = 4 << 20  # bytes of a log that are read at once, unless one result is larger


class DeadTasks(NamedTuple):
    """Tasks that ended without a result, with what is known of the element that was at them; ``again`` says why they are not begun again, where that was asked for."""

    tasks: List[int]
    state: Optional[JobState]
    stdout: str
    stderr: str
    step: str
    again: str


class News(NamedTuple):
    """What became known of a map: entries of its elements' logs (see tasks.py), and tasks that died."""

    job_id: str
    log: bytes
    dead: List[DeadTasks]


class Notice(NamedTuple):
    """What the user should know of a job that has not ended, in words."""

    job_id: str
    text: str


class _Element:
    """One element: how far its log was read, and what it says."""

    def __init__(self) -> None:
        self.read = 0
        self.told = 0
        self.attempt = 0
        self.range: Tuple[int, int] = (0, 0)
        self.begun = 0
        self.has_left = False
        self.is_over = False
        self.is_suspicious = False
        self.dead_since: Optional[float] = None


class Array:
    """All rounds of one map. Not for several threads at once, but for ``stop``."""

    def __init__(
        self, state: StatePaths, spec: Dict[str, Any], scheduler_id: str, tell: Callable[[Union[News, Notice]], None]
    ) -> None:
        """``scheduler_id`` is that of the first round, in case an agent was killed before it could note that."""
        self._first = scheduler_id
        self.job_id = str(spec["job_id"])
        self._state, self._job = state, state.job(self.job_id)
        self._spec, self._scheduler_name = spec, str(spec["scheduler"])
        self._tell = tell
        self._open: Set[int] = set(range(spec["tasks"]))
        self._elements: Dict[str, _Element] = {}
        self._rounds: Dict[str, Round] = {}
        self._most_elements = int(spec["elements"])
        self._steps = self._steps_at_last_round = 0  # ends of tasks, and offers to try them again
        self._rounds_in_vain = 0
        self._has_died_since = False
        self._last_death: Optional[JobState] = None
        self._is_stopped = False
        self._held, self._is_held_told = "", False
        self._tried_again: Dict[str, List[int]] = {}
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
    def has_begun(self) -> bool:
        """Whether an element has taken a task."""
        return any(name.startswith("tasks.") for name in os.listdir(self._job.file("out")))

    @property
    def living(self) -> List[str]:
        """The scheduler's ids of the arrays that still have elements."""
        return [
            scheduler_id
            for scheduler_id, queued in self._rounds.items()
            if not all(self._elements[name].is_over for name in self._names(scheduler_id, queued.elements))
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
        self._tell_what_is_tried_again()
        self._note_held(
            [states[name] for name, element in self._elements.items() if not element.is_over and name in states]
        )
        if self._open and not self._is_stopped and (not self.living or self._waiting()):
            self._queue_further()
        return again

    def _note_held(self, living: List[JobState]) -> None:
        """Tell why no element ever starts, once, if that is still so at the second question."""
        held = living[0].held if living and all(state.held for state in living) else ""
        if held and held == self._held and not self._is_held_told:
            self._is_held_told = True
            self._tell(Notice(self.job_id, "map %s will not start by itself: %s" % (self.job_id, held)))
        self._held = held

    def _names(self, scheduler_id: str, count: int) -> List[str]:
        return list(scheduler(self._scheduler_name).element_names(scheduler_id, count))

    def _find_rounds(self) -> bool:
        """Whether there are rounds that this agent did not know of."""
        noted = jobs.rounds_of(self._job) or {self._first: Round(self._most_elements)}
        new = {key: queued for key, queued in noted.items() if key not in self._rounds}
        for scheduler_id, queued in new.items():
            self._rounds[scheduler_id] = queued
            self._elements.update((name, _Element()) for name in self._names(scheduler_id, queued.elements))
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
            if entry.kind == AGAIN:
                element.attempt = entry.first
            elif entry.kind == CLAIMED:
                element.range, element.begun = (entry.first, entry.second), entry.first
            elif entry.kind == BEGAN:
                element.begun = entry.second
            elif entry.kind == RESULT:
                has_results = True
                element.range = (entry.first + 1, element.range[1])
                self._open.discard(entry.first)
                self._steps += 1
            elif entry.kind == LEFT:
                element.has_left = True
        element.read += end
        if has_results:
            self._tell(News(self.job_id, data[:end], []))
        return end

    def _bury(self, name: str, element: _Element, state: Optional[JobState] = None) -> None:
        """The element is over: what it was at has died, or is tried again, and what it had not begun is for others."""
        element.is_over = True
        first, end = element.range
        if not element.has_left:
            self._has_died_since = True
            if end or self._last_death is None:  # the many that never came to a task all die of one cause
                state = self._verdict(name, state)
            self._last_death = state
            # On the node that was lost may be the results of tasks that it had finished.
            is_node_lost = state is None or state.state == "NODE_FAIL"
            at = min(end, max(first + 1, element.begun) if is_node_lost else first + 1)
            self._try_again_or_end(range(first, at), name, element.attempt, state)
            first = at
        if first < end:
            pool.offer(self._job.pool, pool.named(name, element.attempt), first, end)

    def _verdict(self, name: str, state: Optional[JobState]) -> Optional[JobState]:
        """How the element died, as whoever saw it first has noted."""
        path = self._job.file("marks", "died." + name)
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as stream:
            noted = json.load(stream)
            return JobState(**noted) if noted else None
        with contextlib.suppress(SchedulerError):
            known: Optional[JobState] = scheduler(self._scheduler_name).post_mortem(name)
            state = known if known is not None and known.is_ended else state
        if state is not None and state.exit_code == BEGUN_ANEW:
            # As its scheduler does with what lost its node, or had to make room; where and how that ended says nothing of the death.
            state = JobState("NODE_FAIL", "its scheduler began it anew, which did nothing")
        state = jobs.with_memory_told(self._job, state, name)
        with contextlib.suppress(OSError):  # a full disk: the next one asks again
            write_aside(path, json.dumps(state and state._asdict()).encode("utf-8"))
        return state

    def _try_again_or_end(self, tasks: Iterable[int], name: str, attempt: int, state: Optional[JobState]) -> None:
        still = sorted(self._open.intersection(tasks))
        if not still or not is_worth_it(self._spec, state):
            self._end_without_result(still, name, state)
            return
        if attempt + 1 >= most_runs(self._spec):
            self._end_without_result(still, name, state, as_often_as_allowed(self._spec))
            return
        self._steps += len(still)
        # Under a name of the element: whichever agents see it dead, it is offered once.
        if pool.offer(self._job.pool, pool.named(name, attempt + 1), still[0], still[-1] + 1):
            text = "%s; attempt %d of %d comes%s" % (
                how_it_died(state),
                attempt + 2,
                most_runs(self._spec),
                asking_for(self._spec, attempt + 1),
            )
            self._tried_again.setdefault(text, []).extend(still)

    def _tell_what_is_tried_again(self) -> None:
        """All that was seen at once and for one reason in one line: a node may have had many elements."""
        tried, self._tried_again = self._tried_again, {}
        for text, tasks in tried.items():
            runs = [
                "%d" % first if end == first + 1 else "%d-%d" % (first, end - 1) for first, end in _runs(sorted(tasks))
            ]
            who = "task %s of map %s" if len(tasks) == 1 else "each of the tasks %s of map %s"
            self._tell(Notice(self.job_id, "%s %s" % (who % (", ".join(runs), self.job_id), text)))

    def _end_without_result(self, tasks: Iterable[int], name: str, state: Optional[JobState], again: str = "") -> None:
        ended = sorted(self._open.intersection(tasks))
        if ended:
            self._open.difference_update(ended)
            self._steps += len(ended)
            texts = [jobs.collect_output(self._job, stream, LOG_TAIL, name) for stream in ("stdout", "stderr")]
            step = jobs.step_before_the_runner(self._job, name)
            self._tell(News(self.job_id, b"", [DeadTasks(ended, state, texts[0], texts[1], step, again)]))

    def _waiting(self) -> List[pool.Range]:
        """What is offered to elements that have more than any that lives."""
        if not policy_of(self._spec):
            return []
        most = max([self._rounds[scheduler_id].attempt for scheduler_id in self.living] or [-1])
        return [each for each in pool.ranges(self._job.pool) if each.attempt > most]

    def _queue_further(self) -> None:
        """Nobody is left to run the open tasks, or those that need more than the others have."""
        if self._find_rounds():
            return
        waiting, wanted = self._waiting(), len(self._open)
        if self.living:
            wanted = sum(each.end - each.next for each in waiting)
        elif self._is_hopeless():
            self._end_without_result(list(self._open), next(reversed(list(self._elements))), self._last_death)
            self._finish_if_all_ended()
            return
        else:
            self._offer_what_was_lost()
        before, self._steps_at_last_round = self._steps_at_last_round, self._steps
        self._has_died_since = False
        attempt = max([each.attempt for each in waiting] or [0])
        try:
            jobs.queue_array(self._job, self._scheduler_name, min(self._most_elements, wanted), _log, attempt)
        except SchedulerUnavailableError as error:
            _log("no further elements for %s yet: %s" % (self.job_id, error))
            self._steps_at_last_round = before  # the next question tries again
        except (SchedulerError, OSError) as error:
            _log("no further elements for %s: %s" % (self.job_id, error))
            self._withdraw(attempt, error)
        self._find_rounds()
        if self._is_stopped:
            # Meanwhile, somebody cancelled those that he knew of.
            self._cancel(self.living)

    def _is_hopeless(self) -> bool:
        """Somebody wants it to end; or not one task did by all elements of the last round, and more of them would not change that.

        Those that only left may have seen too late, on a slow shared file system, what was offered.
        """
        if self._last_death is not None and self._last_death.state == "CANCELLED":
            return True
        is_in_vain = self._steps == self._steps_at_last_round
        self._rounds_in_vain = self._rounds_in_vain + 1 if is_in_vain else 0
        allowed = most_runs(self._spec) - 1 if is_worth_it(self._spec, self._last_death) else 0
        return is_in_vain and self._rounds_in_vain > (allowed if self._has_died_since else MOST_ROUNDS_IN_VAIN)

    def _offer_what_was_lost(self) -> None:
        """Tasks that were taken by an element which died before it could say so."""
        offered = {task for each in pool.ranges(self._job.pool) for task in range(each.next, each.end)}
        for start, end in _runs(sorted(self._open - offered)):
            pool.offer(self._job.pool, "round%d-%d" % (len(self._rounds), start), start, end)

    def _withdraw(self, attempt: int, refused: Exception) -> None:
        """What asks for more than the scheduler gives has died of too little."""
        while attempt:
            taken = pool.claim(self._job.pool, lambda left: left, lambda each: each.attempt >= attempt)
            if taken is None:
                return
            words = "submitting it again%s failed: %s" % (asking_for(self._spec, attempt), refused)
            tasks = range(taken.first, taken.end)
            self._end_without_result(tasks, next(reversed(list(self._elements))), self._last_death, words)

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
