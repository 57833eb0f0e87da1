"""Messages over a byte stream, many at once: both ends of the connection use this one class.

One thread writes and the caller's thread reads. Nothing that reads ever waits for a write, so two ends that send large
bodies to each other at once can't block each other. A message has at most WINDOW bytes under way until the other side
grants credit, and messages take turns frame by frame, so a small one overtakes a large one.
"""

import collections
import threading
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union

from .frames import MAX_BODY, MessageError, encode_head, framed, read_frame

__all__ = ["WINDOW", "Stream"]

WINDOW = 4 * MAX_BODY
LONGEST_ID = 100  # characters

OnPart = Callable[[int, int], object]
"""Is told the bytes that are done, and how many there are in all."""


class _Outgoing:
    """A message on its way out: its head goes with the first frame, its body in slices, none of two pieces at once."""

    def __init__(self, head: Dict[str, Any], body: Tuple[Any, ...] = (), on_sent: Optional[OnPart] = None) -> None:
        self.rest = collections.deque(memoryview(piece).cast("B") for piece in body if len(piece))
        self.size = sum(len(piece) for piece in self.rest)
        self.id = head.get("id")
        is_long = self.size > MAX_BODY or len(self.rest) > 1
        # Here, where who sends it is told of a head that can't be sent; the thread that writes could tell nobody.
        self._first_head = encode_head(dict(head, more=True, size=self.size) if is_long else head)
        self.allowed = WINDOW
        self._sent = 0
        self._on_sent = on_sent

    def next_frame(self) -> List[Any]:
        body = memoryview(b"")
        if self.rest:
            body = self.rest.popleft()
            if len(body) > MAX_BODY:
                self.rest.appendleft(body[MAX_BODY:])
                body = body[:MAX_BODY]
        self.allowed -= len(body)
        head, self._first_head = self._first_head, b""
        following = {"id": self.id, "more": True} if self.rest else {"id": self.id}
        return framed(head or encode_head(following), body)

    def note_sent(self, size: int) -> None:
        self._sent += size
        if self._on_sent is not None:
            self._on_sent(self._sent, self.size)


class _Incoming:
    """A message of which only a part has come: its body lies where the whole will be."""

    def __init__(self, head: Dict[str, Any]) -> None:
        self.head = {key: value for key, value in head.items() if key not in ("more", "size")}
        try:
            self._body = bytearray(_count(head, "size"))
        except (MemoryError, OverflowError) as error:
            raise MessageError("no room for a message of %d bytes" % head["size"], head["id"]) from error
        self._filled = 0

    def add(self, part: bytes) -> Tuple[int, int]:
        """(bytes that have come, all there are)."""
        end = self._filled + len(part)
        if end > len(self._body):
            raise MessageError("a message of %d bytes has more of them" % len(self._body), self.head["id"])
        self._body[self._filled : end] = part
        self._filled = end
        return end, len(self._body)

    def whole(self) -> bytearray:
        if self._filled < len(self._body):
            raise MessageError(
                "a message of %d bytes ended after %d" % (len(self._body), self._filled), self.head["id"]
            )
        return self._body


def _id_of(head: Dict[str, Any]) -> Union[int, str]:
    message_id = head.get("id")
    if isinstance(message_id, bool) or not isinstance(message_id, (int, str)) or len(str(message_id)) > LONGEST_ID:
        raise MessageError("a message whose id is no number and no short text: %.100r" % (message_id,))
    return message_id


def _count(head: Dict[str, Any], key: str) -> int:
    """A number of bytes that a head tells."""
    number = head.get(key)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise MessageError("a message whose %r is no number of bytes: %.100r" % (key, number), head["id"])
    return number


class Stream:
    """Sends and receives messages over ``read(n)`` (exactly n bytes, fewer at the end) and ``write(buffer)``."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        write: Callable[[Any], Any],
        on_part: Optional[Callable[[Dict[str, Any], int, int], object]] = None,
    ) -> None:
        """``on_part`` is told the head of a message of which another part has come, how much there is, and how much there will be."""
        self._read = read
        self._write = write
        self._on_part = on_part
        self._wake = threading.Condition()
        self._ready: Deque[_Outgoing] = collections.deque()
        self._parked: Dict[Any, _Outgoing] = {}
        self._large: Dict[Any, _Outgoing] = {}  # all that are longer than one frame, wherever they are now
        self._incoming: Dict[Any, _Incoming] = {}
        self._closing = False
        self._failure: Optional[BaseException] = None
        self._writer = threading.Thread(target=self._write_all, name="stream-writer", daemon=True)
        self._writer.start()

    def send(self, head: Dict[str, Any], *body: Any, on_sent: Optional[OnPart] = None) -> None:
        """Queue one message and return. ``body`` are bytes-like objects, sent as one; they must not change until then.

        ``on_sent`` is called by the thread that writes.
        Raises BrokenPipeError when the stream is closed or an earlier write failed, FrameError for a head that is too long.
        """
        message = _Outgoing(head, body, on_sent)
        with self._wake:
            if self._closing or self._failure:
                raise BrokenPipeError("the stream is closed: %s" % (self._failure or "by this side"))
            self._ready.append(message)
            self._wake.notify()

    def receive(self) -> Optional[Tuple[Dict[str, Any], Union[bytes, bytearray]]]:
        """The next whole message, or None at the end of the stream. Called by one thread only.

        A body of several frames is a bytearray of its own, so that whatever is large in it can stay there.
        Raises MessageError for one message that makes no sense, after which the next can be received.
        """
        while True:
            frame = read_frame(self._read)
            if frame is None:
                return None
            head, body = frame
            message_id = _id_of(head)
            if "credit" in head:
                self._grant(message_id, _count(head, "credit"))
                continue
            message = self._incoming.get(message_id)
            if message is None:
                if not head.get("more"):
                    return head, body
                message = self._incoming[message_id] = _Incoming(head)
            try:
                done, total = message.add(body)
            except MessageError:
                del self._incoming[message_id]
                raise
            if self._on_part is not None:
                self._on_part(message.head, done, total)
            if head.get("more"):
                self._give_credit(message_id, len(body))
                continue
            del self._incoming[message_id]
            return message.head, message.whole()

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

    def _grant(self, message_id: Union[int, str], size: int) -> None:
        with self._wake:
            message = self._large.get(message_id)
            if message is None:
                return
            message.allowed += size
            if self._parked.pop(message_id, None):
                self._ready.append(message)
                self._wake.notify()

    def _give_credit(self, message_id: Any, size: int) -> None:
        credit = _Outgoing({"id": message_id, "credit": size})
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
            if message.rest:
                self._large[message.id] = message
            return message, frame

    def _put_back(self, message: _Outgoing) -> None:
        with self._wake:
            if not message.rest:
                # Credit for a message of the other side's has the id of that, which may be that of one of this side's.
                if self._large.get(message.id) is message:
                    del self._large[message.id]
            elif message.allowed > 0:
                self._ready.append(message)
            else:
                self._parked[message.id] = message

    def _write_all(self) -> None:
        try:
            while True:
                following = self._next_frame()
                if following is None:
                    return
                message, frame = following
                for buffer in frame:
                    self._write(buffer)
                message.note_sent(sum(len(buffer) for buffer in frame[1:]))
                self._put_back(message)
        except Exception as error:  # noqa: BLE001 - kept, and raised by the next send()
            with self._wake:
                self._failure = error
