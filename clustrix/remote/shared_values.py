"""Values between the processes of one pool: pickles over a pipe; what is large in memory that both of them map.

Each message begins with how many pieces follow and how long they are: the pickle, then the buffers that it refers to
(protocol 5). They follow in the message itself, in memory whose descriptor comes next, or one by one where the system has no
such memory. A descriptor has no name, so nothing is left behind by whoever is killed.
"""

import io
import mmap
import os
import pickle
import struct
import weakref
from multiprocessing import reduction
from typing import Any, List, Sequence, Tuple

from .wire.container import ALIGNMENT, LARGE, Bytes

__all__ = ["dump", "receive", "send", "send_dumped"]

HEAD = struct.Struct(">BI")
IN_MESSAGE, IN_MEMORY, ONE_BY_ONE = 0, 1, 2
# Bytes. Below, making and mapping memory costs more than two copies.
SHARED = 1 << 20
# Bytes. Python 3.7 can't send 2 GiB at once.
LONGEST_SENT = 1 << 30
# Each map holds a descriptor, of which a process may have a thousand.
MOST_MAPS = 200

_has_buffers = pickle.HIGHEST_PROTOCOL >= 5
_make_memory: Any = getattr(os, "memfd_create", None)  # Linux, since Python 3.8
_maps: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()


def send(connection: Any, value: Any, picklers: Sequence[Any]) -> None:
    """Send what the first of the ``picklers`` that can writes; raises what the last of them raised."""
    send_dumped(connection, dump(value, picklers))


def dump(value: Any, picklers: Sequence[Any]) -> List[Bytes]:
    """The pickle and the buffers that it refers to."""
    for pickler in picklers[:-1]:
        try:
            return _dump(value, pickler)
        except Exception:  # noqa: BLE001, S112, PERF203 - the next one takes more
            continue
    return _dump(value, picklers[-1])


def _dump(value: Any, pickler: Any) -> List[Bytes]:
    stream = io.BytesIO()
    buffers: List[Bytes] = []
    if not _has_buffers:
        pickler(stream, 4).dump(value)
        return [stream.getbuffer()]

    def is_within(buffer: Any) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        buffers.append(raw)
        return False

    pickler(stream, 5, buffer_callback=is_within).dump(value)
    return [stream.getbuffer(), *buffers]


def send_dumped(connection: Any, pieces: Sequence[Bytes]) -> None:
    """Send what ``dump`` returned."""
    sizes = [len(piece) for piece in pieces]
    total = sum(sizes)
    descriptor = _in_memory(pieces) if _make_memory is not None and total >= SHARED else None
    if total < LARGE:
        connection.send_bytes(b"".join([_head(IN_MESSAGE, sizes), *pieces]))
    elif descriptor is not None:
        try:
            connection.send_bytes(_head(IN_MEMORY, sizes))
            reduction.send_handle(connection, descriptor, None)  # type: ignore[arg-type,unused-ignore]
        finally:
            os.close(descriptor)
    else:
        connection.send_bytes(_head(ONE_BY_ONE, sizes))
        for piece in pieces:
            for position in range(0, len(piece), LONGEST_SENT):
                connection.send_bytes(piece[position : position + LONGEST_SENT])


def receive(connection: Any) -> Any:
    """The next value; raises EOFError when the other end is closed, or whatever reading it raises."""
    message = memoryview(connection.recv_bytes())
    kind, count = HEAD.unpack(message[: HEAD.size])
    end_of_head = HEAD.size + 8 * count
    sizes = struct.unpack(">%dQ" % count, message[HEAD.size : end_of_head])
    if kind == IN_MESSAGE:
        return pickle.loads(message[end_of_head:])  # noqa: S301 - all of it is from processes that this one knows
    pieces = _mapped(reduction.recv_handle(connection), sizes) if kind == IN_MEMORY else _received(connection, sizes)
    # Protocol 5 came with this keyword.
    keywords: Any = {"buffers": pieces[1:]} if _has_buffers else {}
    return pickle.loads(pieces[0], **keywords)  # noqa: S301 - as above


def _head(kind: int, sizes: Sequence[int]) -> bytes:
    return HEAD.pack(kind, len(sizes)) + struct.pack(">%dQ" % len(sizes), *sizes)


def _places(sizes: Sequence[int]) -> Tuple[List[int], int]:
    places, position = [], 0
    for size in sizes:
        places.append(position)
        position += size + -size % ALIGNMENT
    return places, position


def _in_memory(pieces: Sequence[Bytes]) -> Any:
    """A descriptor of memory with the pieces; None if there is too little."""
    try:
        descriptor = _make_memory("clustrix")
    except OSError:
        return None
    try:
        places, end = _places([len(piece) for piece in pieces])
        os.ftruncate(descriptor, end)
        for place, piece in zip(places, pieces):
            written = 0
            while written < len(piece):
                written += os.pwrite(descriptor, piece[written : written + LONGEST_SENT], place + written)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _mapped(descriptor: int, sizes: Sequence[int]) -> List[memoryview]:
    places, end = _places(sizes)
    try:
        memory = mmap.mmap(descriptor, end)
    finally:
        os.close(descriptor)
    if len(_maps) < MOST_MAPS:
        _maps.add(memory)
        view = memoryview(memory)
    else:
        view = memoryview(bytearray(memory))
        memory.close()
    return [view[place : place + size] for place, size in zip(places, sizes)]


def _received(connection: Any, sizes: Sequence[int]) -> List[memoryview]:
    pieces = []
    for size in sizes:
        piece = memoryview(bytearray(size))
        position = 0
        while position < size:
            position += connection.recv_bytes_into(piece[position : position + LONGEST_SENT])
        pieces.append(piece)
    return pieces
