"""The agent as a child process: for a client that is on the login node itself."""

from __future__ import annotations

import io
import subprocess
import tempfile
from typing import Any, cast

from clustrix import errors

__all__ = ["LocalConnection"]


class LocalConnection:
    """Runs the agent's command on this machine; ``shell`` stands for the user's login shell."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._pipes: list[_ProcessPipe] = []

    def start(self, command: str) -> _ProcessPipe:
        pipe = _ProcessPipe([self._shell, "-c", command])
        self._pipes.append(pipe)
        return pipe

    def close(self) -> None:
        while self._pipes:
            self._pipes.pop().close()


class _ProcessPipe:
    def __init__(self, command: list[str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            # Unbuffered: closing a buffered stdin waits for a write that is under way, which may be for good.
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise errors.ClusterConnectionError(f"the agent can't be started on this machine: {error}") from error
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101 - likewise
        self._stdin = self._process.stdin
        self._stdout = io.BufferedReader(cast("io.RawIOBase", self._process.stdout))

    def read(self, size: int) -> bytes:
        return self._stdout.read(size)

    def write(self, data: Any) -> None:
        view = memoryview(data)
        while len(view):
            view = view[self._stdin.write(view) :]

    def complaint(self) -> str:
        if self._stderr.closed:
            return ""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-4000:]

    def close(self) -> None:
        if self._stderr.closed:
            return
        self._stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._stderr.close()
