"""Requests, answers and events over one byte stream to the agent."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import itertools
import json
import queue
import re
import secrets
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clustrix import errors, remote
from clustrix.connection.transfers import Transfer
from clustrix.remote.passing import Passing
from clustrix.remote.script import UTF8_IF_UNSET
from clustrix.remote.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "Connection", "Pipe", "agent_archive"]

LONGEST_SILENCE = 60.0
"""Seconds without any sign of life after which a line is dead."""

_LOST = "the connection to %s was lost: %s"
# In slices whoever watches the line sees that they get through; and paramiko copies what is left after each packet:
# one call with 200 MB takes minutes, slices half a second.
_SLICE = 1 << 16
_MOST_NOISE = 1 << 26  # bytes that a login shell may print before the agent starts


class Pipe(Protocol):
    """A running command: its stdin and stdout as one byte stream."""

    @property
    def is_asking(self) -> bool:
        """Whether the user is asked something before the command can run, and may take their time."""

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; fewer at the end of the stream only."""

    def write(self, data: Any) -> None:
        """Write all of a bytes-like object."""

    def complaint(self) -> str:
        """What the command wrote to stderr so far, or the reason why the stream ended."""

    def abort(self) -> None:
        """End the stream at once, for nothing comes through it any more."""

    def close(self) -> None:
        """Close the stream; the command sees the end of its stdin."""


class Connection(Protocol):
    """A way to run one command on the login node."""

    def start(self, command: str) -> Pipe:
        """Connect if need be and run ``command`` in the user's login shell.

        Raises ClusterConnectionError and its kin.
        """

    def close(self) -> None:
        """Close everything that ``start`` opened."""


