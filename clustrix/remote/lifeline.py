"""Processes that end when their parent does, however it ends."""

import contextlib
import os
import signal
import sys
import threading
from typing import Any

with contextlib.suppress(ImportError):  # not everywhere
    import fcntl

__all__ = ["end_with"]


def end_with(lifeline: Any) -> None:
    """Have this process killed when nobody holds the other end of ``lifeline`` any more, a one-way Pipe of multiprocessing.

    On Linux the kernel does it, whatever the process is at: the pipe tells its reader by a signal (fcntl(2), F_SETSIG), which
    is SIGKILL. prctl's PR_SET_PDEATHSIG would also come when only the thread ends that started the process.
    """
    if sys.platform == "linux":
        descriptor = lifeline.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
        if lifeline.poll(0):  # it was over before that
            os._exit(1)
    else:
        threading.Thread(target=_wait, args=(lifeline,), name="clustrix-lifeline", daemon=True).start()


def _wait(lifeline: Any) -> None:
    lifeline.poll(None)
    os._exit(1)
