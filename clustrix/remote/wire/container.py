"""A pickle and the large arrays that it refers to, each in a piece of its own, so that nobody has to copy them.

    magic (8 bytes) | length of the pickle (u64) | number of arrays (u64) | length of each (u64) | pickle | arrays

Numbers are big-endian. Each array begins at a multiple of ALIGNMENT, counted from the magic. A value without large arrays
is its pickle and nothing else: no pickle begins as the magic does.
"""

import io
import pickle
import struct
from typing import Any, List, Tuple, Union

__all__ = ["ALIGNMENT", "LARGE", "Bytes", "pack", "unpack"]

MAGIC = b"\xf1clxarr\x01"
COUNTS = struct.Struct(">QQ")
ALIGNMENT = 64

# Bytes. Below, a piece of its own costs more than the copies that it saves.
LARGE = 1 << 16
# Bytes. A stream over a view is slower than BytesIO, which copies it.
LARGEST_COPIED = 1 << 20

Bytes = Union[bytes, bytearray, memoryview]


def pack(pickled: List[Bytes], arrays: List[memoryview]) -> List[Bytes]:
    """The pieces that make up a value: those of its pickle, and its arrays as views of bytes."""
    if not arrays:
        return pickled
    size = sum(len(piece) for piece in pickled)
    sizes = struct.pack(">{}Q".format(len(arrays)), *(len(array) for array in arrays))
    head = MAGIC + COUNTS.pack(size, len(arrays)) + sizes
    pieces: List[Bytes] = [head, *pickled]
    position = len(head) + size
    for array in arrays:
        pieces += [bytes(-position % ALIGNMENT), array]
        position += -position % ALIGNMENT + len(array)
    return pieces


def unpack(data: Bytes) -> Tuple[Any, List[memoryview]]:
    """A stream of the pickle, and the arrays, which are views of `data` if that can be written to, else copies.

    Raises UnpicklingError when it is not whole.
    """
    view = memoryview(data).cast("B")
    if bytes(view[: len(MAGIC)]) != MAGIC:
        return _stream(view), []
    position = len(MAGIC) + COUNTS.size
    if len(view) < position:
        raise _cut_short(view)
    size, count = COUNTS.unpack(view[len(MAGIC) : position])
    if (len(view) - position) // 8 < count:
        raise _cut_short(view)
    sizes = struct.unpack(">{}Q".format(count), view[position : position + 8 * count])
    position += 8 * count
    pickled = view[position : position + size]
    position += size
    arrays = []
    for length in sizes:
        position += -position % ALIGNMENT
        arrays.append(view[position : position + length])
        position += length
    if position != len(view):
        raise _cut_short(view)
    # Whoever gets an array may write to it.
    return _stream(pickled), [memoryview(bytearray(array)) if array.readonly else array for array in arrays]


def _cut_short(view: memoryview) -> Exception:
    return pickle.UnpicklingError("the data is cut short, or too long: {} bytes".format(len(view)))


def _stream(view: memoryview) -> Any:
    return io.BytesIO(view) if len(view) <= LARGEST_COPIED else _ViewStream(view)


class _ViewStream:
    """As much of a file as an unpickler needs."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def _take(self, size: int) -> memoryview:
        taken = self._view[self._position : self._position + size]
        self._position += len(taken)
        return taken

    def read(self, size: int) -> bytes:
        return bytes(self._take(size))

    def readinto(self, buffer: Any) -> int:
        taken = self._take(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)

    def readline(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = self._take(1)
            if not len(byte):
                break
            line += byte
        return bytes(line)
