"""The first code that runs on the login node: unpacks the agent if its content is not there yet, and becomes it.

The client sends this file's text, with the text of paths.py in the place of its import. It talks in lines until the
agent takes over: each answer is a line break, the client's nonce and a JSON object, so that what the login shell prints
before (banners, messages of the day) does no harm.
"""

import json
import os
import platform
import sys
from typing import Any, BinaryIO, Dict

from .paths import StateDirError, open_state_dir, remove_tree

__all__ = ["start"]

LARGEST_LOG = 1 << 20  # bytes


def start() -> None:
    """Read the client's hello from stdin, get the agent, run it until the stream closes."""
    incoming = sys.stdin.buffer
    # What the agent writes goes to a copy of stdout; stdout itself is stderr from now on, so no stray print breaks it.
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    hello = json.loads(incoming.readline().decode("utf-8"))
    nonce = hello["nonce"]
    try:
        state = open_state_dir(hello["state_dir"])
        root = state.agent(hello["digest"])
        if not os.path.isdir(root):
            _say(outgoing, nonce, {"need": "agent"})
            _unpack(incoming.read(int(incoming.readline())), hello["digest"], root)
    except (StateDirError, OSError, ValueError) as error:
        _say(outgoing, nonce, {"error": str(error)})
        return
    facts = {
        "python": platform.python_version(),
        "host": platform.node(),
        "home": os.path.expanduser("~"),
        "root": state.root,
        "pid": os.getpid(),
    }
    _say(outgoing, nonce, {"ready": facts})
    _log_to(os.path.join(os.path.dirname(root), "log"))
    sys.path.insert(0, root)
    agent = __import__("clustrix_remote.agent", fromlist=["main"])
    agent.main(incoming, outgoing, state, root)


def _log_to(path: str) -> None:
    """From now on stderr is a file: nobody reads the stream's own, and a full one would stop the agent."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(log).st_size > LARGEST_LOG:
        os.ftruncate(log, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _say(outgoing: BinaryIO, nonce: str, answer: Dict[str, Any]) -> None:
    outgoing.write(("\n%s %s\n" % (nonce, json.dumps(answer))).encode("utf-8"))


def _unpack(archive: bytes, digest: str, root: str) -> None:
    # Most starts find the agent there, and these take as long to import as half of it.
    import compileall  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    import io  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    if hashlib.sha256(archive).hexdigest()[: len(digest)] != digest:
        raise ValueError("the agent arrived damaged: try again")
    aside = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(root))
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            package.extractall(aside)
        if os.path.isdir(root):  # of several agents that start at once one is faster
            return
        compileall.compile_dir(aside, quiet=2)
        os.rename(aside, root)
    except OSError:
        if not os.path.isdir(root):
            raise
    finally:
        remove_tree(aside)
