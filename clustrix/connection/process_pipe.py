"""A child process as the byte stream to the agent: the agent itself, or the system's ssh."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, cast

from clustrix.errors import ClusterConnectionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ProcessPipe"]

_MOST_SAID = 4000
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NEW_GROUP = 0


class ProcessPipe:
    """Runs ``command``; ``patience`` is how many seconds it gets to end once its stdin is closed."""

    def __init__(
        self, command: Sequence[str], *, patience: float, environment: Mapping[str, str] | None = None
    ) -> None:
        self._patience = patience
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            # Unbuffered: closing a buffered stdin waits for a write that is under way, which may be for good.
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                # Ctrl-C is for the client, which decides what becomes of its jobs and needs the connection for that.
                start_new_session=True,
                creationflags=_NEW_GROUP,
            )
        except OSError as error:
            self._stderr.close()
            raise ClusterConnectionError(f"{command[0]} can't be started on this machine: {error}") from error
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101 - likewise
        self._stdin = self._process.stdin
        self._stdout = io.BufferedReader(cast("io.RawIOBase", self._process.stdout))

    @property
    def is_asking(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        return self._stdout.read(size)

    def write(self, data: Any) -> None:
        view = memoryview(data)
        while len(view):
            view = view[self._stdin.write(view) :]

    def complaint(self) -> str:
        try:
            self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _MOST_SAID))
            return self._stderr.read().decode(errors="replace").strip()
        except ValueError:  # it is closed, perhaps by another thread just now
            return ""

    def abort(self) -> None:
        """End the process at once; whoever reads sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        if self._stderr.closed:
            return
        self._stdin.close()
        if self._exit_status() is None:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._stderr.close()

    def _exit_status(self) -> int | None:
        try:
            return self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            return None
