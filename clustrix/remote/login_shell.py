"""The user's login shell, where the site's commands and modules are: bounded in time and in what it may say."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
import uuid
from typing import List, NamedTuple, Optional, Sequence

__all__ = ["Said", "ask_login_shell", "login_path"]

MOST_SAID = 8 << 20  # bytes; a profile that prints for ever ends here

# What a profile prints comes before "begin", and what it left running can't hold the answer up after "end".
_FRAME = 'exec 2>&1\nprintf \'\\n%%s begin\\n\' "$0"\n%s\nprintf \'\\n%%s end %%d\\n\' "$0" "$?"\n'


class Said(NamedTuple):
    """What a program of a login shell printed to stdout and stderr together, and its exit status."""

    status: int
    output: str


def ask_login_shell(program: str, arguments: Sequence[str] = (), seconds: float = 20.0) -> Optional[Said]:
    """Run shell text in a login bash, as job scripts do; None when it has not ended after ``seconds``.

    ``arguments`` are its ``$1`` and so on. Whatever it started is ended with it.
    """
    nonce = "clustrix-" + uuid.uuid4().hex
    try:
        process = subprocess.Popen(
            ["/bin/bash", "-l", "-c", _FRAME % program, nonce, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:  # a site without bash has no modules that a job script could load
        return None
    try:
        heard = _listen(process, nonce.encode("ascii"), time.time() + seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    said = re.search(r"\n%s begin\n(.*?)\n%s end (\d+)\n" % (nonce, nonce), heard, re.DOTALL)
    return Said(int(said.group(2)), said.group(1)) if said else None


def _listen(process: "subprocess.Popen[bytes]", nonce: bytes, deadline: float) -> str:
    """All that comes until the end is said, the pipe is closed or time is up."""
    heard, end = bytearray(), re.compile(nonce + rb" end \d+\n")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        while len(heard) < MOST_SAID and not end.search(heard, max(0, len(heard) - (1 << 16) - 100)):
            if not selector.select(max(0.0, deadline - time.time())):
                break
            piece = os.read(process.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
            if not piece:
                break
            heard += piece
    return heard.decode("utf-8", "replace")


_PATH: List[str] = []


def login_path() -> str:
    """The PATH of a login shell: sites that put programs there leave them out for commands over SSH."""
    if not _PATH:
        said = ask_login_shell('printf %s "$PATH"')
        _PATH.append(said.output if said else "")
    return _PATH[0]
