"""Which items of a run are to be done next, and how many at once, by what the last ones cost."""

import collections
from typing import Any, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

__all__ = ["Chunk", "Chunks"]

# Seconds of work in a chunk: long beside the fifth of a millisecond that handing one out takes, on a busy machine a few.
WANTED = 0.1
# Less is not worth handing out, nor taking from another worker.
LEAST = 0.001
# Of items that workers have anyway, the first chunk is such a part of each one's share: what is too much of it is given back.
FIRST = 4
# A lazily read iterable is read so many chunks ahead of the oldest item that is not done.
AHEAD = 4


class Chunk(NamedTuple):
    """The items from ``first`` up to, without it, ``stop``."""

    first: int
    stop: int


class Chunks:
    """The items of one run. ``inherited`` are those that workers have anyway, else they are read from ``items``."""

    def __init__(self, items: Iterable[Any], is_inherited: bool, workers: int, size: Optional[int]) -> None:
        self.inherited: Optional[Sequence[Any]] = None
        self.total: Optional[int] = None
        self.error: Optional[BaseException] = None
        self.is_read = False
        self.read = 0
        if hasattr(items, "__len__"):
            sequence = items if type(items) in (list, tuple, range) else list(items)
            self.total = len(sequence)  # type: ignore[arg-type]
            if is_inherited:
                self.inherited = sequence  # type: ignore[assignment]
            items = sequence
        self._items: Iterator[Any] = iter(items)
        self._held: Dict[int, Any] = {}
        self._returned: Deque[Chunk] = collections.deque()
        self._workers, self._size = workers, size
        self.cost: Optional[float] = None

    def next(self, position: int) -> Optional[Chunk]:
        """Items for an idle worker; None if there are none, or if those that wait for item ``position`` are enough."""
        if self._returned:
            first, stop = self._returned.popleft()
            end = min(stop, first + self.size())
            if end < stop:
                self._returned.appendleft(Chunk(end, stop))
            return Chunk(first, end)
        wanted = self.size()
        if self.total is None and self.read - position > AHEAD * self._workers * wanted:
            return None
        first = self.read
        self._read(wanted)
        return Chunk(first, self.read) if self.read > first else None

    def _read(self, wanted: int) -> None:
        if self.inherited is not None and self.total is not None:
            self.read = min(self.total, self.read + wanted)
            self.is_read = self.read == self.total
            return
        while wanted > 0 and not self.is_read:
            try:
                self._held[self.read] = next(self._items)
                self.read += 1
                wanted -= 1
            except StopIteration:  # noqa: PERF203 - it is the end of the loop
                self.is_read = True
            except Exception as error:  # noqa: BLE001 - it is raised when all before it was handed out
                self.is_read, self.error = True, error
        self.is_read = self.is_read or self.read == self.total

    def values(self, chunk: Chunk) -> Optional[List[Any]]:
        """The items themselves; None if workers have them."""
        return None if self.inherited is not None else [self._held[index] for index in range(*chunk)]

    def size(self) -> int:
        """How many items to hand out at once."""
        if self._size is not None:
            return self._size
        if self.cost is None:
            return 1 if self.inherited is None else max(1, len(self.inherited) // (FIRST * self._workers))
        wanted: float = self.longest()
        if self.total is not None:
            # So that the last ones are done at the same time.
            left = self.total - self.read
            wanted = min(wanted, max(LEAST / self.cost, left / (2 * self._workers)))
        return max(1, int(wanted))

    def longest(self) -> int:
        """How many items are a chunk as long as any."""
        return self._size or (self.size() if self.cost is None else max(1, int(WANTED / self.cost)))

    def measured(self, count: int, seconds: float) -> None:
        """Learn from items that are done."""
        if count:
            latest = max(1e-7, seconds / count)
            self.cost = latest if self.cost is None else (self.cost + latest) / 2

    def is_worth_taking(self, count: int) -> bool:
        """Whether so many items are worth taking from the worker that has them."""
        return count > 0 and (self._size is not None or self.cost is None or count * self.cost >= LEAST)

    def give_back(self, chunk: Chunk) -> None:
        """Items that were handed out and not begun."""
        if chunk.first < chunk.stop:
            self._returned.appendleft(chunk)

    def forget(self, chunk: Chunk) -> None:
        """These are done."""
        if self._held:
            for index in range(*chunk):
                del self._held[index]

    def has_more(self) -> bool:
        """Whether there may be items that nobody has."""
        return bool(self._returned) or not self.is_read
