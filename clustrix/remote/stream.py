"""Messages over a byte stream, many at once: both ends of the connection use this one class.

One thread writes and the caller's thread reads. Nothing that reads ever waits for a write, so two ends that send large
bodies to each other at once can't block each other. A message has at most WINDOW bytes under way until the other side
grants credit, and messages take turns frame by frame, so a small one overtakes a large one.
"""

import collections
import threading
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union

from .frames import MAX_BODY, encode_frame, read_frame

__all__ = ["WINDOW", "Stream"]

WINDOW = 4 * MAX_BODY

MessageId = Union[int, str]


class _Outgoing:
    """A message on its way out: its head goes with the first frame, its body in slices."""

    def __init__(self, head: Dict[str, Any], body: Any) -> None:
        self.head = head
        self.rest = memoryview(body).cast("B") if len(body) else memoryview(b"")
        self.allowed = WINDOW

    def next_frame(self) -> List[Any]:
        body, self.rest = self.rest[:MAX_BODY], self.rest[MAX_BODY:]
        self.allowed -= len(body)
        head = dict(self.head, more=True) if len(self.rest) else self.head
        self.head = {"id": self.head.get("id")}
        return encode_frame(head, body)


class Stream:
    """Sends and receives messages over ``read(n)`` (exactly n bytes, fewer at the end) and ``write(buffer)``."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[Any], Any]) -> None:
        self._read = read
        self._write = write
        self._wake = threading.Condition()
        self._ready: Deque[_Outgoing] = collections.deque()
        self._parked: Dict[Any, _Outgoing] = {}
        self._large: Dict[Any, _Outgoing] = {}  # all that are longer than one frame, wherever they are now
        self._incoming: Dict[Any, Tuple[Dict[str, Any], List[bytes]]] = {}
        self._closing = False
        self._failure: Optional[BaseException] = None
        self._writer = threading.Thread(target=self._write_all, name="stream-writer", daemon=True)
        self._writer.start()

    def send(self, head: Dict[str, Any], body: Any = b"") -> None:
        """Queue one message and return. ``body`` is any bytes-like object; it must not change until it is sent.

        Raises BrokenPipeError when the stream is closed or an earlier write failed.
        """
        with self._wake:
            if self._closing or self._failure:
                raise BrokenPipeError("the stream is closed: %s" % (self._failure or "by this side"))
            self._ready.append(_Outgoing(head, body))
            self._wake.notify()

    def receive(self) -> Optional[Tuple[Dict[str, Any], bytes]]:
        """The next whole message, or None at the end of the stream. Called by one thread only."""
        while True:
            frame = read_frame(self._read)
            if frame is None:
                return None
            head, body = frame
            if "credit" in head:
                self._grant(head)
                continue
            message_id = head.get("id")
            whole, parts = self._incoming.pop(message_id, (head, []))
            if head.get("more"):
                parts.append(body)
                self._incoming[message_id] = (whole, parts)
                self._give_credit(message_id, len(body))
                continue
            if not parts:
                return head, body
            whole = {key: value for key, value in whole.items() if key != "more"}
            return whole, b"".join([*parts, body])

    def close(self, timeout: float = 5.0) -> None:
        """Send what is queued (for at most ``timeout`` seconds), then send nothing more."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if threading.current_thread() is not self._writer:
            self._writer.join(timeout)
        with self._wake:
            # What the other side gave no credit for in time is not sent any more, nor kept.
            self._ready.clear()
            self._parked.clear()
            self._large.clear()
            self._wake.notify()

    def _grant(self, head: Dict[str, Any]) -> None:
        with self._wake:
            message = self._large.get(head.get("id"))
            if message is None:
                return
            message.allowed += int(head["credit"])
            if self._parked.pop(head["id"], None):
                self._ready.append(message)
                self._wake.notify()

    def _give_credit(self, message_id: Any, size: int) -> None:
        credit = _Outgoing({"id": message_id, "credit": size}, b"")
        with self._wake:
            self._ready.appendleft(credit)
            self._wake.notify()

    def _next_frame(self) -> Optional[Tuple[_Outgoing, List[Any]]]:
        with self._wake:
            while not self._ready:
                if self._closing and not self._parked:
                    return None
                self._wake.wait()
            message = self._ready.popleft()
            frame = message.next_frame()
            if len(message.rest):
                self._large[message.head["id"]] = message
            return message, frame

    def _put_back(self, message: _Outgoing) -> None:
        with self._wake:
            if not len(message.rest):
                # Credit for a message of the other side's has the id of that, which may be that of one of this side's.
                if self._large.get(message.head.get("id")) is message:
                    del self._large[message.head["id"]]
            elif message.allowed > 0:
                self._ready.append(message)
            else:
                self._parked[message.head["id"]] = message

    def _write_all(self) -> None:
        try:
            while True:
                following = self._next_frame()
                if following is None:
                    return
                message, frame = following
                for buffer in frame:
                    self._write(buffer)
                self._put_back(message)
        except Exception as error:  # noqa: BLE001 - kept, and raised by the next send()
            with self._wake:
                self._failure = error
