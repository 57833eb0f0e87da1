"""The scheduler: what runs where and when. It knows no command line, no process and no socket."""

from __future__ import annotations

import signal as signals
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.allocation import Nodes
from simcluster.emulated.forecast import forecast
from simcluster.emulated.jobs import ENDED, Job, State
from simcluster.emulated.lifecycle import Lifecycle
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.scheduling import Pass, expected_start
from simcluster.emulated.steps import create_step
from simcluster.emulated.submission import Site, default_priority, make_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simcluster.emulated.conditions import Dependency
    from simcluster.emulated.interface import Clock, Launcher, Machine, Partition, Settings
    from simcluster.emulated.jobs import Request, Step, StepRequest

__all__ = ["Core"]


class Core:
    """A cluster's scheduler. Not for several threads: all calls come from the one that runs the event loop.

    `jobs` are all jobs so far, in order of submission; `known` those that the controller has not yet forgotten.
    `absences` are the spans in which a node took no jobs; the end of the last one is None while it lasts.
    While `is_halted`, as when its server is down, nothing is started and no time runs out; what ends is noted.
    `listeners` are called with a job whenever its state has changed, `step_listeners` when one of its steps has;
    `alarm` with the time at which `tick` is wanted.
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
        self._way = way = Lifecycle(self.nodes, self.partitions, clock, launcher, settings)
        self.jobs, self.known, self.running = way.jobs, way.known, way.running
        self.by_id, self.arrays, self.listeners = way.by_id, way.arrays, way.listeners
        self.absences: dict[str, list[tuple[float, float | None]]] = {machine.name: [] for machine in machines}
        self.step_listeners: list[Callable[[Job], None]] = []
        self.alarm: Callable[[float | None], None] | None = None
        self._pass = Pass(
            way.queue,
            self.nodes,
            self.arrays,
            self.running,
            settings.backfill_depth,
            settings.backfill_interval,
        )
        self._is_ticking = False
        self.is_halted = False

    def submit(self, request: Request) -> Job:
        """Take a job into the queue; of an array, the first element is returned. Raises RefusedError."""
        self.site.check_before_numbering(request)
        number = self.next_number()
        if len(self.known) >= self.settings.max_job_count:
            raise RefusedError(Refusal.TOO_MANY_JOBS)
        asked = default_priority(number, request.nice) if request.priority is None else request.priority
        job = make_job(request, number, self.site, self.clock.time(), asked)
        self._way.enter(job)
        self.tick()
        return job

    def next_number(self) -> int:
        """Use up a job number, as `sbatch --test-only` does."""
        return self._way.next_number()

    def expect(self, job: Job) -> tuple[float, str]:
        """When and on which node a job would start that is not submitted; now if nobody can say."""
        now = self.clock.time()
        placement = self.nodes.place(job.need) if job.need else None
        if placement is not None:
            return now, self.nodes.all[placement.nodes[0]].machine.name
        found = expected_start(job.need, self.nodes, self.running, now) if job.need else None
        return (found[0], self.nodes.all[min(found[1])].machine.name) if found else (now, "")

    def forecast(self) -> dict[Job, tuple[float, tuple[str, ...]]]:
        """When and on which nodes jobs are going to start that wait for resources; see `forecast.forecast`."""
        waiting = [job for job in self.known if job.shape is not None]
        waiting.sort(key=lambda job: (-job.priority, job.array_id or job.id, job.task_id or 0))
        return forecast(waiting, self.nodes, self.running, self.clock.time())

    def find(self, number: int, task: int | None = None) -> list[Job]:
        """The job of that number; of an array's number all elements, or the one asked for. Empty if there is none."""
        return self._way.find(number, task)

    def cancel(self, job: Job, by: str, *, reason: str | None = None) -> None:
        """End a job at once if it waits, else by TERM and, after the grace time, KILL. One that ended is left alone.

        With a reason it is by KILL at once.
        """
        if job.state in ENDED:
            return
        job.cancelled_by = by
        job.wants_requeue = False
        if job.state is State.PENDING:
            self._way.leave_array(job)
            self._way.end(job, State.CANCELLED, reason or job.reason)
        elif reason is not None:
            self._way.terminate(job, State.CANCELLED, reason, "CANCELLED", signal=signals.SIGKILL)
        else:
            self._way.terminate(job, State.CANCELLED, "None", "CANCELLED")
        self.tick()

    def signal(self, job: Job, number: int, *, everything: bool) -> None:
        """Send a signal to a running job."""
        self._way.signal(job, number, everything=everything)
        self.tick()

    def signal_steps(self, job: Job, number: int) -> None:
        """Send a signal to what a running job runs beside its script."""
        self._way.signal_steps(job, number)

    def create_step(self, job: Job, request: StepRequest) -> Step | None:
        """A step for a running job; None if others must end first. Raises StepRefusedError."""
        return create_step(job, request, self.clock.time())

    def cancel_all(self, jobs: Sequence[Job], by: str) -> None:
        """Cancel jobs as one. Elements of an array that wait together take no numbers of their own for that."""
        together: dict[int, list[Job]] = {}
        for job in jobs:
            array = self.arrays.get(job.array_id) if job.array_id is not None else None
            if array is not None and job.task_id in array.together:
                together.setdefault(array.id, []).append(job)
        for number, elements in together.items():
            array = self.arrays[number]
            are_all = len(elements) == len(array.together)
            if are_all:
                elements[0].stands_for = tuple(job.task_id for job in elements if job.task_id is not None)
            for job in elements[are_all:]:
                array.together.pop(job.task_id or 0)
                job.is_dropped = True
        for job in jobs:
            self.cancel(job, by)

    def cancel_step(self, job: Job, step: Step, by: str) -> None:
        """Kill a step."""
        if step.state is State.RUNNING and not step.cancelled_by:
            step.cancelled_by = by
            self.launcher.signal_step(job, step, signals.SIGKILL)
            self._tell_of_steps(job)

    def end_step(self, job: Job, step: Step, state: State) -> None:
        """The word of whoever ran the step that it is over."""
        step.state, step.ended = state, self.clock.time()
        self._tell_of_steps(job)

    def hold(self, job: Job, *, by_admin: bool = False, with_array: bool = False) -> None:
        """Keep a job from starting; a running one from starting again. `with_array`: all that wait with it are held."""
        self._refuse_ended(job)
        if not with_array:
            self._way.leave_array(job)
        job.is_held, job.is_held_by_admin, job.priority, job.held = True, by_admin, 0, self.clock.time()
        self._look_again(job)

    def release(self, job: Job) -> None:
        """End a hold."""
        self._refuse_ended(job)
        job.is_held = job.is_held_by_admin = False
        if job.priority == 0:
            job.priority = job.request.priority or default_priority(job.array_id or job.id, job.request.nice)
        self._look_again(job)

    def requeue(self, job: Job, *, is_held: bool = False) -> None:
        """Put a job that runs or ran back into the queue; if it `is_held`, it stays there until it is released."""
        if job.state is State.PENDING:
            raise RefusedError(Refusal.NOT_RUNNING)
        if not job.is_requeueable:
            raise RefusedError(Refusal.NOT_REQUEUEABLE)
        if is_held:
            job.is_held, job.priority = True, 0
        if job.state in ENDED:
            if job.has_ended:
                self._way.reopen(job)
        else:
            job.wants_requeue = True
            self._way.terminate(job, State.CANCELLED, "None", "CANCELLED DUE TO JOB REQUEUE")
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
            self.site.named(partition)
        if dependency is not None:
            self._way.depend(job, dependency)
        job.request = request or job.request
        job.limit = job.limit if limit is None else limit or None
        job.begin = job.begin if begin is None else begin
        job.priority = job.priority if priority is None else priority
        if job.state is State.PENDING:
            job.request = replace(
                job.request,
                partition=partition or job.request.partition,
                time_limit=job.request.time_limit if limit is None else limit,
            )
            job.choices = self.site.choices(job.request)
            job.partition, job.need, job.limit = job.choices[0].partition, job.choices[0].need, job.choices[0].limit
            job.cpus = job.need.tasks * job.need.cpus_per_task
        elif limit is not None:
            self._way.set_limit(job)
        self._look_again(job)

    def suspend(self, job: Job) -> None:
        """Stop a running job; its resources stay taken."""
        if job.state is not State.RUNNING:
            raise RefusedError(Refusal.ENDED if job.state in ENDED else Refusal.NOT_SUSPENDED)
        self.signal(job, signals.SIGSTOP, everything=True)
        job.suspended = self.clock.time()
        self._way.change(job, State.SUSPENDED)

    def resume(self, job: Job) -> None:
        """Let a suspended job go on."""
        if job.state is not State.SUSPENDED:
            raise RefusedError(Refusal.NOT_SUSPENDED)
        self._way.change(job, State.RUNNING)
        self.signal(job, signals.SIGCONT, everything=True)
        job.suspended = None

    def set_partition(self, partition: Partition) -> None:
        """Replace a partition by one of the same name, up or down or with other limits."""
        self.partitions[partition.name] = partition
        for job in list(self.known):
            if job.state is State.PENDING and any(choice.partition == partition.name for choice in job.choices):
                self._way.consider(job)
        self.tick()

    def ended(self, job: Job, exit_code: int | None, signal: int | None, *, restart: int | None = None) -> None:
        """The host's word that the batch script is over, by an exit code or a signal, and all of its processes are gone.

        `restart` is the `job.restarts` of the run that it speaks of, so that news of an earlier run are passed over.
        """
        self._way.ended(job, exit_code, signal, restart=restart)
        self.tick()

    def delivering(self, job: Job, exit_code: int | None, signal: int | None) -> None:
        """The host's word that the batch script is over and its output is on its way; `ended` follows."""
        job.exit_code, job.signal = exit_code or 0, signal or 0
        job.script_ended, job.is_delivering = self.clock.time(), True

    def forget(self, job: Job) -> None:
        """Forget a job that has ended."""
        self._way.forget(job)

    def launch_failed(self, job: Job) -> None:
        """The host's word that the job could not be started: a file can't be opened, a directory is not there."""
        self._way.launch_failed(job)
        self.tick()

    def over_memory(self, job: Job) -> None:
        """The host's word that the job takes more memory than it has."""
        if job.state in {State.RUNNING, State.SUSPENDED}:
            self._way.terminate(job, State.OUT_OF_MEMORY, "OutOfMemory", "", signal=signals.SIGKILL)
            self.tick()

    def preempt(self, job: Job) -> None:
        """End a running job for the sake of another; it comes back if it may be requeued."""
        if job.state is State.RUNNING:
            job.wants_requeue = job.is_requeueable
            self._way.terminate(job, State.PREEMPTED, "None", "CANCELLED DUE TO PREEMPTION")
            self.tick()

    def expire(self, job: Job) -> None:
        """End a running job as if its time were over."""
        self._way.expire(job)
        self.tick()

    def conceal(self, job: Job) -> None:
        """Have nobody who asks find a job that runs or ran, as one that was forgotten; it goes on."""
        if job.state is State.PENDING:
            raise RefusedError(Refusal.NOT_STARTED)
        self._way.conceal(job)

    def reveal(self, job: Job) -> None:
        """Have a concealed job found again."""
        self._way.reveal(job)

    def node_down(self, name: str, reason: str | None = None, by: str = "slurm") -> None:
        """The controller has noticed that a node does not answer: its jobs fail, or wait for another run.

        With a reason somebody says so of a node that does answer.
        """
        node = self.nodes[name]
        node.is_down, node.is_responding = True, reason is not None
        node.reason, node.reason_time, node.reason_user = reason or "Not responding", self.clock.time(), by
        self._refresh(name)
        for job in list(node.jobs):
            self._way.lose(job)
        self.tick()

    def node_up(self, name: str) -> None:
        """The node answers again and takes jobs."""
        node = self.nodes[name]
        node.is_down, node.is_responding = False, True
        node.reason = node.reason_time = node.reason_user = None
        self._refresh(name)
        self.tick()

    def drain(self, name: str, reason: str, by: str) -> None:
        """Give a node no further jobs."""
        node = self.nodes[name]
        node.is_drained, node.reason, node.reason_time, node.reason_user = True, reason, self.clock.time(), by
        self._refresh(name)
        self.tick()

    def undrain(self, name: str) -> None:
        """Give a node jobs again; also one that was set down by hand."""
        self.nodes[name].is_drained = False
        self.node_up(name)

    def tick(self) -> float | None:
        """Do all that is due, and say when to be called again: Unix seconds, None for when something happens."""
        if self._is_ticking or self.is_halted:
            return None
        self._is_ticking = True
        try:
            now = self.clock.time()
            while due := self._way.timers.pop(now):
                due()
            self._pass.run(now, self._way.start)
        finally:
            self._is_ticking = False
        following = min((at for at in (self._way.timers.next_time, self._pass.wanted) if at is not None), default=None)
        if self.alarm is not None:
            self.alarm(following)
        return following

    def _tell_of_steps(self, job: Job) -> None:
        for listener in list(self.step_listeners):
            listener(job)

    def _look_again(self, job: Job) -> None:
        if job.state is State.PENDING:
            self._way.consider(job)
        elif job.is_held:
            job.own_reason = "JobHeldAdmin" if job.is_held_by_admin else "JobHeldUser"
        self.tick()

    def _refresh(self, name: str) -> None:
        """Look again at a node whose state has changed, and note since when, or until when, it takes no jobs."""
        self.nodes.refresh(name)
        spans, now = self.absences[name], self.clock.time()
        was_absent = bool(spans) and spans[-1][1] is None
        if name in self.nodes.absent and not was_absent:
            spans.append((now, None))
        elif name not in self.nodes.absent and was_absent:
            spans[-1] = (spans[-1][0], now)

    @staticmethod
    def _refuse_ended(job: Job) -> None:
        if job.state in ENDED:
            raise RefusedError(Refusal.ENDED)
