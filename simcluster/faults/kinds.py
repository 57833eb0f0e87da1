"""The faults by name, with their arguments, and on which backends each can be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from simcluster.errors import SpecError

if TYPE_CHECKING:
    from simcluster.faults.fault import Fault

__all__ = ["KINDS", "WHERE", "DiskFaults", "JobFaults", "NodeFaults", "SSHFaults", "SchedulerFaults", "size"]

WHERE: dict[str, tuple[str, ...]] = {
    "ssh.refuse": ("emulated", "native", "docker"),
    "ssh.drop": ("emulated", "native", "docker"),
    "ssh.drop_all": ("emulated", "native", "docker"),
    "ssh.latency": ("emulated", "native", "docker"),
    "ssh.bandwidth": ("emulated", "native", "docker"),
    "ssh.hang": ("emulated", "native", "docker"),
    "ssh.banner_noise": ("emulated", "native", "docker"),
    "ssh.wrong_host_key": ("emulated", "native", "docker"),
    "node.kill": ("emulated", "native", "docker"),
    "node.restart": ("emulated", "native", "docker"),
    "node.pause": ("emulated", "native", "docker"),
    "node.partition": ("emulated", "docker"),
    "node.clock_skew": ("emulated",),
    "disk.full": ("emulated", "native"),
    "disk.quota": ("emulated", "native"),
    "disk.stale": ("emulated", "native"),
    "disk.read_only": ("emulated", "native"),
    "scheduler.down": ("emulated", "native", "docker"),
    "scheduler.slow": ("emulated", "native", "docker"),
    "scheduler.reject_submits": ("emulated", "native", "docker"),
    "scheduler.forget": ("emulated",),
    "scheduler.flaky": ("emulated", "native", "docker"),
    "job.preempt": ("emulated",),
    "job.oom": ("emulated",),
    "job.timeout": ("emulated", "native", "docker"),
}
"""Every fault, and the backends that have it, as far as the machine allows it."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


class _Make(Protocol):
    def __call__(self, name: str, /, **arguments: Any) -> Fault: ...


class SSHFaults:
    """What the network between a client and the login host's SSH server does."""

    def __init__(self, make: _Make) -> None:
        self._make = make

    def refuse(self) -> Fault:
        """Refuse new connections; those that are open go on."""
        return self._make("ssh.refuse")

    def drop(self, after_bytes: int = 0) -> Fault:
        """Cut each connection when that many bytes more have passed over it, both directions together."""
        return self._make("ssh.drop", after_bytes=_not_negative("after_bytes", after_bytes))

    def drop_all(self) -> Fault:
        """Cut every connection that is open, once; new ones are taken at once."""
        return self._make("ssh.drop_all")

    def latency(self, seconds: float) -> Fault:
        """Have each round trip take so much longer."""
        return self._make("ssh.latency", seconds=_not_negative("seconds", seconds))

    def bandwidth(self, rate: str) -> Fault:
        """Let no more through than `rate`, such as "1MB/s", in each direction, all connections together."""
        return self._make("ssh.bandwidth", bytes_per_second=size("rate", rate.removesuffix("/s")))

    def hang(self) -> Fault:
        """Take connections, and let nothing through in either direction; when mended, it all arrives."""
        return self._make("ssh.hang")

    def banner_noise(self, text: str) -> Fault:
        """Have each new session's output begin with a text, as a chatty shell start-up file does."""
        return self._make("ssh.banner_noise", text=text)

    def wrong_host_key(self) -> Fault:
        """Show new connections another host key than the one in known_hosts."""
        return self._make("ssh.wrong_host_key")


