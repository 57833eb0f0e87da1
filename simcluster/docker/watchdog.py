"""Removes a run when its owner is gone: `python -m simcluster.docker.watchdog RUN DIRECTORY PID STARTED`.

It holds the reading end of a pipe whose writing end is the owner's alone. The owner says "done" when it has cleaned
up itself; if the pipe ends without that, the owner was killed.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.ownership import start_time

if TYPE_CHECKING:
    from simcluster.ownership import Owner

__all__ = ["Watchdog"]

_DONE = b"done"


class Watchdog:
    """The owner's end of the pipe."""

    def __init__(self, run: str, directory: Path, owner: Owner) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, run, str(directory), str(owner.pid), owner.started],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
            # Not in the owner's session: whatever kills its process group must not kill this.
            start_new_session=True,
            cwd="/",
        )

    def dismiss(self) -> None:
        """There is nothing left to remove."""
        self._process.communicate(_DONE)


def _wait_for_the_end(pid: int, started: str) -> bool:
    """Whether the owner said that it is done. A forked child may hold the pipe open, so the owner is looked at too."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable:
            return os.read(sys.stdin.fileno(), len(_DONE)) == _DONE
        if start_time(pid) != started:
            return False


def _main(run: str, directory: str, pid: str, started: str) -> None:
    if _wait_for_the_end(int(pid), started):
        return
    # Imported late: it costs memory and a third of a second, and mostly it is not needed.
    from simcluster.docker.engine import connect  # noqa: PLC0415
    from simcluster.docker.reaper import remove_run  # noqa: PLC0415

    shutil.rmtree(directory, ignore_errors=True)
    client = connect()
    for _ in range(4):
        remove_run(client, run)
        time.sleep(1)  # a request of the owner's may have been under way when it died


if __name__ == "__main__":
    _main(*sys.argv[1:])
