"""Answers the questions of a running ssh, by SSH_ASKPASS: a small program of ours speaks to this process over the loopback.

So passwords and codes are on no command line, in no environment and in no file, and notebooks, which have no terminal, can ask too.
Both ends prove that they have a random key, which is in the environment of that ssh, where only its user sees it. A client that is
killed leaves nothing: a port ends with its process, and the launcher that ssh starts is the same for all, kept as a cache.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import os
import secrets
import socket
import sys
import tempfile
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import platformdirs

from clustrix.errors import ClusterConnectionError

if TYPE_CHECKING:
    from clustrix.connection.prompts import Prompts

__all__ = ["Askpass"]

_PROGRAM = Path(__file__).with_name("askpass_program.py")
# ssh runs one program without arguments of ours. No word of these comes from data.
_POSIX = '#!/bin/sh\nexec "$CLUSTRIX_ASKPASS_PYTHON" -I "$CLUSTRIX_ASKPASS_PROGRAM" "$@"\n'
_WINDOWS = '@"%CLUSTRIX_ASKPASS_PYTHON%" -I "%CLUSTRIX_ASKPASS_PROGRAM%" %*\r\n'


class Askpass:
    """Listens until it is closed; ``environment`` is what has an ssh ask here.

    :raises ClusterConnectionError: there is no place for the launcher
    """

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._key = secrets.token_hex(16).encode()
        launcher = _launcher()
        self._listener = Listener(("127.0.0.1", 0))
        self._address = cast("tuple[str, int]", self._listener.address)
        self._is_closing = threading.Event()
        self.environment = {
            "SSH_ASKPASS": str(launcher),
            "SSH_ASKPASS_REQUIRE": "force",
            # OpenSSH before 8.4 asks a program only if there seems to be a screen.
            "DISPLAY": os.environ.get("DISPLAY", ":0"),
            "CLUSTRIX_ASKPASS_PORT": str(self._address[1]),
            "CLUSTRIX_ASKPASS_KEY": self._key.decode(),
            "CLUSTRIX_ASKPASS_PYTHON": sys.executable,
            "CLUSTRIX_ASKPASS_PROGRAM": str(_PROGRAM),
        }
        # A notebook knows by its context whose cell is asking.
        self._context = contextvars.copy_context()
        self._thread = threading.Thread(target=self._serve, name="clustrix-askpass", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        # Nothing else ends the wait of the thread that accepts. It may have ended just now.
        with contextlib.suppress(OSError):
            socket.create_connection(self._address).close()
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            with contextlib.suppress(OSError):
                client = self._listener.accept()
                # Anybody on this machine can connect and say nothing: that keeps nobody else waiting.
                one = self._context.copy()
                threading.Thread(target=one.run, args=(self._meet, client), name="clustrix-answer", daemon=True).start()

    def _meet(self, client: Any) -> None:
        with contextlib.suppress(OSError, EOFError, AuthenticationError), client:
            deliver_challenge(client, self._key)
            answer_challenge(client, self._key)
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


def _launcher() -> Path:
    """The program that ssh starts, in this user's own cache. It is named by its content, and always has it."""
    directory = Path(platformdirs.user_cache_dir("clustrix", appauthor=False))
    text = (_WINDOWS if os.name == "nt" else _POSIX).encode()
    path = directory / f"askpass-{hashlib.sha256(text).hexdigest()[:16]}{'.cmd' if os.name == 'nt' else ''}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != text or not os.access(path, os.X_OK):
            handle, aside = tempfile.mkstemp(dir=directory, prefix=".askpass-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(text)
            Path(aside).chmod(0o700)
            Path(aside).replace(path)
    except OSError as error:
        raise ClusterConnectionError(
            f"no program that asks for passwords can be kept in {directory}: {error}. Make room there, or set XDG_CACHE_HOME"
        ) from error
    return path
