"""The process that looks after one job, or one element of a map, where no scheduler does: starts it, keeps its limits, ends all that it started.

It is nobody's child, so it outlives the agent and the connection. It holds what it knows in two files of the job's ``marks``,
``process`` and ``ended``, which are enough for any other agent. A job that is begun again has such files under the name of each
later attempt, a map under those of its elements.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, Callable, List, Optional, Tuple

from ..paths import JobPaths, write_aside
from ..runs import attempt_of, resources_of
from .processes import birth_of, boot, end, members

__all__ = ["CANCEL_MARK", "ELEMENT_VARIABLE", "ENDED_MARK", "PROCESS_MARK", "START", "mark_of", "start"]

PROCESS_MARK, ENDED_MARK, CANCEL_MARK = "process", "ended", "cancel"
ELEMENT_VARIABLE = "CLUSTRIX_ELEMENT"
LOOK_EVERY = 1.0  # seconds between looks for a wish to cancel that came from another host
TIME_TO_LEAVE = 5.0  # seconds from SIGTERM to SIGKILL
TIME_TO_DIE = 30.0  # seconds after SIGKILL; what hangs in the kernel for longer is left to it

# The arguments: where the package is, the job's script, whether it is a map's, and the names of what is to be started.
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "{package} = __import__('{package}.schedulers.supervisor', fromlist=['start']); "
    "{package}.start(sys.argv[2], sys.argv[3] == 'True', sys.argv[4:])"
)
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def mark_of(job: JobPaths, name: str, mark: str) -> str:
    """The file of a mark of what is called ``name``: the job itself, its later attempts and its elements."""
    return job.file("marks", mark if name == os.path.basename(job.root) else "%s.%s" % (mark, name))


def start(script: str, is_array: bool, names: List[str]) -> None:
    """Run the script for each of ``names``, under a supervisor of its own that is nobody's child; end when all run, or as many as can."""
    running, word = os.pipe()
    for name in names:
        if os.fork() == 0:
            os.close(running)
            os.setsid()
            _Supervisor(script, name, name if is_array else "").run(word)
            return
    os.close(word)
    with os.fdopen(running, "rb") as stream:
        sys.exit(0 if stream.read() else 1)


class _Supervisor:
    def __init__(self, script: str, name: str, element: str) -> None:
        self._job = JobPaths(os.path.dirname(script))
        with open(self._job.spec, encoding="utf-8") as stream:
            self._spec = json.load(stream)
        self._script, self._name, self._element = script, name, element
        self._resources = resources_of(self._spec, attempt_of(script))
        self._cancelled = False
        self._awake, self._wake = os.pipe()

    def run(self, word: int) -> None:
        for name in ("SIGHUP", "SIGINT"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        os.set_blocking(self._wake, False)
        os.set_blocking(self._awake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._cancel)
        _adopt_orphans()
        deadline = time.monotonic() + self._resources["time_seconds"]
        process = self._start()
        os.write(word, b"1")
        os.close(word)
        # Whoever began it waits for its output to end; from here on nobody hears it.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        why, status = self._wait(process.pid, deadline)
        self._end_all(process.pid, politely=why is not None)
        self._tell(why, status)

    def _start(self) -> "subprocess.Popen[bytes]":
        job, element = self._job, self._element
        with open(self._script, encoding="utf-8") as stream:
            shell = stream.readline()[2:].split()
        paths = [job.output(name, element) for name in ("stdout", "stderr")] if element else [job.stdout, job.stderr]
        out, err = (os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for path in paths)
        process = subprocess.Popen(
            [*shell, self._script],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=_before_the_job(self._resources["memory_mb"]),  # noqa: PLW1509 - there is one thread
            start_new_session=True,
            close_fds=True,
            env=dict(os.environ, **{ELEMENT_VARIABLE: element}) if element else None,
        )
        os.close(out)
        os.close(err)
        about = {
            "host": os.uname().nodename,
            "boot": boot(),
            "pid": os.getpid(),
            "birth": birth_of(os.getpid()),
            "session": process.pid,
            "session_birth": birth_of(process.pid),
            "until": time.time() + self._resources["time_seconds"],
        }
        try:
            write_aside(mark_of(job, self._name, PROCESS_MARK), json.dumps(about).encode("utf-8"))
        except BaseException:
            self._end_all(process.pid, politely=False)
            raise
        return process

    def _wait(self, pid: int, deadline: float) -> Tuple[Optional[str], int]:
        """Why the job has to be ended, or None when it ended by itself; and its wait status."""
        while True:
            status = _reaped(pid)
            if status is not None:
                return None, status
            if self._cancelled or os.path.exists(mark_of(self._job, self._name, CANCEL_MARK)):
                return "CANCELLED", 0
            left = deadline - time.monotonic()
            if left <= 0:
                return "TIMEOUT", 0
            self._sleep(min(left, LOOK_EVERY))

    def _sleep(self, seconds: float) -> None:
        """Until a child ends, a signal comes, or time is up."""
        if select.select([self._awake], [], [], seconds)[0]:
            os.read(self._awake, 4096)

    def _end_all(self, session: int, *, politely: bool) -> None:
        """End the whole tree; what begins meanwhile, too."""
        if politely:
            end(members(os.getpid(), session), signal.SIGTERM)
            until = time.monotonic() + TIME_TO_LEAVE
            while time.monotonic() < until and members(os.getpid(), session):
                _reaped(session)
                self._sleep(0.1)
        until = time.monotonic() + TIME_TO_DIE
        left = members(os.getpid(), session)
        while left and time.monotonic() < until:
            end(left, signal.SIGKILL)
            _reaped(session)
            time.sleep(0.01)
            left = members(os.getpid(), session)

    def _tell(self, why: Optional[str], status: int) -> None:
        signal_number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if signal_number else os.WEXITSTATUS(status)
        state = why or ("FAILED" if status else "COMPLETED")
        told = {"state": state, "exit_code": None if why else code, "signal": None if why else signal_number}
        # A full disk: whoever asks finds that the supervisor is gone.
        with contextlib.suppress(OSError):
            write_aside(mark_of(self._job, self._name, ENDED_MARK), json.dumps(told).encode("utf-8"))
            if why or signal_number:
                # So that it is seen at once: what was killed could not mark its end itself.
                own = "." + self._element if self._element else ""
                mark = self._job.file("marks", "exit" + own)
                write_aside(mark, b"%d\n" % (128 + (signal_number or signal.SIGTERM)))
                os.rename(mark, os.path.join(self._spec["done_dir"], self._spec["job_id"] + own + ".exit"))

    def _cancel(self, *_: Any) -> None:
        self._cancelled = True


def _before_the_job(memory_mb: int) -> Callable[[], None]:
    """An ordinary user can limit the address space of each process, and nothing more."""
    import resource  # noqa: PLC0415 - a client on Windows reads this file, too

    size = memory_mb << 20

    def limit() -> None:
        # Python ignores these, and what it starts would, too.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        allowed = size if hard == resource.RLIM_INFINITY else min(size, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has none that it keeps
            resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))

    return limit


def _adopt_orphans() -> None:
    """Where Linux offers it: what the job leaves behind becomes ours, and so is found however it hid."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - there are Pythons without it

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reaped(wanted: int) -> Optional[int]:
    """Wait for all children that have ended; the status of ``wanted`` if it is among them."""
    found: List[int] = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == wanted:
                found.append(status)
    return found[0] if found else None
