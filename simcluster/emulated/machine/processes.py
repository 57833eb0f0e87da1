"""Starts processes, and finds what became of their descendants."""

# Importing pathlib would double the time that this program takes to start.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field

__all__ = [
    "MARKER",
    "Start",
    "StartError",
    "children",
    "descendants",
    "end_everything",
    "is_stopped",
    "kill_descendants",
    "memory_mb",
    "start",
]

MARKER = "SIMCLUSTER_PROCESS"
"""The variable by which a process of a cluster is known, wherever it has gone: `run:key`."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_DEFAULT = ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGCHLD")
_UNSET = 127


class StartError(Exception):
    """A process could not be started: at which step, and the system's reason."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(step, number)
        self.step = step
        self.number = number


@dataclass(frozen=True)
class Start:
    """What to start. `files` are paths for descriptors 0, 1 and 2, relative to `cwd`; `descriptors` are open already.

    Where a file is None, the next of the descriptors takes its place. A program without a slash in its name is looked
    for in PATH. The process leads a session of its own; with `is_terminal`, descriptor 0 becomes its controlling
    terminal. `fallback_cwd` is where it runs if `cwd` is not there. The words for its stderr when that happens and
    when there is no program stand in `cwd_words` and `program_words`, {} is the system's reason; with the latter
    it then ends with the error's number. `limits` are megabytes for all processes whose key is this one or begins
    with it and a dot.
    """

    key: str
    arguments: list[str]
    environment: dict[str, str]
    cwd: str
    fallback_cwd: str
    program: str | None = None
    files: list[str | None] = field(default_factory=list)
    appends: bool = False
    is_terminal: bool = False
    umask: int = 0o022
    limits: dict[str, int] = field(default_factory=dict)
    is_job: bool = False
    cwd_words: str = ""
    program_words: str = ""


def start(what: Start, descriptors: list[int]) -> int:
    """Start a process; its number. Raises StartError with what the child met before its program ran."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(what, descriptors, writing)
    os.close(writing)
    said = b""
    while piece := os.read(reading, 1024):
        said += piece
    os.close(reading)
    if said:
        os.waitpid(child, 0)
        step, number = said.decode().split("\0")
        raise StartError(step, int(number))
    return child


def _become(what: Start, descriptors: list[int], report: int) -> None:
    """In the child: become the program, or tell why not, and end."""
    step = "session"
    try:
        os.setsid()
        os.umask(what.umask)
        step = "chdir"
        words = ""
        try:
            os.chdir(what.cwd)
        except OSError as error:
            words = what.cwd_words.replace("{}", os.strerror(error.errno or errno.EIO))
            os.chdir(what.fallback_cwd)
        step = "open"
        for number, descriptor in enumerate(_opened(what, descriptors) if what.files else descriptors):
            os.dup2(descriptor, number)
        if words:
            os.write(2, words.encode())
        if what.is_terminal:
            step = "terminal"
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for name in _DEFAULT:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        step = "execve"
        program = what.program or _found(what.arguments[0], what.environment)
        os.execve(program, what.arguments, what.environment)  # noqa: S606
    except OSError as error:
        if step == "execve" and what.program_words:
            number = error.errno or errno.EIO
            os.write(2, what.program_words.replace("{}", os.strerror(number)).encode())
            os._exit(number)
        os.write(report, f"{step}\0{error.errno or errno.EIO}".encode())
    finally:
        os._exit(_UNSET)


def _found(name: str, environment: dict[str, str]) -> str:
    """By PATH; what is not there is left for execve to complain about."""
    if "/" not in name:
        for directory in filter(None, environment.get("PATH", "").split(":")):
            if os.access(f"{directory}/{name}", os.X_OK):
                return f"{directory}/{name}"
    return name


def _opened(what: Start, descriptors: list[int]) -> list[int]:
    """What is to be 0, 1 and 2, above these numbers; the same path twice is one open file."""
    lent = iter(descriptors)
    # What the scheduler says in the same file goes through a descriptor of its own: nobody may write over it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if what.appends else os.O_TRUNC)
    opened: list[int] = []
    for number, path in enumerate(what.files):
        if path is None:
            opened.append(_above(next(lent)))
        elif number == 2 and path == what.files[1]:
            opened.append(opened[1])
        else:
            opened.append(_above(os.open(path, flags if number else os.O_RDONLY, 0o666)))
    return opened


def _above(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def descendants(roots: list[int]) -> list[int]:
    """The processes that descend from these, and these themselves as far as they are alive."""
    if not _has_children_files():
        return _by_table(roots)
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children(pid)
    return found


def children(pid: int) -> list[int]:
    """The children of a process, ended ones that nobody waited for included."""
    if not _has_children_files():
        return [child for child, parent in _table().items() if parent == pid]
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as listing:
                found += map(int, listing.read().split())
    return found


def key_of(pid: int) -> str | None:
    """The key that a process was started under, or the one that it descends from."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment:
        for variable in environment.read().split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name == MARKER.encode():
                return value.decode(errors="replace").partition(":")[2]
    return None


def memory_mb(pids: list[int]) -> float:
    """The resident memory of these processes together."""
    if sys.platform != "linux":
        listing = _ps("-o", "rss=", *(["-p", ",".join(map(str, pids))] if pids else ()))
        return sum(map(int, listing.split())) / 1024
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as counts:
            pages += int(counts.read().split()[1])
    return pages * _PAGE / (1 << 20)


def kill_descendants(roots: list[int], number: int = signal.SIGKILL, *, but: int | None = None) -> bool:
    """Send a signal to processes and all that descend from them; whether there was anybody alive."""
    anybody = False
    for pid in descendants(roots):
        if pid != but and not _has_ended(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
                anybody = True
    return anybody


def end_everything() -> None:
    """Kill all that descends from this process, its adopted orphans included, and wait for them."""
    me = os.getpid()
    while kill_descendants([me], but=me):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, or will before it runs again; where nobody can tell, it is taken for that."""
    return sys.platform != "linux" or _state(pid) in "TtDZX"


def _has_ended(pid: int) -> bool:
    return sys.platform == "linux" and _state(pid) in "ZX"


def _state(pid: int) -> str:
    """The letter of proc(5); X for one that is not there."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as line:
            return line.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _has_children_files() -> bool:
    # CONFIG_PROC_CHILDREN, which distributions have; the scan of all processes takes longer.
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _by_table(roots: list[int]) -> list[int]:
    table = _table()
    found = set(roots)
    while more := {pid for pid, parent in table.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _table() -> dict[int, int]:
    """Each process's parent."""
    if sys.platform != "linux":
        pairs = (line.split() for line in _ps("-ax", "-o", "pid=,ppid=").splitlines())
        return {int(pid): int(parent) for pid, parent in pairs}
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as line:
                table[int(name)] = int(line.read().rpartition(")")[2].split()[1])
    return table


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