class NodeFaults:
    """What becomes of a compute node."""

    def __init__(self, make: _Make) -> None:
        self._make = make

    def kill(self, name: str) -> Fault:
        """Take its power away: every process on it is gone, the scheduler notices later. Mended, it is on again."""
        return self._make("node.kill", node=name)

    def restart(self, name: str) -> Fault:
        """Switch it off and on, once."""
        return self._make("node.restart", node=name)

    def pause(self, name: str) -> Fault:
        """Stop every process on it; the scheduler loses it after a while. Mended, they all go on."""
        return self._make("node.pause", node=name)

    def partition(self, name: str) -> Fault:
        """Cut it from the scheduler, which loses it after a while; its processes go on and see the shared files."""
        return self._make("node.partition", node=name)

    def clock_skew(self, name: str, seconds: float) -> Fault:
        """Have the clock of what is started on it meanwhile go wrong by so much, backwards if negative."""
        return self._make("node.clock_skew", node=name, seconds=float(seconds))


class DiskFaults:
    """What becomes of the shared home and scratch directories."""

    def __init__(self, make: _Make) -> None:
        self._make = make

    def full(self) -> Fault:
        """No file can grow: ENOSPC. Empty files can be made; what is removed makes no room."""
        return self._make("disk.full")

    def quota(self, limit: str) -> Fault:
        """No more than `limit`, such as "10MB", can be written from now on, by all machines together: EDQUOT."""
        return self._make("disk.quota", bytes=size("limit", limit))

    def stale(self, seconds: float) -> Fault:
        """What another node made, changed, renamed or removed is seen so much later, in listings too."""
        return self._make("disk.stale", seconds=_not_negative("seconds", seconds))

    def read_only(self) -> Fault:
        """Nothing can be written: EROFS. What was in them before, by its directory or open files, goes on as it is."""
        return self._make("disk.read_only")


class SchedulerFaults:
    """What becomes of the scheduler's server, as its commands meet it."""

    def __init__(self, make: _Make) -> None:
        self._make = make

    def down(self, timeout: float | None = None) -> Fault:
        """Its server is not running: jobs go on, none is started, and commands fail.

        They give up after as many seconds as the real ones do, or after `timeout` for each attempt.
        """
        return self._make("scheduler.down", timeout=timeout)

    def slow(self, seconds: float) -> Fault:
        """Each command takes so much longer."""
        return self._make("scheduler.slow", seconds=_not_negative("seconds", seconds))

    def reject_submits(self, message: str) -> Fault:
        """Jobs are refused with this message, in the words that submitting commands put around it."""
        return self._make("scheduler.reject_submits", message=message)

    def forget(self, job: str | int) -> Fault:
        """The server no longer knows a job that runs or ran; accounting, where there is any, still does."""
        return self._make("scheduler.forget", job=str(job))

    def flaky(self, share: float, seed: int = 0) -> Fault:
        """A share of the commands, 0 to 1, fails at once as if the server was down; which ones is up to `seed`."""
        if not 0 <= share <= 1:
            raise SpecError(f"share={share!r}: expected a number from 0 to 1")
        return self._make("scheduler.flaky", share=share, seed=seed)


class JobFaults:
    """What becomes of one running job, once. Ids are the scheduler's."""

    def __init__(self, make: _Make) -> None:
        self._make = make

    def preempt(self, job: str | int) -> Fault:
        """End it for the sake of another; it goes back into the queue if it may."""
        return self._make("job.preempt", job=str(job))

    def oom(self, job: str | int) -> Fault:
        """End it as if it had taken too much memory."""
        return self._make("job.oom", job=str(job))

    def timeout(self, job: str | int) -> Fault:
        """End it as if its time was over."""
        return self._make("job.timeout", job=str(job))


KINDS = {"ssh": SSHFaults, "node": NodeFaults, "disk": DiskFaults, "scheduler": SchedulerFaults, "job": JobFaults}


def size(name: str, text: str) -> int:
    """Bytes from a text such as 10MB; kB is 1000, KiB 1024."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or not (number := int(float(match[1]) * unit)):
        raise SpecError(f"{name}={text!r} is not a size; write for example 10MB")
    return number


def _not_negative(name: str, value: Any) -> Any:
    if value < 0:
        raise SpecError(f"{name}={value!r}: expected no less than 0")
    return value
