"""Starts the batch scripts of jobs on the cluster's machines, and tells the scheduler how they ended."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal as signals
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.interface import TaskEnd
from simcluster.emulated.jobs import State
from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.hosts import Host
    from simcluster.emulated.interface import Job, Task
    from simcluster.emulated.jobs import Launch, Step
    from simcluster.emulated.machines import Machines

__all__ = ["ProcessLauncher"]

_log = logging.getLogger(__name__)

_MOST_LINKS = 40
_KILL = int(signals.SIGKILL)
_DELIVER = """\
delays=$1 code=0; shift
deliver() { t=$2; [ -d "$t" ] && t=$t/${1##*/}; /bin/cat "$1" > "$t"; }
while [ $# -gt 0 ]; do
    for delay in $delays last; do
        deliver "$1" "$2" && break
        [ $delay = last ] && code=1 || sleep $delay
    done
    [ $code = 1 ] && exit 1
    shift 2
done
"""


class ProcessLauncher:
    """The scheduler's hands; see `interface.Launcher`. `core` is set once there is one."""

    core: Core

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._starting: set[asyncio.Task[None]] = set()
        self._tasks: dict[str, set[str]] = {}
        self._last: dict[str, Callable[[], None]] = {}
        self._launches: dict[str, Launch] = {}

    def launch(self, job: Job) -> None:
        """Start a job's script on its first node; on a node that is dead, nothing happens, as nobody knows of it yet."""
        if not self._machines.is_dead(job.nodes[0]):
            self._soon(self._launch_or_fail(job, job.restarts))

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
        if (host := self._machines.running(job.nodes[0])) and (launch := self._launches.get(_key(job))):
            host.append(launch.streams[2], text)

    def read_script(self, path: str, cwd: str) -> bytes:
        """A file as the login host sees it."""
        return self._on_login_host(path, cwd).read_bytes()

    def is_directory(self, path: str, cwd: str) -> bool:
        """Whether the login host sees a directory there."""
        try:
            return self._on_login_host(path, cwd).is_dir()
        except OSError:  # no name may be that long
            return False

    def login_environment(self) -> dict[str, str]:
        """The variables of a login."""
        return self._machines.login_environment()

    def _on_login_host(self, path: str, cwd: str) -> Path:
        pid = self._machines.login.pid if self._machines.has_own_tree else None
        return _inside(pid, os.path.join(cwd, path)) if pid else Path(cwd, path)  # noqa: PTH118

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _launch_or_fail(self, job: Job, run: int) -> None:
        try:
            await self._launch(job, run)
        except (OSError, SimclusterError):  # the disk is full, or no further process is allowed
            _log.exception("job %s could not be launched", job.full_id)
            if job.restarts == run:
                self.core.launch_failed(job)

    async def _launch(self, job: Job, run: int) -> None:
        if job.restarts != run or not job.nodes:  # it was taken back before this began
            return
        node = job.nodes[0]
        host = self._machines.running(node) or await self._machines.start(node)
        if job.is_completing:  # cancelled before there was a process to send a signal to
            self.core.ended(job, None, 15, restart=run)
        if job.restarts != run or not job.nodes or job.has_ended or job.is_completing:
            return

        key = _key(job)
        spool = self._machines.directory / "shared" / "spool" / node / key
        spool.mkdir(parents=True, exist_ok=True)
        launch = job.request.dialect.launch(job, f"{self._machines.shared}/spool/{node}/{key}")
        for name, content in launch.files.items():
            (spool / name).write_bytes(content)
            (spool / name).chmod(0o700)
        for name in launch.directories:
            (spool / name).mkdir(exist_ok=True)
        self._launches[key] = launch

        def forget() -> None:
            self._launches.pop(key, None)
            shutil.rmtree(spool, ignore_errors=True)

        def hear(message: dict[str, Any]) -> None:
            if message["event"] == "lost":
                forget()
            else:
                self._hear(job, run, launch, message, forget)

        described = self._machines.description(
            node,
            key,
            launch.environment,
            arguments=list(launch.arguments),
            program=launch.program,
            cwd=launch.cwd,
            files=list(launch.streams),
            appends=launch.appends,
            umask=launch.umask,
            limits=_limits(key, launch.memory_mb),
            is_job=True,
        )
        host.start(described, hear)

    def _hear(self, job: Job, run: int, launch: Launch, message: dict[str, Any], forget: Callable[[], None]) -> None:
        event = message["event"]
        if event == "started" and job.restarts == run:
            job.process = message["pid"]
        elif event == "over_memory" and job.restarts == run:
            self.core.over_memory(job)
        elif event == "ended":
            signal = message["signal"] or None
            self._deliver(job, run, launch, (None if signal else message["code"], signal), forget)
        elif event == "failed" and message["step"] == "execve":
            # Who was to become the program exits with the number of the error.
            number = message["number"]
            self.notice(job, launch.program_words.replace("{}", os.strerror(number)))
            self._deliver(job, run, launch, (number, None), forget)
        elif event == "failed":
            forget()
            self.core.launch_failed(job)

    def _deliver(
        self,
        job: Job,
        run: int,
        launch: Launch,
        end: tuple[int | None, int | None],
        forget: Callable[[], None],
    ) -> None:
        """Bring the output to where it belongs, and then let the script's end be known."""
        node, key = job.nodes[0] if job.nodes else "", f"{_key(job)}.delivery"
        host = self._machines.running(node)
        if not launch.deliveries or host is None or job.restarts != run:
            forget()
            self._end_script(job, run, *end)
            return
        self.core.delivering(job, *end)

        def hear(message: dict[str, Any]) -> None:
            if message["event"] == "lost":
                forget()
            elif message["event"] in {"ended", "failed"}:
                forget()
                job.is_delivered = message["event"] == "ended" and message["code"] == 0
                self._end_script(job, run, *end)

        words = [word for pair in launch.deliveries for word in pair]
        described = self._machines.description(
            node,
            key,
            launch.environment,
            arguments=["/bin/sh", "-c", _DELIVER, "sh", " ".join(map(str, launch.delivery_delays)), *words],
            cwd=launch.cwd,
            files=["/dev/null", "/dev/null", "/dev/null"],
            umask=launch.umask,
        )
        host.start(described, hear)

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
            elif event == "lost":  # what becomes of the job, the scheduler says when it misses the node
                self._last.pop(whole, None)
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
    task = "" if job.task_id is None else f".{job.task_id}"
    job_key = f"job{job.id}{task}.{job.restarts}"
    return job_key if step is None else f"{job_key}.{step.number}"


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
