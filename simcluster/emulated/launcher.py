"""Starts the batch scripts of jobs on the cluster's machines, and tells the scheduler how they ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal as signals
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.interface import TaskEnd
from simcluster.emulated.jobs import State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.hosts import Host
    from simcluster.emulated.interface import Job, Task
    from simcluster.emulated.jobs import Step
    from simcluster.emulated.machines import Machines

__all__ = ["ProcessLauncher"]

_MOST_LINKS = 40
_KILL = int(signals.SIGKILL)


class ProcessLauncher:
    """The scheduler's hands; see `interface.Launcher`. `core` is set once there is one."""

    core: Core

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._starting: set[asyncio.Task[None]] = set()
        self._tasks: dict[str, set[str]] = {}
        self._last: dict[str, Callable[[], None]] = {}

    def launch(self, job: Job) -> None:
        """Start a job's script on its first node; on a node that is dead, nothing happens, as nobody knows of it yet."""
        if not self._machines.is_dead(job.nodes[0]):
            self._soon(self._launch(job, job.restarts))

    def signal(self, job: Job, number: int, everything: bool) -> None:
        """Send a signal to a job's script, or to all of its processes on all of its nodes."""
        for node in job.nodes if everything else job.nodes[:1]:
            if host := self._machines.running(node):
                host.signal(_key(job), number, everything=everything)

    def signal_step(self, job: Job, step: Step, number: int) -> None:
        """Send a signal to all processes of a step."""
        for node in step.nodes:
            if host := self._machines.running(node):
                host.signal(_key(job, step), number, everything=True)

    def start_task(
        self, job: Job, step: Step, task: Task, descriptors: Sequence[int], hear: Callable[[TaskEnd], None]
    ) -> None:
        """Start a task of a step on its node."""
        self._soon(self._start_task(job, step, task, descriptors, hear))

    def notice(self, job: Job, text: str) -> None:
        """Append to a job's error output in the name of its node."""
        if host := self._machines.running(job.nodes[0]):
            host.append(job.stderr, text)

    def read_script(self, path: str, cwd: str) -> bytes:
        """A file as the login host sees it."""
        pid = self._machines.login.pid if self._machines.has_own_tree else None
        return (_inside(pid, os.path.join(cwd, path)) if pid else Path(cwd, path)).read_bytes()  # noqa: PTH118

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _launch(self, job: Job, run: int) -> None:
        node = job.nodes[0]
        host = self._machines.running(node) or await self._machines.start(node)
        if job.is_completing:  # cancelled before there was a process to send a signal to
            self.core.ended(job, None, 15, restart=run)
        if job.restarts != run or not job.nodes or job.has_ended or job.is_completing:
            return

        key = _key(job)
        spool = self._machines.directory / "shared" / "spool" / node / f"job{job.id:05}"
        spool.mkdir(parents=True, exist_ok=True)
        script = spool / "slurm_script"
        script.write_bytes(job.script)
        script.chmod(0o700)
        seen = f"{self._machines.shared}/spool/{node}/{spool.name}/{script.name}"

        def hear(message: dict[str, Any]) -> None:
            if not self._machines.is_dead(node):  # what a machine says while it is being killed, nobody hears
                self._hear(job, run, seen, message)
            if message["event"] in {"ended", "failed"}:
                shutil.rmtree(spool, ignore_errors=True)

        host.start(
            self._machines.description(
                node,
                key,
                job.environment,
                arguments=[seen, *job.arguments],
                cwd=job.cwd,
                files=[job.stdin, job.stdout, job.stderr],
                appends=job.open_mode == "append",
                umask=job.request.umask,
                limits=_limits(key, job.memory_by_node[0]),
                is_job=True,
            ),
            hear,
        )

    def _hear(self, job: Job, run: int, script: str, message: dict[str, Any]) -> None:
        event = message["event"]
        if event == "ended":
            signal = message["signal"] or None
            self._end_script(job, run, None if signal else message["code"], signal)
        elif event == "over_memory" and job.restarts == run:
            self.core.over_memory(job)
        elif event == "failed" and message["step"] == "execve":
            # slurmstepd's child exits with the number of the error.
            number = message["number"]
            self.notice(job, f"slurmstepd: error: execve(): {script}: {os.strerror(number)}\n")
            self._end_script(job, run, number, None)
        elif event == "failed":
            self.core.launch_failed(job)

    def _end_script(self, job: Job, run: int, code: int | None, signal: int | None) -> None:
        """The steps end with the script, and the job when the last of them has."""
        key = _key(job)
        if job.restarts == run and self._tasks.get(key):
            self._last[key] = lambda: self.core.ended(job, code, signal, restart=run)
            self.signal(job, _KILL, True)
        else:
            self.core.ended(job, code, signal, restart=run)

    async def _start_task(
        self, job: Job, step: Step, task: Task, descriptors: Sequence[int], hear: Callable[[TaskEnd], None]
    ) -> None:
        node, whole = step.nodes[task.node], _key(job)
        key = f"{_key(job, step)}.{task.number}"
        try:
            host = self._machines.running(node)
            if host is None and not self._machines.is_dead(node):
                host = await self._machines.start(node)
            if host is None or job.state is not State.RUNNING or _key(job) != whole:
                hear(TaskEnd(task.number, signal=_KILL))
                return
            self._tasks.setdefault(whole, set()).add(key)
            described = self._machines.description(
                node,
                key,
                task.environment,
                arguments=list(task.arguments),
                cwd=task.cwd,
                files=list(task.files),
                appends=task.appends,
                umask=task.umask,
                limits=_limits(whole, job.memory_by_node[step.places[task.node]])
                | _limits(_key(job, step), step.memory_by_node[task.node]),
                is_job=True,
                cwd_words=task.cwd_words,
                program_words=task.program_words,
            )
            host.start(described, self._listener(job, key, host, hear), descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _listener(
        self, job: Job, key: str, host: Host, hear: Callable[[TaskEnd], None]
    ) -> Callable[[dict[str, Any]], None]:
        """What listens to the machine about one task."""
        whole, number = _key(job), int(key.rpartition(".")[2])
        exceeded: list[str] = []

        def listen(message: dict[str, Any]) -> None:
            event = message["event"]
            if event == "over_memory":
                exceeded.append(message["whole"])
                if message["whole"] != whole:
                    host.signal(message["whole"], _KILL, everything=True)
                elif _key(job) == whole:
                    self.core.over_memory(job)
            elif event in {"ended", "failed"}:
                is_failed = event == "failed"
                hear(
                    TaskEnd(number, error=message["number"])
                    if is_failed
                    else TaskEnd(number, message["code"], message["signal"], bool(exceeded))
                )
                self._forget_task(whole, key)

        return listen

    def _forget_task(self, whole: str, key: str) -> None:
        """The end of the last task may be that of its job."""
        tasks = self._tasks.get(whole, set())
        tasks.discard(key)
        if not tasks:
            self._tasks.pop(whole, None)
            if last := self._last.pop(whole, None):
                last()


def _key(job: Job, step: Step | None = None) -> str:
    return f"job{job.id}.{job.restarts}" if step is None else f"job{job.id}.{job.restarts}.{step.number}"


def _limits(key: str, memory_mb: int) -> dict[str, int]:
    return {key: memory_mb} if memory_mb else {}


def _inside(pid: int, path: str) -> Path:
    """A path as the machine with that process sees it, as a path of this computer: absolute links start at its root."""
    root = Path(f"/proc/{pid}/root")
    waiting = list(reversed(Path(path).parts))
    found: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "/":
            found = []
        elif part == "..":
            found = found[:-1]
        elif (root.joinpath(*found, part)).is_symlink() and links < _MOST_LINKS:
            links += 1
            waiting += reversed(root.joinpath(*found, part).readlink().parts)
        else:
            found.append(part)
    return root.joinpath(*found)
