"""Texts that Python compiled and that no file holds: ``python -c``, stdin, the interactive interpreter, notebook cells.

None of these is taken on trust: they are candidates, and the proof chooses among them.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import stat
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from clustrix.module_text import ModuleText, read_module_text, text_of_console

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["all_cells", "console_texts", "where_it_may_be"]

_JOINED = ("else", "elif", "except", "finally", ")", "]", "}")  # what goes on with a statement that ended
_LONGEST_STATEMENT = 60  # unindented lines in it
_LARGEST_STDIN = 16 << 20
_TIMED = ("<timed exec>", "<timed eval>")


def console_texts(path: str, flags: int) -> list[ModuleText]:
    """The texts that may have been compiled under the name ``path``, in the order in which they were."""
    found = []
    for text in dict.fromkeys(_candidates(path)):
        known = text_of_console(path, text, flags)
        if known is not None:
            found.append(known)
    return found


def all_cells(flags: int) -> list[ModuleText]:
    """Every notebook cell, and every statement typed in, that there still is."""
    paths = [path for path, entry in list(linecache.cache.items()) if len(entry) == 4 and entry[1] is None]
    found = [text for path in paths if (text := read_module_text(path, flags)) is not None and not text.is_file]
    for path in ("<stdin>", *_TIMED):
        found += console_texts(path, flags)
    return found


def where_it_may_be(path: str) -> str:
    """What to do when a function of the console has no text."""
    if path == "<stdin>" and not _is_interactive():
        return "What Python reads from a pipe is gone: write it to a file, and run that."
    if path == "<stdin>":
        return "This interpreter keeps no history (is the readline module there?): put it into a file and import it."
    return "Put it into a file and import it."


def _candidates(path: str) -> Iterator[str]:
    if path == "<string>":
        yield from _command()
    elif path == "<stdin>":
        yield from _statements(_typed()) if _is_interactive() else _redirected()
    elif path in _TIMED:
        yield from _timed_cells()


def _command() -> Iterator[str]:
    """The program of ``python -c``, as it is and as newer Pythons dedent it."""
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if argument in ("-W", "-X", "--check-hash-based-pycs"):
            next(arguments, None)
        elif argument.startswith("-") and not argument.startswith("--") and "c" in argument:
            before, _, rest = argument.partition("c")
            if before[1:] == "" or before[1:].isalpha():
                text = rest or next(arguments, "")
                yield text
                yield textwrap.dedent(text)
            return
        elif not argument.startswith("-") or argument == "-":
            return


def _redirected() -> Iterator[str]:
    """The file that stdin is, if it is one: read without moving where Python reads, which Windows can't."""
    if sys.platform == "win32":
        return
    try:
        status = os.fstat(0)
        if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_STDIN:
            yield os.pread(0, status.st_size, 0).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def _typed() -> list[str]:
    """The lines that were typed in: readline keeps them, and those of earlier sessions before them."""
    readline = sys.modules.get("readline")
    if readline is None:
        return []
    get = readline.get_history_item
    items = [get(number) for number in range(1, readline.get_current_history_length() + 1)]
    return [line for item in items if item for line in item.split("\n")]


def _statements(lines: list[str]) -> Iterator[str]:
    """The statements among typed lines; empty lines, which ended them, are not in a history."""
    chunks: list[str] = []
    for line in lines:
        if chunks and (line[:1] in " \t" or line.startswith(_JOINED)):
            chunks[-1] += line + "\n"
        else:
            chunks.append(line + "\n")
    start = 0
    while start < len(chunks):
        for end in range(start + 1, min(len(chunks), start + _LONGEST_STATEMENT) + 1):
            text = "".join(chunks[start:end])
            with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
                ast.parse(text)
                yield text
                start = end - 1
                break
        start += 1


def _timed_cells() -> Iterator[str]:
    """The cells that ``%%time`` ran, which IPython keeps as they were typed."""
    shell: Any = None
    with contextlib.suppress(Exception):
        shell = sys.modules["IPython"].get_ipython()
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", ())
    for cell in history:
        first, _, body = cell.lstrip().partition("\n")
        if first.startswith("%%") and body:
            yield shell.transform_cell(body)
