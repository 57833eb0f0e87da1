"""The processes of this computer: who descends from whom, since when they run, in which state, and in whose session.

By /proc on Linux. Elsewhere by `ps`, with options that macOS's and Linux's have in common. What environment another
process has, macOS does not tell of the system's own programs, bash and sleep among them, so nothing rests on it there.
"""

# Importing pathlib would double the time that a machine's program takes to start.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "PORTABLE",
    "Sessions",
    "children",
    "descendants",
    "is_linux",
    "memory_mb",
    "start_time",
    "states",
    "variable",
]

PORTABLE = "SIMCLUSTER_PORTABLE"
"""The variable by which Linux, too, goes the ways that are left where there is neither /proc nor a namespace."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def is_linux() -> bool:
    """Whether what only Linux has may be used."""
    return sys.platform == "linux" and PORTABLE not in os.environ


def start_time(pid: int) -> str | None:
    """When the process was started, in units of the system's own; None if there is no such process, or it has ended."""
    if not is_linux():
        state, _, started = _ps("stat=,lstart=", pid).strip().partition(" ")
        return None if state[:1] in {"", "Z"} else started.strip()
    fields = _stat(pid)
    return None if fields[0] in "ZX" else fields[19]


def children(pid: int) -> list[int]:
    """The children of a process, ended ones that nobody waited for included."""
    if not _has_children_files():
        return [child for child, parent in _parents().items() if parent == pid]
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as listing:
                found += map(int, listing.read().split())
    return found


def descendants(roots: list[int]) -> list[int]:
    """The processes that descend from these, and these themselves as far as they are alive."""
    if not _has_children_files():
        return _descendants_by_table(roots)
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children(pid)
    return found


def memory_mb(pids: list[int]) -> float:
    """The resident memory of these processes together."""
    if not is_linux():
        table = (line.split() for line in _ps("pid=,rss=").splitlines())
        return sum(int(kilobytes) for pid, kilobytes in table if int(pid) in pids) / 1024
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as counts:
            pages += int(counts.read().split()[1])
    return pages * _PAGE / (1 << 20)


def states(pids: list[int]) -> dict[int, str]:
    """The letter of each process's state, as in proc(5); X for one that is not there."""
    if is_linux():
        return {pid: _stat(pid)[0] for pid in pids}
    pairs = (line.split() for line in _ps("pid=,stat=").splitlines())
    table = {int(pid): state[0].replace("U", "D") for pid, state in pairs}  # ps(1) of macOS: uninterruptible
    return {pid: table.get(pid, "X") for pid in pids}


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment that a process was started with, or had when its program was; Linux only."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment:
        for setting in environment.read().split(b"\0"):
            if setting.startswith(name.encode() + b"="):
                return setting.partition(b"=")[2].decode(errors="replace")
    return None


class Sessions:
    """Sessions that were begun for keys. By them processes are found whose parents have ended, where no mark is seen.

    Who has begun a session of its own is out of reach.
    """

    def __init__(self) -> None:
        self._keys: dict[int, str] = {}

    def add(self, leader: int, key: str) -> None:
        """A process has begun a session."""
        self._keys[leader] = key

    def members(self, leaders: Iterable[int]) -> dict[int, str]:
        """The processes in the sessions, with the keys. `leaders` are those that the caller knows to be alive."""
        pids = _parents()
        # Nobody gets the number of a session while somebody is in it; then a new process may, and begin one with it.
        foreign = pids.keys() - set(leaders)
        keys = {leader: key for leader, key in self._keys.items() if leader not in foreign}
        found = {}
        self._keys = {leader: keys[leader] for leader in leaders if leader in keys}
        for pid in pids:
            with contextlib.suppress(OSError):
                if (session := os.getsid(pid)) in keys:
                    found[pid] = self._keys[session] = keys[session]
        return found


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the state on: the command's name before, in parentheses, may hold spaces."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as line:
            return line.read().rpartition(")")[2].split()
    except OSError:
        return ["X"]


def _has_children_files() -> bool:
    # CONFIG_PROC_CHILDREN, which distributions have; the scan of all processes takes longer.
    return is_linux() and os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _descendants_by_table(roots: list[int]) -> list[int]:
    table = _parents()
    found = set(roots)
    while more := {pid for pid, parent in table.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _parents() -> dict[int, int]:
    """Each process's parent."""
    if not is_linux():
        pairs = (line.split() for line in _ps("pid=,ppid=").splitlines())
        return {int(pid): int(parent) for pid, parent in pairs}
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and len(fields := _stat(int(name))) > 1:
            table[int(name)] = int(fields[1])
    return table


def _ps(columns: str, pid: int | None = None) -> str:
    """What ps says of one process, or of all; start times are told in the user's words, unless one names others."""
    which = ["-A"] if pid is None else ["-p", str(pid)]
    words = {"LC_ALL": "C", "TZ": "UTC0"}
    return subprocess.run(
        ["/bin/ps", *which, "-o", columns], capture_output=True, text=True, check=False, env=words
    ).stdout
