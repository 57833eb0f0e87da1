"""The bytes on the stream: one frame is a JSON head and a binary body, both with their length in front.

    frame := head_length:u32 body_length:u32 head:JSON(UTF-8) body:bytes      (lengths in network byte order)

A message is one or more frames with the same ``id``: all but the last carry ``"more": true`` and only the first
carries anything else in its head, if there are more also the body's ``size``. Bodies are cut into frames of at most MAX_BODY bytes so that other messages overtake.
"""

import json
import struct
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

__all__ = ["MAX_BODY", "FrameError", "MessageError", "encode_frame", "encode_head", "framed", "read_frame"]

MAX_BODY = 1 << 20
MAX_HEAD = 1 << 24
LONGEST_NUMBER = 4000  # digits; Python takes quadratic time for them
_LENGTHS = struct.Struct("!II")


class FrameError(Exception):
    """What came in is not a frame, or ends in the middle of one."""


class MessageError(FrameError):
    """A message that makes no sense, while what comes after it can be read; ``message_id`` is its id, if that is one."""

    def __init__(self, words: str, message_id: Union[int, str, None] = None) -> None:
        super().__init__(words)
        self.message_id = message_id


def encode_frame(head: Dict[str, Any], body: Any = b"") -> List[Any]:
    """The buffers of one frame, to be written in order."""
    return framed(encode_head(head), body)


def encode_head(head: Dict[str, Any]) -> bytes:
    """The text of a head. Raises FrameError for one that is too long."""
    text = json.dumps(head, separators=(",", ":")).encode("utf-8")
    if len(text) >= MAX_HEAD:
        raise FrameError("a head of %d bytes is over the limit" % len(text))
    return text


def framed(text: bytes, body: Any) -> List[Any]:
    """The buffers of the frame with the head ``text``."""
    if len(body) > MAX_BODY:
        raise FrameError("a frame of %d + %d bytes is over the limit" % (len(text), len(body)))
    prefix = _LENGTHS.pack(len(text), len(body)) + text
    return [prefix, body] if len(body) else [prefix]


def read_frame(read: Callable[[int], bytes]) -> Optional[Tuple[Dict[str, Any], bytes]]:
    """The next frame, or None at the end of the stream.

    ``read(n)`` returns exactly n bytes, fewer only at the end (as ``io.BufferedReader.read`` does).
    Text between two frames is skipped: what a login shell left running in the background may print into the stream.
    Raises MessageError for a head that can't be read, FrameError where no frame can be found any more.
    """
    prefix = _beginning(read)
    if not prefix:
        return None
    if len(prefix) < _LENGTHS.size:
        raise FrameError("the stream ended inside a frame")
    head_length, body_length = _LENGTHS.unpack(prefix)
    if head_length >= MAX_HEAD or body_length > MAX_BODY:
        raise FrameError("not a frame: it announces %d + %d bytes" % (head_length, body_length))
    text = read(head_length)
    body = read(body_length) if body_length else b""
    if len(text) < head_length or len(body) < body_length:
        raise FrameError("the stream ended inside a frame")
    try:
        head = json.loads(text.decode("utf-8"), parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise MessageError("a frame's head is not JSON: %s" % error) from error
    if not isinstance(head, dict):
        raise MessageError("a frame's head is not an object: %.100r" % (head,))
    return head, body


def _whole_number(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number of %d digits" % len(text))
    return int(text)


def _beginning(read: Callable[[int], bytes]) -> bytes:
    """The two lengths of the next frame, fewer bytes at the end. They begin with a zero byte, for no head has MAX_HEAD bytes; text has none."""
    prefix = read(_LENGTHS.size)
    while prefix and prefix[0]:
        _, zero, rest = prefix.partition(b"\0")
        prefix = zero + rest
        prefix += read(_LENGTHS.size - len(prefix))
    return prefix
