"""A job's way: into the queue, onto its nodes, to its end, and perhaps back again."""

from __future__ import annotations

import signal as signals
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.arrays import Array
from simcluster.emulated.conditions import FAILED, UNFULFILLED
from simcluster.emulated.dependencies import Dependencies
from simcluster.emulated.interface import Notices
from simcluster.emulated.jobs import ENDED, Attempt, Job, State, Target
from simcluster.emulated.queue import Queue
from simcluster.emulated.submission import is_too_long
from simcluster.emulated.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simcluster.emulated.allocation import Nodes, Placement
    from simcluster.emulated.conditions import Dependency
    from simcluster.emulated.interface import Clock, Launcher, Partition, Settings
    from simcluster.emulated.need import Choice

__all__ = ["Lifecycle"]


class Lifecycle:
    """All jobs of a cluster, and the steps from one state of theirs to the next. `core.Core` says when to take which.

    Nothing here looks for jobs to start: whoever calls lets a pass over `queue` follow.
    """

    def __init__(
        self, nodes: Nodes, partitions: dict[str, Partition], clock: Clock, launcher: Launcher, settings: Settings
    ) -> None:
        self.jobs: list[Job] = []
        self.known: dict[Job, None] = {}
        self.running: dict[Job, None] = {}
        self.by_id: dict[int, Job] = {}
        self.arrays: dict[int, Array] = {}
        self.listeners: list[Callable[[Job], None]] = []
        self.queue = Queue()
        self.timers = Timers()
        self._nodes = nodes
        self._partitions = partitions
        self._clock = clock
        self._launcher = launcher
        self._settings = settings
        self._dependencies = Dependencies(self.by_id, self.arrays)
        self._concealed: dict[Job, Array] = {}
        self._last_number = settings.first_number - 1

    def next_number(self) -> int:
        """Use up a job number."""
        self._last_number += 1
        return self._last_number

    def enter(self, job: Job) -> None:
        """Take in a new job, with all elements if it is an array's first."""
        elements = [job] if job.request.array is None else self._elements(job, job.request.array)
        for element in elements:
            self.jobs.append(element)
            self.known[element] = None
            self._dependencies.is_known(element)
            self._dependencies.add(element)
        self.by_id[job.id] = job
        for element in elements:
            self.consider(element)

    def depend(self, job: Job, dependency: Dependency) -> None:
        """Have a job wait for other things than so far."""
        self._dependencies.drop(job)
        job.dependency = dependency if dependency.conditions else None
        self._dependencies.add(job)

    def find(self, number: int, task: int | None = None) -> list[Job]:
        """The job of that number; of an array's number all elements, or the one asked for. Empty if there is none."""
        array = self.arrays.get(number)
        if array is not None:
            if task is None:
                return list(array.elements.values())
            return [array.elements[task]] if task in array.elements else []
        job = self.by_id.get(number)
        return [job] if job is not None and task in {None, job.task_id} else []

    def _elements(self, job: Job, tasks: Sequence[int]) -> list[Job]:
        step = tasks[1] - tasks[0] if len(tasks) > 1 else 1
        array = Array(job.id, job.request.array_limit, len(tasks), tasks[0], tasks[-1], step)
        job.array_id, job.task_id = job.id, tasks[0]
        elements = [job, *(replace(job, task_id=task) for task in tasks[1:])]
        array.elements = dict(zip(tasks, elements, strict=True))
        array.together = dict(array.elements)
        self.arrays[job.id] = array
        return elements

    def _array(self, job: Job) -> Array | None:
        return None if job.array_id is None else self.arrays.get(job.array_id)

    def leave_array(self, job: Job) -> None:
        """Give an element that waits with its array a number of its own; the last one keeps the array's."""
        array = self._array(job)
        if array is None or job.task_id is None or array.together.pop(job.task_id, None) is None:
            return
        if array.together and self._settings.has_numbered_elements:
            job.id = self.next_number()
        self.by_id[job.id] = job

    def consider(self, job: Job) -> None:
        """Put a waiting job into the queue, or write down why it is not there."""
        now = self._clock.time()
        if job.reason != "None":
            job.waited_for = job.reason
        self.queue.remove(job)
        verdict = self._dependencies.judge(job, now)
        if job.is_held:
            job.own_reason = "JobHeldAdmin" if job.is_held_by_admin else "JobHeldUser"
        elif verdict == FAILED:
            job.own_reason = "DependencyNeverSatisfied"
            if job.request.is_killed_by_invalid_dependency:
                self.leave_array(job)
                self.end(job, State.CANCELLED, job.own_reason)
        elif verdict == UNFULFILLED:
            job.own_reason = "Dependency"
            self._wait_for_delay(job, now)
        elif job.begin is not None and job.begin > now:
            job.own_reason = "BeginTime"
            job.eligible = job.begin
            self.timers.add(job.begin, lambda: self._consider_waiting(job))
        else:
            job.eligible = job.eligible if job.eligible is not None and job.eligible <= now else now
            obstacles = [self._obstacle(choice) for choice in job.choices]
            job.own_reason = "None" if None in obstacles else obstacles[0] or "None"
            open_ones = [choice for choice, obstacle in zip(job.choices, obstacles, strict=True) if obstacle is None]
            if open_ones:
                self.queue.push(job, open_ones, job.array_id if job.request.array_limit else None)

    def _obstacle(self, choice: Choice) -> str | None:
        """Why nothing starts there, whatever is free."""
        partition = self._partitions[choice.partition]
        if not partition.is_up:
            return "PartitionDown"
        return "PartitionTimeLimit" if is_too_long(choice.limit, partition) else None

    def _wait_for_delay(self, job: Job, now: float) -> None:
        """`after:ID+MINUTES` is met by time alone."""
        for condition in job.dependency.conditions if job.dependency else ():
            if condition.kind == "after" and condition.delay:
                for target in self.find(condition.job_id, condition.task_id):
                    if target.started is not None and target.started + condition.delay > now:
                        self.timers.add(target.started + condition.delay, lambda: self._consider_waiting(job))

    def _consider_waiting(self, job: Job) -> None:
        if job.state is State.PENDING and job.shape is None:
            self.consider(job)

    def start(self, job: Job, choice: Choice, placement: Placement) -> None:
        """Give a job its nodes and have it launched."""
        if job.waited_for == "None":
            job.waited_for = job.reason
        job.own_reason = "None"
        self.queue.remove(job)
        self.leave_array(job)
        job.partition, job.need, job.limit = choice.partition, choice.need, choice.limit
        self._nodes.take(job, placement, choice.need)
        job.cpus, job.memory_mb = sum(job.cpus_by_node), sum(job.memory_by_node)
        job.started = self._clock.time()
        self.running[job] = None
        array = self._array(job)
        if array is not None:
            array.running += 1
            array.started += not job.attempts
        self.set_limit(job)
        self.change(job, State.RUNNING)
        if job.virtual_seconds is None:
            if not job.request.is_interactive:
                self._launcher.launch(job)
        else:
            run = job.restarts
            self.timers.add(job.started + job.virtual_seconds, lambda: self.ended(job, 0, None, restart=run))
        self._tell_dependents(job)

    def set_limit(self, job: Job) -> None:
        """End a running job when its time is over, and warn it before; an earlier limit no longer counts."""
        if job.limit is None or job.started is None:
            return
        if job.virtual_seconds is not None and job.virtual_seconds < job.limit:
            return
        run, limit = job.restarts, job.limit
        self.timers.add(job.started + limit, lambda: self._over_time(job, run, limit))
        if job.request.warning is not None:
            number, before, target = job.request.warning
            self.timers.add(job.started + limit - before, lambda: self._warn(job, run, number, target))

    def _warn(self, job: Job, run: int, number: int, target: Target) -> None:
        if job.restarts != run:
            return
        if target is Target.STEPS:
            self.signal_steps(job, number)
        else:
            self.signal(job, number, everything=target is Target.EVERYTHING)

    def _over_time(self, job: Job, run: int, limit: int) -> None:
        if job.restarts == run and job.limit == limit:
            self.expire(job)

    def signal(self, job: Job, number: int, *, everything: bool) -> None:
        """Send a signal to a running job."""
        if job.state is not State.RUNNING:
            return
        if job.virtual_seconds is None:
            self._launcher.signal(job, number, everything)
        elif number in {signals.SIGTERM, signals.SIGKILL}:
            self.ended(job, None, number)

    def signal_steps(self, job: Job, number: int) -> None:
        """Send a signal to what a running job runs beside its script."""
        for step in job.steps:
            if step.state is State.RUNNING:
                self._launcher.signal_step(job, step, number)

    def expire(self, job: Job) -> None:
        """End a running job as if its time were over."""
        if job.state in {State.RUNNING, State.SUSPENDED} and not job.is_delivering:
            self.terminate(job, State.TIMEOUT, "TimeLimit", "CANCELLED", why=" DUE TO TIME LIMIT")

    def terminate(
        self, job: Job, state: State, reason: str, notice: str, *, why: str = "", signal: int | None = None
    ) -> None:
        """Begin to end a running job. Its processes get the signal now, and KILL when the grace time is over."""
        number = self._settings.end_signal if signal is None else signal
        job.ended = self._clock.time()
        job.is_completing = True
        job.own_reason = reason
        was_suspended, job.suspended = job.suspended is not None, None
        self.change(job, state)
        if job.virtual_seconds is not None:
            job.signal = number
            self._complete(job)
            return
        text = "" if job.request.is_interactive else job.request.dialect.notice(job, notice, why)
        if text and isinstance(self._launcher, Notices):
            self._launcher.notice(job, text)
        run = job.restarts
        self._launcher.signal(job, number, True)
        if was_suspended or number == signals.SIGTERM:
            self._launcher.signal(job, signals.SIGCONT, True)
        if number != signals.SIGKILL:
            self.timers.add(job.ended + self._settings.kill_wait, lambda: self._kill(job, run))

    def _kill(self, job: Job, run: int) -> None:
        if job.is_completing and job.restarts == run:
            self._launcher.signal(job, signals.SIGKILL, True)

    def _complete(self, job: Job) -> None:
        """The processes of a job that was being ended are gone."""
        job.is_completing = False
        self._free(job)
        if job.wants_requeue:
            self._back_to_queue(job, State.CANCELLED if job.state is not State.PREEMPTED else job.state, job.ended or 0)
            return
        if job.state is State.OUT_OF_MEMORY:
            job.exit_code, job.signal = 0, 125
        self._close(job)

    def ended(self, job: Job, exit_code: int | None, signal: int | None, *, restart: int | None = None) -> None:
        """See `core.Core.ended`."""
        is_stale = restart is not None and restart != job.restarts
        if is_stale or job.has_ended or job.state is State.PENDING:
            return
        job.exit_code, job.signal, job.is_delivering = exit_code or 0, signal or 0, False
        if job.is_completing:
            self._complete(job)
        elif job.signal:
            self.end(job, State.FAILED, "JobLaunchFailure")
        elif job.exit_code in (*self._settings.requeue_exits, *self._settings.hold_exits):
            self._try_again(job, is_held=job.exit_code in self._settings.hold_exits)
        elif job.exit_code:
            self.end(job, State.FAILED, "NonZeroExitCode")
        else:
            self.end(job, State.COMPLETED, "None")

    def launch_failed(self, job: Job) -> None:
        """See `core.Core.launch_failed`."""
        if job.is_completing:  # cancelled meanwhile, and the directory of its output removed, say
            self._complete(job)
        elif job.state is State.RUNNING:
            job.exit_code, job.signal = 0, 53
            if self._settings.holds_unlaunchable:
                self._try_again(job, is_held=True)
            else:
                self.end(job, State.FAILED, "JobLaunchFailure")

    def _try_again(self, job: Job, *, is_held: bool) -> None:
        self._free(job)
        job.is_held = is_held
        self._back_to_queue(job, State.FAILED, self._clock.time())

    def end(self, job: Job, state: State, reason: str) -> None:
        """A job that has no processes any more, or never had any, is over."""
        self.queue.remove(job)
        self._free(job)
        job.ended = self._clock.time()
        job.own_reason = reason
        self.change(job, state)
        self._close(job)

    def _close(self, job: Job) -> None:
        array = self._array(job)
        if array is not None:
            array.ended += 1
            array.failed += job.state is not State.COMPLETED
            array.started += job.started is None
        for listener in self.listeners:
            listener(job)
        self._dependencies.drop(job)
        self._tell_dependents(job)
        closed = job.ended
        self.timers.add((closed or 0) + self._settings.min_job_age, lambda: self._forget(job, closed))

    def reopen(self, job: Job) -> None:
        """Put a job that is over back into the queue."""
        array = self._array(job)
        if array is not None:
            array.ended -= 1
            array.failed -= job.state is not State.COMPLETED
        self._back_to_queue(job, job.state, job.ended or self._clock.time())

    def _free(self, job: Job) -> None:
        if self.running.pop(job, 0) is None:
            self._nodes.give_back(job)
            array = self._array(job)
            if array is not None:
                array.running -= 1

    def _back_to_queue(self, job: Job, state: State, ended: float) -> None:
        job.attempts += (Attempt(state, job.nodes, job.cpus_by_node, job.started, ended, job.exit_code, job.signal),)
        job.restarts += 1
        job.wants_requeue = job.is_completing = job.is_delivering = False
        job.process = job.script_ended = job.is_delivered = None
        job.started = job.ended = None
        job.nodes = job.cpus_by_node = job.memory_by_node = job.gpus_by_node = job.steps = ()
        job.exit_code = job.signal = 0
        job.cancelled_by = None
        job.begin = self._clock.time() + self._settings.requeue_delay
        self.change(job, State.PENDING)
        self.consider(job)

    def lose(self, job: Job) -> None:
        """A node of the job is gone: the job fails, or waits for another run."""
        if job.virtual_seconds is None:
            self._launcher.signal(job, signals.SIGKILL, True)
        if job.is_completing:
            self._complete(job)
        elif job.is_requeueable:
            self._free(job)
            self._back_to_queue(job, State.NODE_FAIL, self._clock.time())
        else:
            self.end(job, State.NODE_FAIL, "NodeDown")

    def forget(self, job: Job) -> None:
        """Forget an ended job before its time."""
        self._forget(job, job.ended)

    def _forget(self, job: Job, closed: float | None) -> None:
        """The controller forgets an ended job; accounting does not, though it keeps neither script nor environment."""
        if not job.has_ended or job.ended != closed:
            return
        self.conceal(job)
        self._concealed.pop(job, None)
        if job.array_id is None:
            job.request = replace(job.request, script=b"", environment={})

    def conceal(self, job: Job) -> None:
        """Have nobody who asks find the job."""
        self.known.pop(job, None)
        if self.by_id.get(job.id) is job:
            del self.by_id[job.id]
        array = self._array(job)
        if array is not None and job.task_id is not None:
            self._concealed[job] = array
            array.elements.pop(job.task_id, None)
            if not array.elements:
                del self.arrays[array.id]

    def reveal(self, job: Job) -> None:
        """Have a concealed job found again."""
        array = self._concealed.pop(job, None)
        if array is not None and job.task_id is not None:
            array.elements[job.task_id] = job
            self.arrays[array.id] = array
        self.by_id.setdefault(job.id, job)
        known = sorted([*self.known, job], key=lambda one: one.submitted)
        self.known.clear()
        self.known.update(dict.fromkeys(known))

    def _tell_dependents(self, job: Job) -> None:
        for other in self._dependencies.concerned(job):
            if other.state is State.PENDING and other.shape is None:
                self.consider(other)

    def change(self, job: Job, state: State) -> None:
        """Put a job into another state, and tell of it; of an end that is final, `_close` tells."""
        job.state = state
        if state not in ENDED or job.is_completing:
            for listener in self.listeners:
                listener(job)
