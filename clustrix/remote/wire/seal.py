"""The file that carries a result, and proves that it is the result of this task and of nothing else.

    magic (8 bytes) | length of the head (u32, big-endian) | head (JSON) | HMAC-SHA256 (32 bytes) | body

The head ends in as many blanks as it takes to have the body begin at a multiple of 64, as what is in it may want.
The key is 32 random bytes, made by the client for each job. The HMAC covers everything but itself.
"""

import hashlib
import hmac
import json
import struct
from typing import Any, BinaryIO, Dict, Iterable, Tuple

from .container import ALIGNMENT, Bytes

__all__ = ["SealError", "seal", "unseal"]

MAGIC = b"clustrx\x01"
LENGTH = struct.Struct(">I")
KEY_SIZE = 32
MAC_SIZE = hashlib.sha256().digest_size
CHUNK = 1 << 20


class SealError(ValueError):
    """The data is not what it should be: cut short, changed, signed with another key, or of another task."""


def seal(stream: BinaryIO, key: bytes, head: Dict[str, Any], body: Iterable[Bytes]) -> None:
    """Write a sealed result at the end of `stream`, a file that is there already; `body` comes in pieces.

    `head` is JSON: `job`, `attempt`, `task`, `package`, `outcome` and free information.
    """
    packed = json.dumps(head, sort_keys=True, separators=(",", ":")).encode("ascii")
    packed += b" " * (-(len(MAGIC) + LENGTH.size + len(packed) + MAC_SIZE) % ALIGNMENT)
    front = MAGIC + LENGTH.pack(len(packed)) + packed
    mac = _begun(key, front)
    begin = stream.tell()
    stream.write(front + bytes(MAC_SIZE))
    for piece in body:
        view = memoryview(piece).cast("B")
        for start in range(0, len(view), CHUNK):
            # A copy: what is signed is what is written, even if a thread of the function still changes the array.
            chunk = bytes(view[start : start + CHUNK])
            mac.update(chunk)
            stream.write(chunk)
    stream.seek(begin + len(front))
    stream.write(mac.digest())


def unseal(key: bytes, data: Bytes, expected: Dict[str, Any]) -> Tuple[Dict[str, Any], memoryview]:
    """The head and the body of `data`, if it is signed with `key` and its head agrees with `expected`.

    Raises SealError, which says what is wrong. The body is a view: nothing is copied.
    """
    view = memoryview(data).cast("B")
    head_end = _head_end(view)
    front, mac, body = view[:head_end], view[head_end : head_end + MAC_SIZE], view[head_end + MAC_SIZE :]
    computed = _begun(key, front)
    computed.update(body)
    if not hmac.compare_digest(computed.digest(), bytes(mac)):
        raise SealError("the signature is wrong: the data was changed, cut short, or signed with another key")
    head = json.loads(bytes(front[len(MAGIC) + LENGTH.size :]).decode("ascii"))
    for name in sorted(expected):
        if name not in head or head[name] != expected[name]:
            raise SealError(
                "it is signed, but belongs elsewhere: {} is {!r}, not {!r}".format(name, head.get(name), expected[name])
            )
    return head, body


def _head_end(view: memoryview) -> int:
    start = len(MAGIC) + LENGTH.size
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise SealError("this is no result file: it begins with {!r}".format(bytes(view[: len(MAGIC)])))
    if len(view) < start:
        raise SealError("the data is cut short: {} bytes".format(len(view)))
    end: int = start + LENGTH.unpack(view[len(MAGIC) : start])[0]
    if len(view) < end + MAC_SIZE:
        raise SealError("the data is cut short: {} bytes of at least {}".format(len(view), end + MAC_SIZE))
    return end


def _begun(key: bytes, front: Bytes) -> hmac.HMAC:
    if len(key) != KEY_SIZE:
        raise ValueError("a job's key is {} bytes, not {}".format(KEY_SIZE, len(key)))
    mac = hmac.new(key, digestmod=hashlib.sha256)
    mac.update(front)
    return mac
