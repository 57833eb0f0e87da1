"""How Grid Engine writes times, ranges of tasks, and the ids that people type."""

from __future__ import annotations

import fnmatch
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.jobs import ENDED, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job

__all__ = [
    "Named",
    "is_in_error",
    "long_time",
    "named",
    "no_number",
    "parse_date",
    "parse_seconds",
    "parse_tasks",
    "short_time",
    "state_letters",
    "task_ranges",
    "usage",
]

_LONGEST = 1 << 32
_FORMATS = {8: "%m%d%H%M", 10: "%y%m%d%H%M", 12: "%Y%m%d%H%M"}


def short_time(seconds: float | None) -> str:
    """`11/21/2026 01:37:10`, as qstat's table has it."""
    return time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(seconds or 0))


def long_time(seconds: float | None) -> str:
    """`Sat Nov 21 01:37:10 2026`, as qstat -j and qacct have it."""
    return time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(seconds or 0))


def parse_date(text: str, now: float) -> float | None:
    """`[[CC]YY]MMDDhhmm[.SS]` as Unix seconds; None if it is none."""
    digits, _, seconds = text.partition(".")
    form = _FORMATS.get(len(digits))
    if form is None or not digits.isdecimal() or not re.fullmatch(r"(\d\d)?", seconds):
        return None
    if len(digits) == 8:
        digits, form = f"{time.localtime(now).tm_year}{digits}", _FORMATS[12]
    try:
        return time.mktime(time.strptime(digits, form)) + int(seconds or 0)
    except ValueError:
        return None


def parse_seconds(text: str) -> int | None:
    """Seconds, `M:S` or `H:M:S`; `INFINITY` is 0, for no limit. None if it is no time."""
    if text.upper() == "INFINITY":
        return 0
    if not re.fullmatch(r"\d*(:\d*){0,2}", text) or not re.search(r"\d", text):
        return None
    seconds = 0
    for part in text.split(":"):
        seconds = seconds * 60 + int(part or 0)
    return min(seconds, _LONGEST)


def parse_tasks(text: str) -> range:
    """The tasks of `n[-m[:s]]`; the lower one may come last. Raises ValueError with what is no number."""
    match = re.fullmatch(r"([^-:]*)(?:-([^:]*))?(?::(.*))?", text)
    pieces = [piece for piece in (match.groups() if match else (text,)) if piece is not None]
    for piece in pieces:
        if not piece.isdecimal():
            raise ValueError(piece)
    first, last = int(pieces[0]), int(pieces[1] if len(pieces) > 1 else pieces[0])
    step = int(pieces[2]) if len(pieces) > 2 else 1
    return range(min(first, last), max(first, last) + 1, max(step, 1))


def no_number(piece: ValueError) -> str:
    """How every command says what `parse_tasks` raised."""
    return f'Numerical value invalid!\nThe initial portion of string "{piece}" contains no decimal number'


def task_ranges(numbers: Sequence[int]) -> str:
    """`1-4:1`, `1-5:2`, `3,5`: three and more in equal steps are a range."""
    pieces: list[str] = []
    rest = sorted(numbers)
    while rest:
        count = 1
        step = rest[1] - rest[0] if len(rest) > 1 else 0
        while count < len(rest) and rest[count] - rest[count - 1] == step:
            count += 1
        if count < 3:
            count = 1
        pieces.append(str(rest[0]) if count == 1 else f"{rest[0]}-{rest[count - 1]}:{step}")
        del rest[:count]
    return ",".join(pieces)


def is_in_error(job: Job) -> bool:
    """Whether the job waits in state E: it could not be started, or asked for it by exit code 100."""
    last = job.attempts[-1] if job.attempts else None
    return job.state is State.PENDING and job.is_held and last is not None and last.state is State.FAILED


def state_letters(job: Job) -> str:
    """As qstat's column `state`."""
    if job.is_completing:
        return "dr"
    if job.state is State.PENDING:
        held = "h" if not is_in_error(job) and (job.is_held or job.reason in {"Dependency", "JobHeldUser"}) else ""
        waiting = "Rq" if job.attempts and not is_in_error(job) else "qw"
        return f"{'E' if is_in_error(job) else ''}{held}{waiting}"
    if job.state in ENDED:
        return "z"
    letter = "s" if job.state is State.SUSPENDED else "r"
    return f"{'h' if job.is_held else ''}{'R' if job.attempts else ''}{letter}"


@dataclass(frozen=True)
class Named:
    """What one word of a command line stands for."""

    word: str
    jobs: tuple[Job, ...]


def named(core: Core, word: str, tasks: str = "") -> Named:
    """The live jobs that `17`, `17.3-5`, a name or a pattern stands for. `tasks` is what followed in `-t`.

    Raises ValueError as `parse_tasks` does.
    """
    match = re.fullmatch(r"(\d+)(?:\.([\d\-:,]+))?", word)
    live = [job for job in core.known if job.state not in ENDED or job.is_completing]
    if match is None:
        return Named(word, tuple(job for job in live if fnmatch.fnmatchcase(job.name, word)))
    asked = tasks or match[2] or ""
    chosen = [parse_tasks(piece) for piece in asked.split(",")] if asked else None
    found = tuple(
        job
        for job in core.find(int(match[1]))
        if (job.state not in ENDED or job.is_completing)
        and (chosen is None or any(job.task_id in tasks for tasks in chosen))
    )
    return Named(word, found)


def usage(program: str, lines: str, error: str) -> str:
    """How the commands that only show things answer a command line that makes no sense."""
    return f"SGE 8.1.9\nusage: {program} [options]\n{lines}{error}\n"
