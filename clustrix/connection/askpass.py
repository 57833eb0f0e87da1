"""Answers the questions of a running ssh, by SSH_ASKPASS: a small program of ours speaks to this process over a private socket.

So passwords and codes are on no command line, in no environment and in no file, and notebooks, which have no terminal, can ask too.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import secrets
import shutil
import sys
import tempfile
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clustrix.connection.prompts import Prompts

__all__ = ["Askpass"]

_PROGRAM = Path(__file__).with_name("askpass_program.py")
# ssh runs one program without arguments of ours. No word of these comes from data.
_POSIX = '#!/bin/sh\nexec "$CLUSTRIX_ASKPASS_PYTHON" -I "$CLUSTRIX_ASKPASS_PROGRAM" "$@"\n'
_WINDOWS = '@"%CLUSTRIX_ASKPASS_PYTHON%" -I "%CLUSTRIX_ASKPASS_PROGRAM%" %*\r\n'


class Askpass:
    """Listens until it is closed; ``environment`` is what has an ssh ask here."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._key = secrets.token_hex(16)
        self._directory = Path(tempfile.mkdtemp(prefix="clustrix-ssh-"))  # for this user only
        is_windows = os.name == "nt"
        launcher = self._directory / ("askpass.cmd" if is_windows else "askpass")
        launcher.write_bytes((_WINDOWS if is_windows else _POSIX).encode())
        launcher.chmod(0o700)
        self._listener = Listener(None if is_windows else str(self._directory / "socket"), authkey=self._key.encode())
        self._is_closing = threading.Event()
        self.environment = {
            "SSH_ASKPASS": str(launcher),
            "SSH_ASKPASS_REQUIRE": "force",
            # OpenSSH before 8.4 asks a program only if there seems to be a screen.
            "DISPLAY": os.environ.get("DISPLAY", ":0"),
            "CLUSTRIX_ASKPASS": str(self._listener.address),
            "CLUSTRIX_ASKPASS_KEY": self._key,
            "CLUSTRIX_ASKPASS_PYTHON": sys.executable,
            "CLUSTRIX_ASKPASS_PROGRAM": str(_PROGRAM),
        }
        # A notebook knows by its context whose cell is asking.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._serve,), name="clustrix-askpass", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        # Nothing else ends the wait of the thread that accepts. It may have ended just now: so without a key, whose proof nobody would ask for.
        with contextlib.suppress(OSError):
            Client(self._listener.address).close()
        self._listener.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            with contextlib.suppress(OSError, EOFError, AuthenticationError), self._listener.accept() as client:
                if not self._is_closing.is_set():
                    self._answer(client)

    def _answer(self, client: Any) -> None:
        kind, _, question = client.recv_bytes().decode(errors="replace").partition("\n")
        if kind == "none":
            self._prompts.show(question)
            answer: str | None = ""
        elif kind == "confirm":
            said = self._prompts.answer(f"{question} (yes/no) ", is_secret=False)
            answer = said if said is not None and said.strip().lower() in ("y", "yes") else None
        else:
            answer = self._prompts.answer(question)
        # One byte in front: an empty answer is another thing than none.
        client.send_bytes(b"" if answer is None else b"=" + answer.encode())
