"""The agent as a child process: for a client that is on the login node itself."""

from __future__ import annotations

from clustrix.connection.process_pipe import ProcessPipe

__all__ = ["LocalConnection"]

PATIENCE = 10.0  # seconds that the agent gets to end submissions that are under way


class LocalConnection:
    """Runs the agent's command on this machine; ``shell`` stands for the user's login shell."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._pipes: list[ProcessPipe] = []

    def start(self, command: str) -> ProcessPipe:
        pipe = ProcessPipe([self._shell, "-c", command], patience=PATIENCE)
        self._pipes.append(pipe)
        return pipe

    def close(self) -> None:
        while self._pipes:
            self._pipes.pop().close()