class Channel:
    """The agent on one host, started over ``connection``. Usable from many threads.

    Of a line on which nothing gets through for ``silence`` seconds, whoever waits is told that it is lost.
    """

    def __init__(
        self,
        connection: Connection,
        host: str,
        state_dir: str,
        *,
        timeout: float,
        silence: float = LONGEST_SILENCE,
        on_event: Callable[[dict[str, Any], bytes | bytearray], None],
        on_lost: Callable[[errors.ClusterConnectionError], None],
        on_progress: Callable[[str], object] | None = None,
    ) -> None:
        self._host = host
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_progress = on_progress
        self._transfers: dict[Any, Transfer] = {}
        self._ids = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any] | errors.ClusterConnectionError]] = {}
        self._lost: errors.ClusterConnectionError | None = None
        self._is_closing = False
        self._is_silent = False
        self._guard = threading.Lock()
        self._pipe, self.facts = _start_agent(connection, host, state_dir, timeout)
        self._silence = silence
        self._last_sign = time.monotonic()
        self._is_over = threading.Event()
        self._stream = Stream(self._read, self._write, self._on_part)
        threading.Thread(target=self._read_all, name="clustrix-channel", daemon=True).start()
        threading.Thread(target=self._keep_alive, name="clustrix-keep-alive", daemon=True).start()

    @property
    def is_open(self) -> bool:
        return self._lost is None and not self._is_closing

    def request(
        self,
        operation: str,
        head: dict[str, Any],
        body: tuple[Any, ...] = (),
        pieces: Callable[[str, dict[str, Any]], bytes] | None = None,
        on_progress: Callable[[str], object] | None = None,
    ) -> dict[str, Any]:
        """Send one request and wait for its answer. ``body`` are bytes-like objects, sent as one; they must not change.

        Bytes that come with the answer are its "body". ``pieces`` gives what the agent says that it needs, by its name and the head that asks for it. An error of the agent is raised as the
        class of clustrix.errors that it names; a lost connection as ClusterConnectionError.
        """
        number = next(self._ids)
        answers: queue.SimpleQueue[dict[str, Any] | errors.ClusterConnectionError] = queue.SimpleQueue()
        with self._guard:
            if self._lost:
                raise self._lost
            self._answers[number] = answers
        try:
            self._send({**head, "id": number, "op": operation}, *body, say=on_progress)
            while True:
                answer = answers.get()
                if isinstance(answer, errors.ClusterConnectionError):
                    raise answer
                if "need" in answer:
                    self._send_piece(number, answer, pieces, on_progress)
                elif "progress" in answer:
                    if on_progress:
                        on_progress(Passing(answer["progress"]) if answer["is_passing"] else answer["progress"])
                elif "error" in answer:
                    raise _rebuild(answer["error"], self._host)
                else:
                    ok: dict[str, Any] = answer["ok"]
                    return ok
        finally:
            self._answers.pop(number, None)

    def close(self) -> None:
        """Close the stream; the agent ends by itself. Jobs go on."""
        self._is_closing = True
        if self._lost:
            self._pipe.abort()
        self._stream.close()
        self._pipe.close()

    def _send_piece(
        self,
        number: int,
        asked: dict[str, Any],
        pieces: Callable[[str, dict[str, Any]], bytes] | None,
        say: Callable[[str], object] | None,
    ) -> None:
        try:
            if pieces is None:
                raise errors.ClusterConnectionError(
                    f"{self._host} asks for {asked['need']!r}, and nothing was to be sent"
                )
            body = pieces(asked["need"], asked)
        except BaseException:
            # The agent waits for it; it shall not wait for as long as the connection lasts.
            self._send({"id": number, "piece": None})
            raise
        self._send({"id": number, "piece": asked["need"]}, body, say=say)

    def _send(self, head: dict[str, Any], *body: Any, say: Callable[[str], object] | None = None) -> None:
        try:
            self._stream.send(head, *body, on_sent=Transfer("sending", say) if say else None)
        except BrokenPipeError as error:
            raise self._lost or errors.ClusterConnectionError(_LOST % (self._host, error)) from error

    def _on_part(self, head: dict[str, Any], done: int, total: int) -> None:
        if self._on_progress is not None and "event" in head:
            told = self._transfers.setdefault(
                head["id"], Transfer(f"receiving the result of {head['job']}:", self._on_progress, head["job"])
            )
            told(done, total)
            if done == total:
                del self._transfers[head["id"]]

    def _read(self, size: int) -> bytes:
        if size <= _SLICE:
            return self._noted(self._pipe.read(size))
        parts = []
        while size:
            part = self._noted(self._pipe.read(min(size, _SLICE)))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _noted(self, part: bytes) -> bytes:
        self._last_sign = time.monotonic()
        return part

    def _write(self, data: Any) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            part = view[start : start + _SLICE]
            self._pipe.write(part)
            # That a few bytes were taken says nothing: they may lie in a buffer of this machine's.
            if len(part) == _SLICE:
                self._last_sign = time.monotonic()

    def _keep_alive(self) -> None:
        """Ask for a sign of life where there was none: a line may be dead, and neither side told so (a laptop that slept, a NAT that forgot)."""
        while not self._is_over.wait(self._silence / 4):
            quiet = time.monotonic() - self._last_sign
            if quiet > self._silence:
                self._is_silent = True
                self._pipe.abort()
                return
            if quiet > self._silence / 4:
                with contextlib.suppress(errors.ClusterConnectionError):
                    self._send({"id": next(self._ids), "op": "ping"})

    def _read_all(self) -> None:
        cause: BaseException | None = None
        try:
            while message := self._stream.receive():
                head, body = message
                if "event" in head:
                    self._on_event(head, body)
                elif waiting := self._answers.get(head["id"]):
                    waiting.put({**head, "ok": {**head["ok"], "body": body}} if len(body) else head)
        except Exception as error:  # noqa: BLE001 - whatever ended the stream is told to everyone who waits
            cause = error
        why: Any = cause or self._pipe.complaint()
        if self._is_silent:
            why = f"nothing was heard of it for {self._silence:g} s"
        self._is_over.set()
        lost = errors.ClusterConnectionError(_LOST % (self._host, why or "the host or the network ended it"))
        with self._guard:
            self._lost = lost
            waiting_all = list(self._answers.values())
        for waiting in waiting_all:
            waiting.put(lost)
        if not self._is_closing:
            self._on_lost(lost)


