"""Copies files and trees from one place to another: small files many in a message, large ones in blocks, several under way at once."""

import errno
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

from .copying import BLOCK, Entry, read_entries

__all__ = ["Copied", "copy"]

AT_ONCE = 4
IN_A_BUNDLE = 256
Step = Callable[[], int]
Place = Any  # it has ``perform``, see files.py


class Copied(NamedTuple):
    """``total`` bytes there are, ``sent`` of them were copied now; ``skipped`` could not be read."""

    total: int
    sent: int
    skipped: List[str]


def copy(
    source: Place,
    path: str,
    target: Place,
    to: str,
    *,
    on_error: str = "raise",
    progress: Optional[Callable[[int, int], object]] = None,
) -> Copied:
    """Copy the file or the tree ``path`` of ``source`` to what is then called ``to``; a file into it, if that is a directory.

    What is there already, by size and time, is not copied again. ``progress`` is told the bytes that are there, and all.
    """
    found, listed = source.perform("tree", {"path": path, "on_error": on_error})
    entries = read_entries(listed)
    if entries[0].kind != "directory" and (to.endswith("/") or target.perform("isdir", {"path": to})[0]["is_so"]):
        to = to.rstrip("/") + "/" + path.rstrip("/").rpartition("/")[2]
    there, _ = target.perform("prepare", {"path": to}, listed)
    work = _Copy(source, path, target, to, on_error=on_error, skipped=found["skipped"])
    files = [entry for entry in entries if entry.kind == "file"]
    work.run(list(zip(files, there["here"])), progress or (lambda _done, _total: None))
    links = [entry for entry in entries if entry.kind == "link"]
    for start in range(0, len(links), 1000):
        target.perform("link", {"path": to, "entries": links[start : start + 1000]})
    return Copied(sum(entry.size for entry in files), work.sent, work.skipped)


class _Copy:
    """One copy under way: threads take steps, each of which is one message from the source and one to the target."""

    def __init__(self, source: Place, path: str, target: Place, to: str, *, on_error: str, skipped: List[str]) -> None:
        self._source, self._path, self._target, self._to = source, path, target, to
        self._on_error = on_error
        self._guard = threading.Lock()
        self._is_stopped = False
        self.skipped = skipped
        self.sent = 0

    def run(self, files: List[Tuple[Entry, Any]], progress: Callable[[int, int], object]) -> None:
        """Copy ``files``, each with what is there of it."""
        total = sum(entry.size for entry, _ in files)
        there = sum(entry.size for entry, here in files if here is True)
        progress(there, total)
        steps = self._steps([(entry, here) for entry, here in files if here is not True])

        def take_steps() -> None:
            while True:
                with self._guard:
                    step = None if self._is_stopped else next(steps, None)
                if step is None:
                    return
                try:
                    size = step()
                except BaseException:
                    self._is_stopped = True
                    raise
                with self._guard:
                    self.sent += size
                    progress(there + self.sent, total)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for worker in [pool.submit(take_steps) for _ in range(AT_ONCE)]:
                    worker.result()
            finally:
                self._is_stopped = True

    def _steps(self, files: List[Tuple[Entry, Any]]) -> Iterator[Step]:
        bundle: List[Entry] = []
        size = 0
        for entry, here in files:
            if entry.size > BLOCK:
                yield from self._blocks(entry, here)
                continue
            if bundle and (len(bundle) == IN_A_BUNDLE or size + entry.size > BLOCK):
                yield functools.partial(self._copy_bundle, bundle)
                bundle, size = [], 0
            bundle.append(entry)
            size += entry.size
        if bundle:
            yield functools.partial(self._copy_bundle, bundle)

    def _copy_bundle(self, bundle: List[Entry]) -> int:
        arguments = {"path": self._path, "names": [entry.name for entry in bundle], "on_error": self._on_error}
        found, contents = self._source.perform("fetch", arguments)
        came = [(entry, facts) for entry, facts in zip(bundle, found["facts"]) if facts is not None]
        self.skipped += [entry.name for entry, facts in zip(bundle, found["facts"]) if facts is None]
        entries, facts = [entry for entry, _ in came], [fact for _, fact in came]
        self._target.perform("store", {"path": self._to, "entries": entries, "facts": facts}, contents)
        return sum(size for size, _ in facts)

    def _blocks(self, entry: Entry, here: List[str]) -> Iterator[Step]:
        offsets = list(range(0, entry.size, BLOCK))
        if here:
            # Those that came before a copy was cut off; zeros that never came have another digest.
            size = min(entry.size, len(here) * BLOCK)
            arguments = {"path": self._path, "name": entry.name, "size": size}
            there = self._source.perform("digests", arguments)[0]["digests"]
            same = {index * BLOCK for index, digest in enumerate(there) if digest == here[index]}
            offsets = [offset for offset in offsets if offset not in same]
        if not offsets:
            yield functools.partial(self._finish, entry)
        left = [len(offsets)]
        for offset in offsets:
            yield functools.partial(self._copy_block, entry, offset, left)

    def _copy_block(self, entry: Entry, offset: int, left: List[int]) -> int:
        arguments = {"path": self._path, "name": entry.name, "offset": offset, "size": BLOCK}
        found, content = self._source.perform("fetch_block", arguments)
        if (found["size"], found["modified_ns"]) != (entry.size, entry.modified_ns):
            raise OSError(errno.EBUSY, "The file changed while it was copied: copy it again", entry.name or self._path)
        arguments = {"path": self._to, "entry": entry, "offset": offset, "digest": found["digest"]}
        self._target.perform("store_block", arguments, content)
        with self._guard:
            left[0] -= 1
            is_last = left[0] == 0
        return len(content) + (self._finish(entry) if is_last else 0)

    def _finish(self, entry: Entry) -> int:
        self._target.perform("finish", {"path": self._to, "entry": entry})
        return 0
