"""Who reads and writes for a job: the runner itself, or a process of the serialization environment (VENV1).

Either way it is the runner that compiles the function's source, calls it, and seals the result.
"""

import contextlib
import os
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

from .frames import MAX_BODY, FrameError
from .stage_process import Source, Who, function_source, receive, send, this_process

__all__ = ["Serialization", "SerializationProcess", "StageError", "ThisProcess", "serialization_stage"]

# Bytes. A value that is opened takes many times its pickle's size, and the job's memory is the function's.
LARGEST_OPENED = MAX_BODY

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from clustrix_remote.stage_process import serve; serve(*sys.argv[2:])"
)


class StageError(Exception):
    """The serialization environment's process can't do its part; the message says why."""


class ThisProcess:
    """The short way: the runner reads the function's source, and pickles stay what they are."""

    def __init__(self) -> None:
        self.who = this_process()

    def function(self, package: str, entry: Dict[str, str]) -> Source:
        """The source of the function that is ``entry`` of the package in the directory ``package``."""
        return function_source(package, entry)

    def value(self, pieces: Sequence[Any], target: Tuple[int, int]) -> Sequence[Any]:  # noqa: ARG002 - as the other way has it
        """The value that ``pieces`` make up, for a reader of Python ``target``."""
        return pieces


class SerializationProcess:
    """The same, asked of a process of the interpreter ``python``, which needs ``modules``. Every method may raise StageError."""

    def __init__(self, python: str, modules: List[str]) -> None:
        # Most jobs read and write for themselves, and begin the sooner.
        import subprocess  # noqa: PLC0415

        from .script import with_modules  # noqa: PLC0415

        self._python = python
        (questions, write), (read, answers) = os.pipe(), os.pipe()
        self._write, self._read = os.fdopen(write, "wb"), os.fdopen(read, "rb")
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        arguments = ["-I", "-W", "ignore", "-c", _PROGRAM, root, str(questions), str(answers)]
        try:
            # Its stdin and stdout are not the stream: a login shell that loads modules may write there, too.
            status = subprocess.call(
                with_modules(modules, [python, *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=(questions, answers),
            )
        except OSError as error:
            self.close()
            raise StageError("the serialization environment's Python can't be started: %s" % error) from error
        finally:
            os.close(questions)
            os.close(answers)
        if status != 0:
            self.close()
            raise StageError(
                "the serialization environment's Python, %s, ended with exit status %d as it started" % (python, status)
            )
        self.who = Who(*self._answer("start")[0]["who"])

    def function(self, package: str, entry: Dict[str, str]) -> Source:
        """As ``ThisProcess.function``."""
        head, text = self._ask({"ask": "function", "package": package, "entry": entry})
        return Source(head["path"], text)

    def value(self, pieces: Sequence[Any], target: Tuple[int, int]) -> Sequence[Any]:
        """As ``ThisProcess.value``; written anew if it needs nothing but the standard library and is not too large to be opened."""
        if sum(len(piece) for piece in pieces) > LARGEST_OPENED:
            return pieces
        head, written = self._ask({"ask": "value", "target": target}, b"".join(pieces))
        return [written] if head["is_opened"] else pieces

    def close(self) -> None:
        """The process ends as its stream does."""
        for stream in (self._write, self._read):
            with contextlib.suppress(OSError):
                stream.close()

    def _ask(self, head: Dict[str, Any], body: bytes = b"") -> Tuple[Dict[str, Any], bytes]:
        try:
            send(self._write, head, body)
        except (OSError, ValueError) as error:
            raise self._lost(head["ask"]) from error
        return self._answer(head["ask"])

    def _answer(self, what: str) -> Tuple[Dict[str, Any], bytes]:
        try:
            answer = receive(self._read)
        except (OSError, ValueError, FrameError) as error:
            raise self._lost(what) from error
        if answer is None:
            raise self._lost(what)
        if "error" in answer[0]:
            raise StageError("the serialization environment's process failed (%s): %s" % (what, answer[0]["error"]))
        return answer

    def _lost(self, what: str) -> StageError:
        return StageError(
            "the serialization environment's process (%s) ended too early (%s): something there killed it, or closed its pipes"
            % (self._python, what)
        )


Serialization = Union[ThisProcess, SerializationProcess]


@contextlib.contextmanager
def serialization_stage(spec: Dict[str, Any]) -> Iterator[Serialization]:
    """Who reads and writes for the job of ``spec``: a process of its ``stages_python``, or this one if that is null."""
    if spec["stages_python"] is None:
        yield ThisProcess()
        return
    process = SerializationProcess(spec["stages_python"], spec["stages_modules"])
    try:
        yield process
    finally:
        process.close()
