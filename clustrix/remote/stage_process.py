"""The process of the serialization environment (VENV1) in a job: it answers the runner, one question after the other.

Questions and answers are messages of frames over two pipes. It gets neither the job's key nor a module of the user's.

    {"ask": "function", "package": directory, "entry": entry}   ->  {"path": path or null}, and the source as the body
    {"ask": "value", "target": [3, 6]}, and a pickle            ->  {"is_opened": true}, and the pickle for that Python,
                                                                    or {"is_opened": false}: it passes as it is

Its first message is {"who": [executable, version, pid]}. An answer {"error": text} says what went wrong.
"""

import contextlib
import os
import signal
import sys
from typing import Any, BinaryIO, Dict, NamedTuple, Optional, Tuple

from . import wire
from .frames import MAX_BODY, FrameError, encode_frame, read_frame

__all__ = ["Source", "Who", "function_source", "receive", "send", "serve", "this_process"]

_IGNORED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU", "SIGTSTP")


class Who(NamedTuple):
    """An interpreter and the process it runs in."""

    executable: str
    version: str
    pid: int


class Source(NamedTuple):
    """The text of a package's main file, or a function's bytecode, and its path; no path if the function is in a module of its own."""

    path: Optional[str]
    text: bytes


def this_process() -> Who:
    """The interpreter and process that run this."""
    # `platform` says the same, and takes longer than all else here, for it imports what it asks other systems with.
    return Who(sys.executable, "%d.%d.%d" % sys.version_info[:3], os.getpid())


def function_source(package: str, entry: Dict[str, str]) -> Source:
    """The source of the function that is ``entry`` of the package in the directory ``package``."""
    name = {"main": "main.py", "bytecode": "function.pickle"}.get(entry["kind"])
    if name is None:
        return Source(None, b"")
    path = os.path.join(package, name)
    with open(path, "rb") as stream:
        return Source(path, stream.read())


def serve(incoming: str, outgoing: str) -> None:
    """Answer over these file descriptors until the runner closes them or is gone."""
    # A process that is nobody's child: the function may wait for all of its own.
    if os.fork():
        os._exit(0)
    # What the scheduler or the function sends to all of the job is for the function, which may go on.
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    questions, answers = os.fdopen(int(incoming), "rb"), os.fdopen(int(outgoing), "wb")
    with contextlib.suppress(BrokenPipeError, FrameError):
        send(answers, {"who": this_process()})
        while True:
            question = receive(questions)
            if question is None:
                return
            try:
                head, body = _answer(*question)
            except Exception:  # noqa: BLE001 - whatever it is, the runner says it
                import traceback  # noqa: PLC0415 - the runner, which fails elsewhere, imports this module, too

                head, body = {"error": traceback.format_exc()}, b""
            send(answers, head, body)


def _answer(head: Dict[str, Any], body: bytes) -> Tuple[Dict[str, Any], bytes]:
    if head["ask"] == "function":
        source = function_source(head["package"], head["entry"])
        return {"path": source.path}, source.text
    written = wire.rewrite(body, tuple(head["target"]))
    return {"is_opened": written is not None}, written or b""


def send(stream: BinaryIO, head: Dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    rest = memoryview(body)
    while len(rest) > MAX_BODY:
        stream.writelines(encode_frame(dict(head, more=True), rest[:MAX_BODY]))
        head, rest = {}, rest[MAX_BODY:]
    stream.writelines(encode_frame(head, rest))
    stream.flush()


def receive(stream: BinaryIO) -> Optional[Tuple[Dict[str, Any], bytes]]:
    """The next message, or None at the end of the stream."""
    frame = read_frame(stream.read)
    if frame is None:
        return None
    head, parts = frame[0], [frame[1]]
    while frame[0].get("more"):
        frame = read_frame(stream.read)
        if frame is None:
            raise FrameError("the stream ended inside a message")
        parts.append(frame[1])
    return head, b"".join(parts)
