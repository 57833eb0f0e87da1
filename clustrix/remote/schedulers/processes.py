"""Processes of this computer: who is whose child, and whether a number still means the same one. By /proc, else by ``ps``."""

import contextlib
import os
import subprocess
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set

__all__ = ["birth_of", "boot", "end", "members", "table"]


class Process(NamedTuple):
    """``session`` is -1 where ``ps`` does not tell it. ``birth`` is text that no other process of the number has."""

    pid: int
    parent: int
    group: int
    session: int
    birth: str
    is_zombie: bool


def table() -> Dict[int, Process]:
    """All processes that can be seen, by number."""
    if os.path.exists("/proc/self/stat"):
        found: Iterable[Optional[Process]] = map(_from_proc, filter(str.isdigit, os.listdir("/proc")))
    else:
        found = _from_ps("-A")
    return {process.pid: process for process in found if process}


def birth_of(pid: int) -> Optional[str]:
    """When the process began; None if there is none, or it has only not been waited for yet."""
    has_proc = os.path.exists("/proc/self/stat")
    process = _from_proc(str(pid)) if has_proc else next(_from_ps("-p", str(pid)), None)
    return process.birth if process and not process.is_zombie else None


def boot() -> str:
    """Text that changes as the computer is started anew; empty where it can't be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def members(root: int, group: int) -> List[int]:
    """The processes below ``root``, and those in the process group or session ``group``, but neither zombies nor this one."""
    processes = table()
    found: Set[int] = set()
    for pid, process in processes.items():
        ancestor, steps = process, 0
        while ancestor and ancestor.pid != root and steps < len(processes):
            ancestor, steps = processes.get(ancestor.parent), steps + 1  # type: ignore[assignment]
        if (ancestor and ancestor.pid == root) or group in (process.group, process.session):
            found.add(pid)
    return sorted(pid for pid in found - {root, os.getpid()} if not processes[pid].is_zombie)


def end(pids: List[int], number: int) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _from_proc(name: str) -> Optional[Process]:
    try:
        with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return None
    # The program's name, in parentheses, may hold anything, parentheses too.
    words = text[text.rindex(")") + 2 :].split()
    return Process(int(name), int(words[1]), int(words[2]), int(words[3]), words[19], words[0] in "ZX")


def _from_ps(*which: str) -> Iterator[Process]:
    words = ["ps", *which, "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    # Not in the user's language: it writes dates.
    ps = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ, LC_ALL="C"))
    for line in ps.communicate()[0].decode("ascii", "replace").splitlines():
        columns = line.split(None, 4)
        # It sees itself, which is over by now.
        if len(columns) == 5 and int(columns[0]) != ps.pid:
            pid, parent, group = map(int, columns[:3])
            yield Process(pid, parent, group, -1, columns[4].strip(), columns[3].startswith("Z"))
