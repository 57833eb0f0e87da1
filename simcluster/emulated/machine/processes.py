"""Starts processes, and ends them with all that descends from them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import termios
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simcluster.processes import descendants, states, variable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKER", "Start", "StartError", "end_everything", "key_of", "kill_descendants", "start"]

MARKER = "SIMCLUSTER_PROCESS"
"""The variable by which a process of a cluster is known, wherever it has gone: `run:key`."""

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


def key_of(pid: int) -> str | None:
    """The key that a process was started under, or the one that it descends from; Linux only."""
    mark = variable(pid, MARKER)
    return None if mark is None else mark.partition(":")[2]


def kill_descendants(roots: list[int], number: int = signal.SIGKILL, *, but: int | None = None) -> bool:
    """Send a signal to processes and all that descend from them; whether there was anybody alive."""
    anybody = False
    for pid, state in states(descendants(roots)).items():
        if pid != but and state not in "ZX":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
                anybody = True
    return anybody


def end_everything(strays: Callable[[], list[int]] = list) -> None:
    """Kill all that descends from this process or from strays, its adopted orphans included, and wait for them."""
    me = os.getpid()
    while kill_descendants([me, *strays()], but=me):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)
