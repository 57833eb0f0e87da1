"""How many cores this process may use: those of its job, never more than the kernel lets it run on."""

import contextlib
import os
from typing import Callable, Iterator, Optional

__all__ = ["be_one_of_many", "cores"]

# What schedulers tell a job of its cores on this node: Slurm; PBS Pro, Torque; Grid Engine.
_VARIABLES = ("SLURM_CPUS_PER_TASK", "NCPUS", "PBS_NUM_PPN", "NSLOTS")
_IN_A_JOB = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID")

_is_one_of_many = False


def cores() -> int:
    """The least of what the scheduler gave, the affinity mask and the control group's quota; 1 in a worker of a pool."""
    if _is_one_of_many:
        return 1
    return max(1, min([_usable(), *_given(), *_quota()]))


def be_one_of_many() -> None:
    """Say that this process is a worker: the other cores are for the others."""
    global _is_one_of_many  # noqa: PLW0603
    _is_one_of_many = True


def _usable() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _given() -> Iterator[int]:
    # Somebody may have set NCPUS for something else.
    if any(name in os.environ for name in _IN_A_JOB):
        for name in _VARIABLES:
            with contextlib.suppress(ValueError):
                given = int(os.environ.get(name, ""))
                if given > 0:
                    yield given


def _quota() -> Iterator[int]:
    """Whole cores' worth of CPU time, rounded up, of each control group around this process; cgroups(7), both versions."""
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream.read().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                yield from _each_quota("/sys/fs/cgroup", path, _quota_of_version_2)
            elif "cpu" in controllers.split(","):
                yield from _each_quota("/sys/fs/cgroup/cpu", path, _quota_of_version_1)


def _each_quota(root: str, path: str, quota_of: Callable[[str], Optional[int]]) -> Iterator[int]:
    # In a container the path may be the host's, and the root the container's own group.
    while True:
        with contextlib.suppress(OSError, ValueError):
            quota = quota_of(root + path)
            if quota is not None:
                yield quota
        if path in ("", "/"):
            return
        path = os.path.dirname(path)


def _quota_of_version_2(directory: str) -> Optional[int]:
    with open(os.path.join(directory, "cpu.max"), encoding="ascii") as stream:
        quota, period = stream.read().split()
    return None if quota == "max" else -(-int(quota) // int(period))


def _quota_of_version_1(directory: str) -> Optional[int]:
    numbers = []
    for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"):
        with open(os.path.join(directory, name), encoding="ascii") as stream:
            numbers.append(int(stream.read()))
    return None if numbers[0] <= 0 else -(-numbers[0] // numbers[1])
