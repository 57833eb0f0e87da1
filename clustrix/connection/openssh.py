"""SSH by the system's own ssh: for what only it can do, such as host certificates, Kerberos and hardware keys.

One process and one exec carry everything. Its argument vector holds options and the launcher line, never a secret.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from clustrix.connection.askpass import Askpass
from clustrix.connection.host_settings import HostSettings, command_line, resolve, ssh_program
from clustrix.connection.process_pipe import ProcessPipe
from clustrix.connection.prompts import Prompts
from clustrix.connection.ssh_complaints import error_of
from clustrix.errors import ClusterConnectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clustrix.config import ClusterConfig

__all__ = ["OpenSSHConnection"]

_PATIENCE = 2.0  # seconds that ssh gets to take its leave
_OWN_STATUS = 255  # what ssh ends with if it was not the command that ended
# What a user's ~/.ssh/config may ask for a terminal session would stand in the way of a byte stream.
_ALWAYS = (
    "-T", "-x", "-a", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no",
    # A connection that is open already may be used (nobody is asked for a code again), but none is left behind.
    "-o", "ControlMaster=no", "-o", "LogLevel=INFO",
    # A client that was killed can't end an ssh whose line is dead.
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
)  # fmt: skip


class OpenSSHConnection:
    """One ssh process for each ``start``."""

    def __init__(self, config: ClusterConfig, settings: HostSettings | None = None) -> None:
        self._config = config
        self._settings = settings
        self._pipes: list[_SSHPipe] = []

    def start(self, command: str) -> _SSHPipe:
        program = ssh_program()
        if program is None:
            raise ClusterConnectionError(
                "there is no ssh on this machine's PATH: install OpenSSH's client, or set connection='paramiko'"
            )
        settings, self._settings = self._settings or resolve(self._config), None
        settings.known_hosts.prepare_to_write()  # ssh would make it for all to read
        prompts = Prompts(settings.prompt_name, self._config.password)
        pipe = _SSHPipe(self._arguments(program, settings, prompts, command), settings, prompts)
        self._pipes.append(pipe)
        return pipe

    def close(self) -> None:
        while self._pipes:
            self._pipes.pop().close()

    def _arguments(self, program: str, settings: HostSettings, prompts: Prompts, command: str) -> list[str]:
        words = [program, *_ALWAYS, *command_line(self._config)]
        words += ["-o", f"ConnectTimeout={math.ceil(self._config.connect_timeout)}"]
        words += ["-o", f"BatchMode={'no' if prompts.can_answer else 'yes'}"]
        if not prompts.can_ask:
            # The configured password is tried once: a host may lock out who tries too often.
            words += ["-o", "NumberOfPasswordPrompts=1"]
        return [*words, "--", settings.alias, command]


class _SSHPipe(ProcessPipe):
    """An ssh process: asks the user while it connects, and says in our words why it ended."""

    def __init__(self, arguments: Sequence[str], settings: HostSettings, prompts: Prompts) -> None:
        self._settings = settings
        self._prompts = prompts
        self._askpass = Askpass(prompts) if prompts.can_answer else None
        asking = self._askpass.environment if self._askpass else {"SSH_ASKPASS_REQUIRE": "never"}
        try:
            super().__init__(arguments, patience=_PATIENCE, environment={**os.environ, **asking})
        except BaseException:
            self._end_asking()
            raise

    @property
    def is_asking(self) -> bool:
        return self._prompts.is_asking

    def read(self, size: int) -> bytes:
        data = super().read(size)
        if len(data) < size and self._exit_status() == _OWN_STATUS:
            raise error_of(self.complaint(), self._settings, can_ask=self._prompts.can_ask)
        self._end_asking()
        return data

    def close(self) -> None:
        super().close()
        self._end_asking()

    def _end_asking(self) -> None:
        """Once the command has said something, nothing is asked any more."""
        askpass, self._askpass = self._askpass, None
        if askpass is not None:
            askpass.close()
