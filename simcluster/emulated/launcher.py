"""Starts the batch scripts of jobs on the cluster's machines, and tells the scheduler how they ended."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Job
    from simcluster.emulated.machines import Machines

__all__ = ["ProcessLauncher"]

_MOST_LINKS = 40


class ProcessLauncher:
    """The scheduler's hands; see `interface.Launcher`. `core` is set once there is one."""

    core: Core

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._tasks: set[asyncio.Task[None]] = set()

    def launch(self, job: Job) -> None:
        """Start a job's script on its first node; on a node that is dead, nothing happens, as nobody knows of it yet."""
        if not self._machines.is_dead(job.nodes[0]):
            task = asyncio.create_task(self._launch(job, job.restarts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def signal(self, job: Job, number: int, everything: bool) -> None:
        """Send a signal to a job's script, or to all of its processes."""
        if host := self._machines.running(job.nodes[0]):
            host.signal(_key(job), number, everything=everything)

    def notice(self, job: Job, text: str) -> None:
        """Append to a job's error output in the name of its node."""
        if host := self._machines.running(job.nodes[0]):
            host.append(job.stderr, text)

    def read_script(self, path: str, cwd: str) -> bytes:
        """A file as the login host sees it."""
        pid = self._machines.login.pid if self._machines.has_own_tree else None
        return (_inside(pid, os.path.join(cwd, path)) if pid else Path(cwd, path)).read_bytes()  # noqa: PTH118

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
                memory_mb=job.memory_by_node[0] if job.memory_by_node and job.memory_by_node[0] else None,
                is_job=True,
            ),
            hear,
        )

    def _hear(self, job: Job, run: int, script: str, message: dict[str, Any]) -> None:
        event = message["event"]
        if event == "ended":
            signal = message["signal"] or None
            self.core.ended(job, None if signal else message["code"], signal, restart=run)
        elif event == "over_memory" and job.restarts == run:
            self.core.over_memory(job)
        elif event == "failed" and message["step"] == "execve":
            # slurmstepd's child exits with the number of the error.
            number = message["number"]
            self.notice(job, f"slurmstepd: error: execve(): {script}: {os.strerror(number)}\n")
            self.core.ended(job, number, None, restart=run)
        elif event == "failed":
            self.core.launch_failed(job)


def _key(job: Job) -> str:
    return f"job{job.id}.{job.restarts}"


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
