"""What the tasks of a map lie in: one file with the arguments of all, and for each element of the array a log of its tasks.

    arguments   length of the head (u32) | head (JSON) | offsets (u64 each, one more than there are values) | values
    log         entries: kind (1 byte) | number (u64) | number (u64) | for RESULT as many bytes as the second says

Numbers are big-endian. The values are those of each task, then those that all tasks share: an argument that is the same
object in every task is written once. An element is the only writer of its log, and what it has written is never changed.
"""

import io
import json
import os
import struct
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

__all__ = ["AGAIN", "BEGAN", "CLAIMED", "LEFT", "RESULT", "Arguments", "Entry", "Log", "entries", "pack_arguments"]

LENGTH = struct.Struct(">I")
ENTRY = struct.Struct(">cQQ")

AGAIN = b"a"  # how often the tasks of the ranges that follow were tried before; 0 until then
CLAIMED = b"c"  # the first task of a range that is this element's from now on, and the one after its last
BEGAN = b"b"  # the next task, and the first one that certainly does not begin before the next such entry
RESULT = b"r"  # a task, and the length of its sealed result, which follows
LEFT = b"l"  # the element takes no more tasks: those that it has not begun by now, it never will
_UNFINISHED = b"\0"


def pack_arguments(tasks: Sequence[Sequence[Any]], columns: int, shared: Dict[int, Any]) -> List[Any]:
    """The file, in pieces. Each task's value, in pieces itself, is the tuple of those of its ``columns`` arguments which are not ``shared``."""
    head = json.dumps({"tasks": len(tasks), "columns": columns, "shared": sorted(shared)}).encode("ascii")
    values = [*tasks, *(shared[column] for column in sorted(shared))]
    offsets, position = [0], 0
    for pieces in values:
        position += sum(len(piece) for piece in pieces)
        offsets.append(position)
    front = LENGTH.pack(len(head)) + head + struct.pack(">%dQ" % len(offsets), *offsets)
    return [front, *(piece for pieces in values for piece in pieces)]


class Arguments:
    """The arguments of a map's tasks; only what is asked for is read."""

    def __init__(self, path: str) -> None:
        self._stream = open(path, "rb")  # noqa: SIM115 - until close()
        (length,) = LENGTH.unpack(self._stream.read(LENGTH.size))
        head = json.loads(self._stream.read(length).decode("ascii"))
        self._tasks, self._columns, self._shared = head["tasks"], head["columns"], head["shared"]
        self._index = LENGTH.size + length
        self._values = self._index + 8 * (self._tasks + len(self._shared) + 1)

    def of(self, task: int, read: Callable[[Any], Any]) -> Tuple[Any, ...]:
        """The arguments of ``task``, each of them its own; ``read`` makes a value of bytes that can be written to."""
        own = iter(read(self._value(task)))
        shared = {column: self._tasks + number for number, column in enumerate(self._shared)}
        return tuple(
            read(self._value(shared[column])) if column in shared else next(own) for column in range(self._columns)
        )

    def close(self) -> None:
        self._stream.close()

    def _value(self, number: int) -> memoryview:
        self._stream.seek(self._index + 8 * number)
        start, end = struct.unpack(">2Q", self._stream.read(16))
        self._stream.seek(self._values + start)
        return io.BytesIO(self._stream.read(end - start)).getbuffer()


class Entry(NamedTuple):
    """One entry of a log; ``start`` and ``end`` are where it lies, with the result that follows it."""

    kind: bytes
    first: int
    second: int
    start: int
    end: int

    def result_in(self, data: Any) -> Any:
        """The sealed result, of a view of the data that the entry was found in."""
        return data[self.start + ENTRY.size : self.end]


def entries(data: Any) -> Iterator[Entry]:
    """The whole entries at the beginning of ``data``; what is cut short or still being written is left."""
    position = 0
    while position + ENTRY.size <= len(data):
        kind, first, second = ENTRY.unpack_from(data, position)
        end = position + ENTRY.size + (second if kind == RESULT else 0)
        if kind == _UNFINISHED or end > len(data):
            return
        yield Entry(kind, first, second, position, end)
        position = end


class Log:
    """An element's log, written as it works. Whatever kills the element, what it wrote is there; ``sync`` makes it outlive the node."""

    def __init__(self, path: str) -> None:
        """Raises FileExistsError: an element of this name was here before."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(handle, "wb")

    def note(self, kind: bytes, first: int = 0, second: int = 0) -> None:
        """Write an entry that has nothing following it."""
        self._stream.write(ENTRY.pack(kind, first, second))
        self._stream.flush()

    def result(self, task: int, write: Callable[[BinaryIO], object]) -> None:
        """Write the result of ``task``, which ``write`` writes at the end of the stream it is given."""
        start = self._stream.tell()
        self._stream.write(ENTRY.pack(_UNFINISHED, 0, 0))
        write(self._stream)
        end = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(start)
        self._stream.write(ENTRY.pack(RESULT, task, end - start - ENTRY.size))
        self._stream.seek(end)
        self._stream.flush()

    def sync(self) -> int:
        """Have all of it on the disk; gives its size."""
        os.fsync(self._stream.fileno())
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()
