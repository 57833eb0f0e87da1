"""What is in a directory, and below it: names, and those that match a pattern.

Links are never entered on the way down, so a loop of links ends nothing. What vanishes meanwhile was not there. A directory
that can't be read is an error that names it, or with ``on_error="skip"`` one of the skipped.
"""

import fnmatch
import os
import re
from typing import Any, Callable, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .file_names import text_of, to_bytes

__all__ = ["Found", "Skipped", "find", "glob", "names_in"]

Entry = Any  # os.DirEntry, which 3.6's typing can't be told of
_MAGIC = re.compile(r"[*?[]")


class Found(NamedTuple):
    """Names in order, relative to where the search began, and the directories that could not be read."""

    names: List[bytes]
    skipped: List[str]


def names_in(directory: bytes) -> List[bytes]:
    """The names in a directory, those that begin with a dot as well."""
    return _in_order(os.listdir(directory))


def find(pattern: str, top: bytes, on_error: str) -> Found:
    """The files below ``top``, and links to files, that match: by their names, or by their last parts where the pattern has a ``/``."""
    parts = _parts(pattern)
    skipped = Skipped(on_error)
    if len(parts) > 1:
        return _walk_pattern(_Pattern(["**", *parts]), top, skipped, _is_file)
    matches = _name_test(pattern)
    names: List[bytes] = []
    waiting = [(b"", top)]
    while waiting:
        before, directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                # A hundred thousand files come by here: what can be asked of few is asked of these only.
                for entry in entries:
                    try:
                        is_file = entry.is_file()
                    except OSError:  # a link in a loop, or into a directory that can't be entered
                        continue
                    if is_file:
                        if matches is None or matches(entry.name):
                            names.append(before + entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append((before + entry.name + b"/", entry.path))
        except OSError as error:
            skipped.note(directory, error, directory is top)
    return Found(_in_order(names), skipped.paths)


def glob(pattern: str, top: bytes, on_error: str) -> Found:
    """The files and directories that match: ``**`` stands for any number of directories, and as the last part for all below."""
    only_directories = pattern.endswith("/")
    found = _walk_pattern(
        _Pattern(_parts(pattern.rstrip("/"))), top, Skipped(on_error), _is_dir if only_directories else None
    )
    return found._replace(names=[name + b"/" for name in found.names]) if only_directories else found


class Skipped:
    """Has a directory that can't be read raised, or remembers it."""

    def __init__(self, on_error: str) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError("on_error=%r: allowed is 'raise' or 'skip'" % on_error)
        self._is_raised = on_error == "raise"
        self.paths: List[str] = []

    def note(self, path: bytes, error: OSError, is_top: bool = False) -> None:
        if is_top:
            raise error
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return  # it was there a moment ago
        if self._is_raised:
            raise error
        self.paths.append(text_of(path))


def _in_order(names: List[bytes]) -> List[bytes]:
    """Sorted by code points, as the texts are: so are the bytes, if they are UTF-8."""
    try:
        b"".join(names).decode("utf-8")
    except UnicodeDecodeError:
        return sorted(names, key=text_of)
    return sorted(names)


def _name_test(pattern: str) -> Optional[Callable[[bytes], Any]]:
    """Whether a name matches; None if each does."""
    if not pattern.strip("*"):
        return None
    if "?" not in pattern and "[" not in pattern:
        return re.compile(
            to_bytes(fnmatch.translate(pattern))
        ).match  # what stands for many characters stands for many bytes
    matches = _matcher(pattern)
    return lambda name: matches(text_of(name))


def _is_file(entry: Entry) -> bool:
    try:
        return bool(entry.is_file())
    except OSError:  # a link in a loop, or into a directory that can't be entered
        return False


def _is_dir(entry: Entry) -> bool:
    try:
        return bool(entry.is_dir())
    except OSError:
        return False


def _parts(pattern: str) -> List[str]:
    if not pattern or pattern.startswith("/") or "\0" in pattern:
        raise ValueError("pattern %r: it must be relative, and not empty; the path says where to look" % pattern)
    return [part for part in pattern.split("/") if part not in ("", ".")] or ["."]


def _matcher(part: str) -> Callable[[str], Any]:
    return re.compile(fnmatch.translate(part)).match


class _Pattern:
    """Parts of a pattern as a machine: a state is how many parts are matched."""

    def __init__(self, parts: List[str]) -> None:
        self._is_deep = [part == "**" for part in parts]
        self._literals: List[Optional[str]] = [None if _MAGIC.search(part) else part for part in parts]
        self._matchers = [_matcher(part) for part in parts]
        self._last = len(parts)
        self.start = self._with_empty([0])

    def _with_empty(self, states: Iterable[int]) -> FrozenSet[int]:
        """And those that ``**`` for no directory leads to."""
        reached = set(states)
        for state in sorted(reached):
            following = state
            while following < self._last and self._is_deep[following]:
                following += 1
                reached.add(following)
        return frozenset(reached)

    def after(self, states: FrozenSet[int], name: str) -> Tuple[FrozenSet[int], FrozenSet[int]]:
        """The states after ``name``, and those of them that may enter a link: ``**`` enters none."""
        named = [s + 1 for s in states if s < self._last and not self._is_deep[s] and self._matchers[s](name)]
        deep = [s for s in states if s < self._last and self._is_deep[s]]
        through_links = self._with_empty(named)
        return (self._with_empty(named + deep) if deep else through_links), through_links

    def is_whole(self, before: FrozenSet[int], after: FrozenSet[int], entry: Entry) -> bool:
        """Whether the entry between these states matches: where ``**`` would follow it, only a directory does."""
        if self._last not in after:
            return False
        ends_here = (self._last - 1 in after and self._last - 1 in before) if self._is_deep[-1] else True
        return ends_here or _is_dir(entry)

    def goes_on(self, states: FrozenSet[int]) -> bool:
        return any(state < self._last for state in states)

    def literals(self, states: FrozenSet[int]) -> Optional[Set[str]]:
        """The only names that lead on from here, or None if the directory has to be read."""
        names = {self._literals[state] for state in states if state < self._last}
        return None if None in names else names  # type: ignore[return-value]


def _walk_pattern(pattern: _Pattern, top: bytes, skipped: Skipped, wanted: Optional[Callable[[Entry], bool]]) -> Found:
    os.stat(top)  # where to look must be there, whatever the pattern is
    names: List[str] = []
    waiting = [("", top, pattern.start)]
    while waiting:
        before, directory, states = waiting.pop()
        try:
            for entry in _entries(directory, pattern.literals(states)):
                name = text_of(entry.name)
                after, through_links = pattern.after(states, name)
                if pattern.is_whole(states, after, entry) and (wanted is None or wanted(entry)):
                    names.append(before + name)
                on = through_links if entry.is_symlink() else after
                if pattern.goes_on(on) and _is_dir(entry):
                    waiting.append((before + name + "/", entry.path, on))
        except OSError as error:
            skipped.note(directory, error, directory is top)
    return Found(_in_order([to_bytes(name) for name in names]), skipped.paths)


class _Named:
    """What os.DirEntry is for a name that was not read from its directory."""

    def __init__(self, directory: bytes, name: str) -> None:
        self.name = to_bytes(name)
        self.path = os.path.join(directory, self.name)

    def is_dir(self) -> bool:
        return os.path.isdir(self.path)

    def is_file(self) -> bool:
        return os.path.isfile(self.path)

    def is_symlink(self) -> bool:
        return os.path.islink(self.path)


def _entries(directory: bytes, names: Optional[Set[str]]) -> Iterator[Entry]:
    """What is in a directory; of ``names`` alone it need not be readable."""
    if names is None:
        with os.scandir(directory) as entries:
            yield from entries
        return
    for name in names:
        entry = _Named(directory, name)
        if os.path.lexists(entry.path):
            yield entry
