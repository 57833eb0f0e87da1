"""A step from its first task to its last: what srun does and says while it waits."""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import signal as signals
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simcluster.emulated.arrays import in_ranges
from simcluster.emulated.interface import Stream, Task, TaskEnd
from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.step_variables import step_environment, task_variables
from simcluster.emulated.slurm.surroundings import fill_pattern
from simcluster.emulated.slurm.times import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Caller
    from simcluster.emulated.jobs import Job, Step

__all__ = ["Command", "Watch", "run_step"]

_TOGETHER = 0.05
"""Seconds in which tasks that end alike are told of in one line."""

_ABORTING = frozenset({signals.SIGTERM, signals.SIGHUP, signals.SIGQUIT})
_NO_TASK = 4294967294


@dataclass(frozen=True)
class Command:
    """What srun is to run, and how. `files` are what `-i`, `-o` and `-e` said, empty where they were not given.

    `limit` is in seconds, and 0 where the job's alone counts.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    umask: int
    host: str
    user: str
    files: tuple[str, str, str]
    appends: bool = False
    has_labels: bool = False
    is_killed_by_bad_exit: bool = False
    seconds_after_first: int = 0
    is_interrupted_at_once: bool = False
    limit: int = 0


class Watch:
    """Everything that a waiting srun may hear of, in order: signals, None when srun is gone, jobs, ends of tasks, steps whose time is over."""

    def __init__(self, core: Core, caller: Caller) -> None:
        self.core, self.caller = core, caller
        self.events: asyncio.Queue[int | Job | TaskEnd | Step | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._listen(caller))
        core.listeners.append(self.events.put_nowait)
        core.step_listeners.append(self.events.put_nowait)

    def close(self) -> None:
        """Hear of nothing more."""
        self._task.cancel()
        self.core.listeners.remove(self.events.put_nowait)
        self.core.step_listeners.remove(self.events.put_nowait)

    async def _listen(self, caller: Caller) -> None:
        number: int | None = 0
        while number is not None:
            number = await caller.heard()
            self.events.put_nowait(number)


async def run_step(watch: Watch, job: Job, step: Step, command: Command) -> int:
    """Run the step to its end; srun's exit code. The step's state, code and signal are set then."""
    return await _StepRun(watch, job, step, command).run()


class _StepRun:
    def __init__(self, watch: Watch, job: Job, step: Step, command: Command) -> None:
        self._core, self._caller, self._watch = watch.core, watch.caller, watch
        self._job, self._step, self._command = job, step, command
        self._run = job.restarts
        self._layout = step.layout()
        self._environment = step_environment(watch.core, job, step, command.environment, command.host)
        self._left = dict.fromkeys(range(step.tasks))
        self._untold: list[TaskEnd] = []
        self._ends: list[TaskEnd] = []
        self._is_aborted = self._is_expired = False
        self._interrupted = 0.0
        self._first_end: float | None = None

    async def run(self) -> int:
        step, core = self._step, self._core
        try:
            await self._start()
        except OSError as error:
            if error.filename is not None:
                await self._caller.say(f"srun: error: Could not open {error.filename} file: {error.strerror}\n")
            core.end_step(self._job, step, State.FAILED)
            step.exit_code = 1
            return 1
        timers = self._timers()
        while self._left:
            await self._attend()
        for timer in timers:
            timer.cancel()
        await self._tell()
        step.exit_code = max(end.exit_code for end in self._ends)
        step.signal = max(end.signal for end in self._ends)
        is_forced = self._is_expired or (step.signal == signals.SIGKILL and not self._is_aborted)
        if is_forced and self._job.state is State.RUNNING:
            await self._caller.say(f"srun: Force Terminated {self._name}\n")
        core.end_step(self._job, step, self._outcome())
        return max(end.exit_code or (128 + end.signal if end.signal else 0) for end in self._ends)

    @property
    def _name(self) -> str:
        return f"StepId={self._job.id}.{self._step.number}"

    def _outcome(self) -> State:
        if any(end.is_out_of_memory for end in self._ends):
            return State.OUT_OF_MEMORY
        if self._is_expired:
            return State.TIMEOUT
        if self._is_aborted:
            return State.CANCELLED
        is_well = not any(end.exit_code or end.signal for end in self._ends)
        return State.COMPLETED if is_well else State.FAILED

    # --- the beginning

    async def _start(self) -> None:
        patterns = self._patterns()
        lent = [self._stream(number, pattern) for number, pattern in enumerate(patterns)]
        if any(lent):
            await self._caller.lend(self._step.tasks, lent, labels=self._command.has_labels)
        for number, (node, local) in enumerate(self._layout):
            borrowed = await self._caller.borrow() if any(lent) else []
            task = self._task(number, node, local)
            paths = [None if stream else self._path(p, task) for stream, p in zip(lent, patterns, strict=True)]
            task = replace(task, files=(paths[0], paths[1], paths[2]), appends=self._command.appends or local > 0)
            self._core.launcher.start_task(self._job, self._step, task, borrowed, self._watch.events.put_nowait)

    def _patterns(self) -> tuple[str, str, str]:
        """Errors go where the output goes, if that was said."""
        stdin, stdout, stderr = self._command.files
        return stdin, stdout, stderr or stdout

    def _stream(self, number: int, pattern: str) -> Stream | None:
        """What the caller lends; None for a file of each task's own, which is opened on its node."""
        if pattern in {"", "all"}:
            return Stream()
        if pattern == "none":
            return Stream(os.devnull)
        if pattern.isdecimal():
            return Stream(task=int(pattern))
        if re.search(r"%\d*[tnN]", pattern):
            return None
        first = self._task(0, 0, 0)
        return Stream(self._path(pattern, first), appends=self._command.appends and number > 0)

    def _path(self, pattern: str, task: Task) -> str:
        job, step = self._job, self._step
        values = {
            "A": str(job.id if job.array_id is None else job.array_id),
            "a": str(_NO_TASK if job.task_id is None else job.task_id),
            "j": str(job.id),
            "J": f"{job.id}.{step.number}",
            "s": str(step.number),
            "N": step.nodes[task.node],
            "n": str(task.node),
            "t": str(task.number),
            "u": job.user,
            "x": job.name,
        }
        return posixpath.join(self._command.cwd, fill_pattern(pattern, values))

    def _task(self, number: int, node: int, local: int) -> Task:
        command, name = self._command, self._step.nodes[node]
        voice = f"slurmstepd-{name}: error: "
        return Task(
            number=number,
            node=node,
            arguments=command.arguments,
            environment={**self._environment, **task_variables(self._step, number, node, local)},
            cwd=command.cwd,
            files=(None, None, None),
            appends=False,
            umask=command.umask,
            # The real one says it twice, too.
            cwd_words=2 * f"{voice}couldn't chdir to `{command.cwd}': {{}}: going to /tmp instead\n",
            program_words=f"{voice}execve(): {command.arguments[0]}: {{}}\n",
        )

    def _timers(self) -> list[asyncio.TimerHandle]:
        limit, tell = self._command.limit, self._watch.events.put_nowait
        if not limit:
            return []
        loop = asyncio.get_running_loop()
        grace = self._core.settings.kill_wait
        signal = self._core.launcher.signal_step
        return [
            loop.call_later(limit, tell, self._step),
            loop.call_later(limit + grace, signal, self._job, self._step, signals.SIGKILL),
        ]

    # --- what happens meanwhile

    async def _attend(self) -> None:
        """Wait for the next event and do what it asks for."""
        try:
            event = await asyncio.wait_for(self._watch.events.get(), self._patience())
        except asyncio.TimeoutError:
            await self._tell()
            await self._end_stragglers()
            return
        if isinstance(event, TaskEnd):
            await self._ended(event)
        elif event is None:
            self._kill()
        elif isinstance(event, int):
            await self._signalled(event)
        elif event is self._job:
            await self._look_at_job()
        elif event is self._step:
            await self._expire()

    def _patience(self) -> float | None:
        if self._untold:
            return _TOGETHER
        if self._first_end is not None and self._command.seconds_after_first and not self._is_aborted:
            return max(0.0, self._first_end + self._command.seconds_after_first - time.monotonic())
        return None

    async def _end_stragglers(self) -> None:
        seconds = self._command.seconds_after_first
        if (
            seconds
            and self._first_end is not None
            and not self._is_aborted
            and time.monotonic() >= self._first_end + seconds
        ):
            await self._caller.say(f"srun: First task exited {seconds}s ago\n")
            await self._say_who_runs()
            await self._terminate()

    async def _ended(self, end: TaskEnd) -> None:
        if self._left.pop(end.number, 0) is not None:
            return
        if end.error is not None:
            node = self._step.nodes[self._layout[end.number][0]]
            await self._caller.say(
                f"slurmstepd-{node}: error: Could not open its files: {os.strerror(end.error)}\n"
                f"srun: error: task {end.number} launch failed: Slurmd could not connect IO\n"
            )
            end = replace(end, exit_code=1)
        else:
            self._untold.append(end)
        self._ends.append(end)
        self._first_end = self._first_end or time.monotonic()
        is_bad = bool(end.exit_code or end.signal)
        if is_bad and self._command.is_killed_by_bad_exit and self._left and not self._is_aborted:
            await self._tell()
            await self._terminate()

    async def _expire(self) -> None:
        self._is_expired = True
        await self._say_cancelled(" DUE TO TIME LIMIT")
        self._core.launcher.signal_step(self._job, self._step, signals.SIGTERM)

    async def _terminate(self) -> None:
        await self._caller.say(f"srun: Terminating {self._name}\n")
        await self._say_cancelled()
        self._kill()

    async def _signalled(self, number: int) -> None:
        if number == signals.SIGINT and not self._command.is_interrupted_at_once:
            if time.monotonic() > self._interrupted + 1:
                self._interrupted = time.monotonic()
                await self._caller.say("srun: interrupt (one more within 1 sec to abort)\n")
                await self._say_who_runs()
                return
            await self._caller.say(f"srun: sending Ctrl-C to {self._name}\n")
            self._core.launcher.signal_step(self._job, self._step, number)
        if number == signals.SIGINT or number in _ABORTING:
            await self._caller.say("srun: forcing job termination\n")
            await self._say_aborted()
            await self._say_cancelled()
            self._step.cancelled_by = self._command.user
            self._kill()
        else:
            self._core.launcher.signal_step(self._job, self._step, number)

    async def _look_at_job(self) -> None:
        """The job or the step may have been cancelled, or lost a node."""
        job = self._job
        if job.restarts != self._run or job.state is State.NODE_FAIL:
            self._is_aborted = True
            for number in list(self._left):
                await self._ended(TaskEnd(number, signal=signals.SIGKILL))
            self._untold.clear()
            await self._caller.say(f"srun: error: Node failure on {','.join(self._step.nodes)}\n")
        elif (job.is_completing or self._step.cancelled_by) and not self._is_aborted:
            self._is_aborted = True
            await self._say_aborted()
            await self._say_cancelled(" DUE TO TIME LIMIT" if job.state is State.TIMEOUT else "")

    def _kill(self) -> None:
        """End the tasks at once; a second time because one may just have been starting."""
        self._is_aborted = True
        self._core.launcher.signal_step(self._job, self._step, signals.SIGKILL)

    # --- what is said

    async def _say_aborted(self) -> None:
        seconds = self._core.settings.kill_wait + 2
        await self._caller.say(f"srun: Job step aborted: Waiting up to {seconds} seconds for job step to finish.\n")

    async def _say_cancelled(self, why: str = "") -> None:
        name, node = f"{self._job.id}.{self._step.number}", self._step.nodes[0]
        moment = stamp(self._core.clock.time())
        await self._caller.say(f"slurmstepd-{node}: error: *** STEP {name} ON {node} CANCELLED AT {moment}{why} ***\n")

    async def _say_who_runs(self) -> None:
        running = sorted(self._left)
        ended = sorted(set(range(self._step.tasks)) - set(running))
        for numbers, what in ((running, "running"), (ended, "exited")):
            if numbers:
                await self._caller.say(f"srun: {self._name} {_tasks(numbers)}: {what}\n")

    async def _tell(self) -> None:
        """Tell of tasks that ended badly, those alike together."""
        alike: dict[tuple[str, str], list[int]] = {}
        for end in self._untold:
            node = self._step.nodes[self._layout[end.number][0]]
            if what := _how(end):
                alike.setdefault((node, what), []).append(end.number)
        self._untold.clear()
        for (node, what), numbers in alike.items():
            await self._caller.say(f"srun: error: {node}: {_tasks(sorted(numbers))}: {what}\n")


def _how(end: TaskEnd) -> str:
    if end.is_out_of_memory:
        return "Out Of Memory"
    if end.signal:
        return signals.strsignal(end.signal) or f"Signal {end.signal}"
    return f"Exited with exit code {end.exit_code}" if end.exit_code else ""


def _tasks(numbers: list[int]) -> str:
    return f"task {numbers[0]}" if len(numbers) == 1 else f"tasks {in_ranges(numbers)}"
