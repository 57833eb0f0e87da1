"""The scheduler: what runs where and when. It knows no command line, no process and no socket."""

from __future__ import annotations

import signal as signals
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.allocation import Nodes
from simcluster.emulated.arrays import Array
from simcluster.emulated.conditions import FAILED, UNFULFILLED
from simcluster.emulated.dependencies import Dependencies
from simcluster.emulated.interface import Notices
from simcluster.emulated.jobs import ENDED, Attempt, Job, State
from simcluster.emulated.queue import Queue
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.scheduling import Pass, expected_start
from simcluster.emulated.submission import Site, default_priority, is_too_long, make_job
from simcluster.emulated.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simcluster.emulated.allocation import Placement
    from simcluster.emulated.conditions import Dependency
    from simcluster.emulated.interface import Clock, Launcher, Machine, Partition, Settings
    from simcluster.emulated.jobs import Request

__all__ = ["Core"]


class Core:
    """A cluster's scheduler. Not for several threads: all calls come from the one that runs the event loop.

    `jobs` are all jobs so far, in order of submission; `known` those that the controller has not yet forgotten.
    `listeners` are called with a job whenever its state has changed; `alarm` with the time at which `tick` is wanted.
    """

    def __init__(
        self,
        machines: Sequence[Machine],
        partitions: Sequence[Partition],
        *,
        cluster_name: str,
        clock: Clock,
        launcher: Launcher,
        accounting: bool,
        settings: Settings,
    ) -> None:
        self.cluster_name = cluster_name
        self.clock = clock
        self.launcher = launcher
        self.accounting = accounting
        self.settings = settings
        self.booted = clock.time()
        self.partitions = {partition.name: partition for partition in partitions}
        self.nodes = Nodes(machines)
        self.site = Site(self.partitions, self.nodes, settings)
        self.jobs: list[Job] = []
        self.known: dict[Job, None] = {}
        self.running: dict[Job, None] = {}
        self.by_id: dict[int, Job] = {}
        self.arrays: dict[int, Array] = {}
        self.listeners: list[Callable[[Job], None]] = []
        self.alarm: Callable[[float | None], None] | None = None
        self._queue = Queue()
        self._timers = Timers()
        self._dependencies = Dependencies(self.by_id, self.arrays)
        self._pass = Pass(
            self._queue,
            self.nodes,
            self.arrays,
            self.running,
            settings.backfill_depth,
            settings.backfill_interval,
        )
        self._last_number = 0
        self._is_ticking = False

    def submit(self, request: Request) -> Job:
        """Take a job into the queue; of an array, the first element is returned. Raises RefusedError."""
        self.site.check_before_numbering(request)
        number = self.next_number()
        if len(self.known) >= self.settings.max_job_count:
            raise RefusedError(Refusal.TOO_MANY_JOBS)
        asked = default_priority(number, request.nice) if request.priority is None else request.priority
        job = make_job(request, number, self.site, self.clock.time(), asked)
        elements = [job] if request.array is None else self._elements(job, request.array)
        for element in elements:
            self.jobs.append(element)
            self.known[element] = None
            self._dependencies.is_known(element)
            self._dependencies.add(element)
        self.by_id[number] = job
        for element in elements:
            self._consider(element)
        self.tick()
        return job

    def next_number(self) -> int:
        """Use up a job number, as `sbatch --test-only` does."""
        self._last_number += 1
        return self._last_number

    def expect(self, job: Job) -> tuple[float, str]:
        """When and on which node a job would start that is not submitted; now if nobody can say."""
        now = self.clock.time()
        placement = self.nodes.place(job.need) if job.need else None
        if placement is not None:
            return now, self.nodes.all[placement.nodes[0]].machine.name
        found = expected_start(job.need, self.nodes, self.running, now) if job.need else None
        return (found[0], self.nodes.all[min(found[1])].machine.name) if found else (now, "")

    def find(self, number: int, task: int | None = None) -> list[Job]:
        """The job of that number; of an array's number all elements, or the one asked for. Empty if there is none."""
        array = self.arrays.get(number)
        if array is not None:
            if task is None:
                return list(array.elements.values())
            return [array.elements[task]] if task in array.elements else []
        job = self.by_id.get(number)
        return [job] if job is not None and task in {None, job.task_id} else []

    def cancel(self, job: Job, by: str) -> None:
        """End a job at once if it waits, else by TERM and, after the grace time, KILL. One that ended is left alone."""
        if job.state in ENDED:
            return
        job.cancelled_by = by
        job.wants_requeue = False
        if job.state is State.PENDING:
            self._leave_array(job)
            self._end(job, State.CANCELLED, job.reason)
        else:
            self._terminate(job, State.CANCELLED, "None", "CANCELLED")
        self.tick()

    def signal(self, job: Job, number: int, *, everything: bool) -> None:
        """Send a signal to a running job."""
        if job.state is not State.RUNNING:
            return
        if job.virtual_seconds is None:
            self.launcher.signal(job, number, everything)
        elif number in {signals.SIGTERM, signals.SIGKILL}:
            self.ended(job, None, number)

    def hold(self, job: Job, *, by_admin: bool = False) -> None:
        """Keep a job from starting; a running one from starting again."""
        self._refuse_ended(job)
        self._leave_array(job)
        job.is_held, job.is_held_by_admin, job.priority = True, by_admin, 0
        self._look_again(job)

    def release(self, job: Job) -> None:
        """End a hold."""
        self._refuse_ended(job)
        job.is_held = job.is_held_by_admin = False
        if job.priority == 0:
            job.priority = job.request.priority or default_priority(job.array_id or job.id, job.request.nice)
        self._look_again(job)

    def requeue(self, job: Job) -> None:
        """Put a job that runs or ran back into the queue."""
        if job.state is State.PENDING:
            raise RefusedError(Refusal.NOT_PENDING)
        if not job.is_requeueable:
            raise RefusedError(Refusal.NOT_REQUEUEABLE)
        if job.state in ENDED:
            if job.has_ended:
                self._uncount(job)
                self._back_to_queue(job, job.state, job.ended or self.clock.time())
        else:
            job.wants_requeue = True
            self._terminate(job, State.CANCELLED, "None", "CANCELLED DUE TO JOB REQUEUE")
        self.tick()

    def update(
        self,
        job: Job,
        *,
        request: Request | None = None,
        limit: int | None = None,
        partition: str | None = None,
        priority: int | None = None,
        begin: float | None = None,
        dependency: Dependency | None = None,
    ) -> None:
        """Change what a job asks for; None leaves a thing as it is. What is not `limit` or `request.name`: while it waits.

        `limit` is in seconds, 0 for none.
        """
        self._refuse_ended(job)
        if partition is not None:
            self.site.partition(partition)
        if dependency is not None:
            self._dependencies.drop(job)
            job.dependency = dependency if dependency.conditions else None
            self._dependencies.add(job)
        job.request = request or job.request
        job.partition = partition or job.partition
        job.limit = job.limit if limit is None else limit or None
        job.begin = job.begin if begin is None else begin
        job.priority = job.priority if priority is None else priority
        if job.state is State.PENDING:
            job.need = self.site.need(job.request, self.partitions[job.partition])
            job.cpus = job.need.tasks * job.need.cpus_per_task
        elif limit is not None:
            self._set_limit(job)
        self._look_again(job)

    def suspend(self, job: Job) -> None:
        """Stop a running job; its resources stay taken."""
        if job.state is not State.RUNNING:
            raise RefusedError(Refusal.ENDED if job.state in ENDED else Refusal.NOT_SUSPENDED)
        self.signal(job, signals.SIGSTOP, everything=True)
        job.suspended = self.clock.time()
        self._change(job, State.SUSPENDED)

    def resume(self, job: Job) -> None:
        """Let a suspended job go on."""
        if job.state is not State.SUSPENDED:
            raise RefusedError(Refusal.NOT_SUSPENDED)
        self._change(job, State.RUNNING)
        self.signal(job, signals.SIGCONT, everything=True)
        job.suspended = None

    def set_partition(self, partition: Partition) -> None:
        """Replace a partition by one of the same name, up or down or with other limits."""
        self.partitions[partition.name] = partition
        for job in list(self.known):
            if job.state is State.PENDING and job.partition == partition.name:
                self._consider(job)
        self.tick()

    def ended(self, job: Job, exit_code: int | None, signal: int | None, *, restart: int | None = None) -> None:
        """The host's word that the batch script is over, by an exit code or a signal, and all of its processes are gone.

        `restart` is the `job.restarts` of the run that it speaks of, so that news of an earlier run are passed over.
        """
        is_stale = restart is not None and restart != job.restarts
        if is_stale or job.has_ended or job.state is State.PENDING:
            return
        job.exit_code, job.signal = exit_code or 0, signal or 0
        if job.is_completing:
            self._complete(job)
        elif job.signal:
            self._end(job, State.FAILED, "JobLaunchFailure")
        elif job.exit_code:
            self._end(job, State.FAILED, "NonZeroExitCode")
        else:
            self._end(job, State.COMPLETED, "None")
        self.tick()

    def launch_failed(self, job: Job) -> None:
        """The host's word that the job could not be started: a file can't be opened, a directory is not there."""
        if job.state is State.RUNNING:
            job.exit_code, job.signal = 0, 53
            self._end(job, State.FAILED, "JobLaunchFailure")
            self.tick()

    def over_memory(self, job: Job) -> None:
        """The host's word that the job takes more memory than it has."""
        if job.state in {State.RUNNING, State.SUSPENDED}:
            self._terminate(job, State.OUT_OF_MEMORY, "OutOfMemory", "", number=signals.SIGKILL)
            self.tick()

    def preempt(self, job: Job) -> None:
        """End a running job for the sake of another; it comes back if it may be requeued."""
        if job.state is State.RUNNING:
            job.wants_requeue = job.is_requeueable
            self._terminate(job, State.PREEMPTED, "None", "CANCELLED DUE TO PREEMPTION")
            self.tick()

    def expire(self, job: Job) -> None:
        """End a running job as if its time were over."""
        if job.state in {State.RUNNING, State.SUSPENDED}:
            self._terminate(job, State.TIMEOUT, "TimeLimit", "CANCELLED", why=" DUE TO TIME LIMIT")
            self.tick()

    def node_down(self, name: str) -> None:
        """The controller has noticed that a node does not answer: its jobs fail, or wait for another run."""
        node = self.nodes[name]
        node.is_down, node.is_responding = True, False
        node.reason, node.reason_time, node.reason_user = "Not responding", self.clock.time(), "slurm"
        self.nodes.refresh(name)
        for job in list(node.jobs):
            self._lose(job)
        self.tick()

    def node_up(self, name: str) -> None:
        """The node answers again and takes jobs."""
        node = self.nodes[name]
        node.is_down, node.is_responding = False, True
        node.reason = node.reason_time = node.reason_user = None
        self.nodes.refresh(name)
        self.tick()

    def drain(self, name: str, reason: str, by: str) -> None:
        """Give a node no further jobs."""
        node = self.nodes[name]
        node.is_drained, node.reason, node.reason_time, node.reason_user = True, reason, self.clock.time(), by
        self.nodes.refresh(name)
        self.tick()

    def undrain(self, name: str) -> None:
        """Give a node jobs again; also one that was set down by hand."""
        self.nodes[name].is_drained = False
        self.node_up(name)

    def tick(self) -> float | None:
        """Do all that is due, and say when to be called again: Unix seconds, None for when something happens."""
        if self._is_ticking:
            return None
        self._is_ticking = True
        try:
            now = self.clock.time()
            while due := self._timers.pop(now):
                due()
            self._pass.run(now, self._start)
        finally:
            self._is_ticking = False
        following = min((at for at in (self._timers.next_time, self._pass.wanted) if at is not None), default=None)
        if self.alarm is not None:
            self.alarm(following)
        return following

    # --- a job's way

    def _elements(self, job: Job, tasks: Sequence[int]) -> list[Job]:
        step = tasks[1] - tasks[0] if len(tasks) > 1 else 1
        array = Array(job.id, job.request.array_limit, len(tasks), tasks[0], tasks[-1], step)
        job.array_id, job.task_id = job.id, tasks[0]
        elements = [job, *(replace(job, task_id=task) for task in tasks[1:])]
        array.elements = dict(zip(tasks, elements, strict=True))
        array.together = dict(array.elements)
        self.arrays[job.id] = array
        return elements

    def _leave_array(self, job: Job) -> None:
        """Give an element that waits with its array a number of its own; the last one keeps the array's."""
        array = self.arrays.get(job.array_id) if job.array_id is not None else None
        if array is None or job.task_id is None or array.together.pop(job.task_id, None) is None:
            return
        if array.together:
            job.id = self.next_number()
        self.by_id[job.id] = job

    def _consider(self, job: Job) -> None:
        """Put a waiting job into the queue, or write down why it is not there."""
        now = self.clock.time()
        self._queue.remove(job)
        partition = self.partitions[job.partition]
        verdict = self._dependencies.judge(job, now)
        if job.is_held:
            job.own_reason = "JobHeldAdmin" if job.is_held_by_admin else "JobHeldUser"
        elif verdict == FAILED:
            job.own_reason = "DependencyNeverSatisfied"
            if job.request.is_killed_by_invalid_dependency:
                self._leave_array(job)
                self._end(job, State.CANCELLED, job.own_reason)
        elif verdict == UNFULFILLED:
            job.own_reason = "Dependency"
            self._wait_for_delay(job, now)
        elif job.begin is not None and job.begin > now:
            job.own_reason = "BeginTime"
            job.eligible = job.begin
            self._timers.add(job.begin, lambda: self._consider_waiting(job))
        else:
            job.eligible = job.eligible if job.eligible is not None and job.eligible <= now else now
            if not partition.is_up:
                job.own_reason = "PartitionDown"
            elif is_too_long(job.limit, partition):
                job.own_reason = "PartitionTimeLimit"
            elif job.need is not None:
                job.own_reason = "None"
                self._queue.push(job, job.need, job.array_id if job.request.array_limit else None)

    def _wait_for_delay(self, job: Job, now: float) -> None:
        """`after:ID+MINUTES` is met by time alone."""
        for condition in job.dependency.conditions if job.dependency else ():
            if condition.kind == "after" and condition.delay:
                for target in self.find(condition.job_id, condition.task_id):
                    if target.started is not None and target.started + condition.delay > now:
                        self._timers.add(target.started + condition.delay, lambda: self._consider_waiting(job))

    def _consider_waiting(self, job: Job) -> None:
        if job.state is State.PENDING and job.shape is None:
            self._consider(job)

    def _look_again(self, job: Job) -> None:
        if job.state is State.PENDING:
            self._consider(job)
        elif job.is_held:
            job.own_reason = "JobHeldAdmin" if job.is_held_by_admin else "JobHeldUser"
        self.tick()

    def _start(self, job: Job, placement: Placement) -> None:
        self._queue.remove(job)
        self._leave_array(job)
        if job.need is not None:
            self.nodes.take(job, placement, job.need)
        job.cpus, job.memory_mb = sum(job.cpus_by_node), sum(job.memory_by_node)
        job.started = self.clock.time()
        self.running[job] = None
        array = self.arrays.get(job.array_id) if job.array_id is not None else None
        if array is not None:
            array.running += 1
            array.started += not job.attempts
        self._set_limit(job)
        self._change(job, State.RUNNING)
        if job.virtual_seconds is None:
            self.launcher.launch(job)
        else:
            run = job.restarts
            self._timers.add(job.started + job.virtual_seconds, lambda: self.ended(job, 0, None, restart=run))
        self._tell_dependents(job)

    def _set_limit(self, job: Job) -> None:
        if job.limit is None or job.started is None:
            return
        if job.virtual_seconds is not None and job.virtual_seconds < job.limit:
            return
        run, limit = job.restarts, job.limit
        self._timers.add(job.started + limit, lambda: self._over_time(job, run, limit))
        if job.request.warning is not None:
            number, before, script_only = job.request.warning
            self._timers.add(
                job.started + limit - before,
                lambda: self.signal(job, number, everything=not script_only) if job.restarts == run else None,
            )

    def _over_time(self, job: Job, run: int, limit: int) -> None:
        if job.restarts == run and job.limit == limit:
            self.expire(job)

    def _terminate(
        self, job: Job, state: State, reason: str, notice: str, *, why: str = "", number: int = signals.SIGTERM
    ) -> None:
        """Begin to end a running job. Its processes get the signal now, and KILL when the grace time is over."""
        job.ended = self.clock.time()
        job.is_completing = True
        job.own_reason = reason
        was_suspended, job.suspended = job.suspended is not None, None
        self._change(job, state)
        if job.virtual_seconds is not None:
            job.signal = number
            self._complete(job)
            return
        if notice and isinstance(self.launcher, Notices):
            self.launcher.notice(job, job.request.dialect.notice(job, notice, why))
        run = job.restarts
        self.launcher.signal(job, number, True)
        if was_suspended or number == signals.SIGTERM:
            self.launcher.signal(job, signals.SIGCONT, True)
        if number != signals.SIGKILL:
            self._timers.add(job.ended + self.settings.kill_wait, lambda: self._kill(job, run))

    def _kill(self, job: Job, run: int) -> None:
        if job.is_completing and job.restarts == run:
            self.launcher.signal(job, signals.SIGKILL, True)

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

    def _end(self, job: Job, state: State, reason: str) -> None:
        """A job that has no processes any more, or never had any, is over."""
        self._queue.remove(job)
        self._free(job)
        job.ended = self.clock.time()
        job.own_reason = reason
        self._change(job, state)
        self._close(job)

    def _close(self, job: Job) -> None:
        array = self.arrays.get(job.array_id) if job.array_id is not None else None
        if array is not None:
            array.ended += 1
            array.failed += job.state is not State.COMPLETED
            array.started += job.started is None
        for listener in self.listeners:
            listener(job)
        self._dependencies.drop(job)
        self._tell_dependents(job)
        closed = job.ended
        self._timers.add((closed or 0) + self.settings.min_job_age, lambda: self._forget(job, closed))

    def _uncount(self, job: Job) -> None:
        array = self.arrays.get(job.array_id) if job.array_id is not None else None
        if array is not None:
            array.ended -= 1
            array.failed -= job.state is not State.COMPLETED

    def _free(self, job: Job) -> None:
        if self.running.pop(job, 0) is None:
            self.nodes.give_back(job)
            array = self.arrays.get(job.array_id) if job.array_id is not None else None
            if array is not None:
                array.running -= 1

    def _back_to_queue(self, job: Job, state: State, ended: float) -> None:
        job.attempts += (Attempt(state, job.nodes, job.started, ended, job.exit_code, job.signal),)
        job.restarts += 1
        job.wants_requeue = job.is_completing = False
        job.started = job.ended = None
        job.nodes = job.cpus_by_node = job.memory_by_node = ()
        job.exit_code = job.signal = 0
        job.cancelled_by = None
        job.begin = self.clock.time() + self.settings.requeue_delay
        self._change(job, State.PENDING)
        self._consider(job)

    def _lose(self, job: Job) -> None:
        """A node of the job is gone."""
        if job.virtual_seconds is None:
            self.launcher.signal(job, signals.SIGKILL, True)
        if job.is_completing:
            self._complete(job)
        elif job.is_requeueable:
            self._free(job)
            self._back_to_queue(job, State.NODE_FAIL, self.clock.time())
        else:
            self._end(job, State.NODE_FAIL, "NodeDown")

    def _forget(self, job: Job, closed: float | None) -> None:
        """The controller forgets an ended job; accounting does not, though it keeps neither script nor environment."""
        if not job.has_ended or job.ended != closed:
            return
        del self.known[job]
        if self.by_id.get(job.id) is job:
            del self.by_id[job.id]
        array = self.arrays.get(job.array_id) if job.array_id is not None else None
        if array is not None and job.task_id is not None:
            del array.elements[job.task_id]
            if not array.elements:
                del self.arrays[array.id]
        if job.array_id is None:
            job.request = replace(job.request, script=b"", environment={})

    def _tell_dependents(self, job: Job) -> None:
        for other in self._dependencies.concerned(job):
            if other.state is State.PENDING and other.shape is None:
                self._consider(other)

    def _change(self, job: Job, state: State) -> None:
        job.state = state
        if state not in ENDED or job.is_completing:
            for listener in self.listeners:
                listener(job)

    @staticmethod
    def _refuse_ended(job: Job) -> None:
        if job.state in ENDED:
            raise RefusedError(Refusal.ENDED)