@functools.cache
def agent_archive() -> tuple[str, bytes]:
    """The agent's code as a ZIP, and its digest: equal code is equal bytes."""
    root = Path(remote.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.py"), key=lambda item: item.relative_to(root).as_posix()):
            name = path.relative_to(root).as_posix()
            target = name if name == "run_job.py" else f"clustrix_remote/{name}"
            archive.writestr(zipfile.ZipInfo(target, date_time=(1980, 1, 1, 0, 0, 0)), path.read_bytes())
    content = buffer.getvalue()
    return hashlib.sha256(content).hexdigest()[:16], content


@functools.cache
def _bootstrap() -> bytes:
    """bootstrap.py with the text of paths.py in the place of its import: it runs before anything is unpacked."""
    root = Path(remote.__file__).parent
    paths = (root / "paths.py").read_text(encoding="utf-8")
    text = (root / "bootstrap.py").read_text(encoding="utf-8")
    return (paths + re.sub(r"(?m)^from \.paths import .*$", "", text)).encode("utf-8")


def _launcher(nonce: str) -> str:
    """The command line that finds a Python 3.6 or newer and has it read its program from stdin.

    One line without quotes inside quotes, ``!`` or backslashes, so that csh and fish hand it to sh as it stands.
    No word of it comes from the user.
    """
    names = ["python3", "/usr/libexec/platform-python", *(f"python3.{minor}" for minor in range(14, 5, -1))]
    return (
        f"exec /bin/sh -c '{UTF8_IF_UNSET}; for p in {' '.join(names)}; do "
        'if "$p" -I -S -c "import sys; sys.exit(sys.version_info < (3, 6))" </dev/null 2>/dev/null; then '
        f'exec "$p" -I -c "import sys; exec(sys.stdin.buffer.read({len(_bootstrap())}).decode()); start()"; fi; done; '
        f'echo; echo {nonce} "{{}}"\''
    )


def _start_agent(connection: Connection, host: str, state_dir: str, timeout: float) -> tuple[Pipe, dict[str, Any]]:
    nonce = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    pipe = connection.start(_launcher(nonce))
    digest, archive = agent_archive()
    # A login shell that waits for input, or a home that hangs, would keep this thread for good.
    has_started = threading.Event()
    threading.Thread(target=_give_up, args=(pipe, timeout, has_started), name="clustrix-give-up", daemon=True).start()
    try:
        hello = {"nonce": nonce, "digest": digest, "state_dir": state_dir}
        # A host that ends the command at once breaks this write; what it said is read below.
        with contextlib.suppress(OSError):
            pipe.write(_bootstrap() + json.dumps(hello).encode() + b"\n")
        answer = _answer(pipe, nonce, host)
        if answer.get("need") == "agent":
            pipe.write(f"{len(archive)}\n".encode() + archive)
            answer = _answer(pipe, nonce, host)
        if "error" in answer:
            raise errors.ConfigurationError(f"{host}: {answer['error']}")
        if "ready" not in answer:
            raise errors.ClusterConnectionError(
                f"{host} has no Python 3.6 or newer on the PATH of its login node: ask for one to be installed there"
            )
    except BaseException as error:
        pipe.close()
        if isinstance(error, OSError) and not isinstance(error, errors.ClustrixError):
            raise errors.ClusterConnectionError(f"{host}: the agent did not start: {error}") from error
        raise
    finally:
        has_started.set()
    facts: dict[str, Any] = answer["ready"]
    return pipe, facts


def _give_up(pipe: Pipe, timeout: float, has_started: threading.Event) -> None:
    while not has_started.wait(timeout):
        if not pipe.is_asking:
            pipe.abort()
            return


def _answer(pipe: Pipe, nonce: str, host: str) -> dict[str, Any]:
    """The next line that begins with our nonce; whatever a login shell prints before is skipped."""
    marker, said, length = nonce.encode() + b" ", b"", 0
    while length < _MOST_NOISE:
        line = _line(pipe)
        if line.startswith(marker):
            answer: dict[str, Any] = json.loads(line[len(marker) :])
            return answer
        if not line:
            break
        said, length = (said + line)[-1000:], length + len(line)
    words = " ".join((said.decode(errors="replace") + " " + pipe.complaint()).split())[-1000:]
    raise errors.ClusterConnectionError(f"{host}: the agent did not start; the host said: {words or 'nothing'}")


def _line(pipe: Pipe) -> bytes:
    """The next line with its end; shorter at the end of the stream, or when a host sends 64 KiB without one."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < 1 << 16:
        byte = pipe.read(1)
        if not byte:
            break
        line += byte
    return bytes(line)


def _rebuild(error: dict[str, str], host: str) -> errors.ClustrixError:
    kind = getattr(errors, error["type"], errors.ClustrixError)
    rebuilt: errors.ClustrixError = kind(f"{host}: {error['message']}")
    return rebuilt
