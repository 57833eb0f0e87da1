"""Transcripts: what commands printed and how they ended, and how two of them are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Entry", "Rule", "normalise", "normalised", "parse"]


@dataclass(frozen=True)
class Entry:
    """A command and its answer. `who` is empty for the user, else "other" or "root"; `remarks` stood before it."""

    command: str
    stdout: str
    stderr: str
    code: int
    who: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What is not compared: each match of `pattern` becomes `replacement`, because of `reason`."""

    name: str
    pattern: re.Pattern[str]
    replacement: str
    reason: str


_HEAD = re.compile(r"^(other|root|)\$ ")


def parse(text: str) -> Iterator[Entry]:
    """The entries of a recorded transcript: `$ command`, `--- stdout`, ..., `--- stderr`, ..., `--- exit=N`."""
    remarks: list[str] = []
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        head = _HEAD.match(line)
        if head is None:
            remarks += [line.strip()] if line.strip() else []
            continue
        command, answer = _until(r"--- stdout$", lines)
        if answer is None:  # the recorder's own summary, in his words
            break
        stdout, _ = _until(r"--- stderr$", lines)
        stderr, end = _until(r"--- exit=(-?\d+)", lines)
        if end is None:
            raise ValueError(f"the transcript ends within the answer to {line.strip()!r}")
        yield Entry((line[head.end() :] + command).rstrip("\n"), stdout, stderr, int(end[1]), head[1], tuple(remarks))
        remarks = []


def normalise(text: str, rules: Iterable[Rule]) -> str:
    """`text` without what the rules take out, in their order."""
    for rule in rules:
        text = rule.pattern.sub(rule.replacement, text)
    return text


def normalised(entry: Entry, rules: Iterable[Rule]) -> Entry:
    """The entry with both outputs normalised; its command and exit code stay."""
    rules = tuple(rules)
    return replace(entry, stdout=normalise(entry.stdout, rules), stderr=normalise(entry.stderr, rules))


def _until(mark: str, lines: Iterator[str]) -> tuple[str, re.Match[str] | None]:
    """The lines before the one that `mark` matches, and its match: None at the transcript's end."""
    found = ""
    for line in lines:
        match = re.match(mark, line)
        if match:
            return found, match
        found += line
    return found, None
