"""The tables of qstat, one line a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.pbs.attributes import exec_host, used
from simcluster.emulated.pbs.states import comment, elapsed, is_reported, letter
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.words import SERVER, clock_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.pbs.identifiers import Entry

__all__ = ["alternative_table", "plain_table"]

_NARROW = """\
Job id            Name             User             {} S Queue
----------------  ---------------- ----------------  -------- - -----
"""
_WIDE = """\
Job id                         Name            User            {} S Queue
-----------------------------  --------------- ---------------  -------- - ---------------
"""
_TIME_USE, _DONE = " Time Use", "  % done "
_BLANK = " -- "
_LONGEST_LINE = 78


def plain_table(core: Core, line: CommandLine, shown: Sequence[Entry], *, with_head: bool) -> str:
    """`qstat` without more."""
    is_wide, in_percent = line.has("w"), line.has("p")
    rows = [(_WIDE if is_wide else _NARROW).format(_DONE if in_percent else _TIME_USE)] if with_head else []
    for entry in shown:
        job = entry.job
        time_use = dict(used(core, job)).get("cput", "0") if entry.array is None else "0"
        last = _percent(core, entry) if in_percent else time_use
        state = letter(core, entry)
        if is_wide:
            rows.append(
                f"{_cut(entry.id, 30):30} {_cut_early(job.name, 15):15} {_cut(job.user, 15):15}  {last:>8} {state:>1}"
                f" {job.partition:15}\n"
            )
        else:
            rows.append(
                f"{_cut(entry.id, 17):17} {_cut_early(job.name, 16):16} {_cut(job.user, 16):16}  {last:>8} {state:>1}"
                f" {_cut(job.partition, 16):16}\n"
            )
    return "".join(rows)


def alternative_table(core: Core, line: CommandLine, shown: Sequence[Entry], *, with_head: bool) -> str:
    """`qstat -a` and its kin."""
    widths = (30, 15, 15, 15, 8, 4, 5) if line.has("w") else (15, 8, 8, 10, 6, 3, 3)
    rows = [_alternative_head(widths, is_wide=line.has("w"))] if with_head else []
    for entry in shown:
        job = entry.job
        resources = dict(submission(job).resources.shown(job.limit))
        is_told = entry.array is None and is_reported(core, job)
        session = str(job.process) if is_told and job.process is not None and elapsed(core, job) >= 1 else _BLANK
        left = (entry.id, job.user, job.partition, job.name)
        right = (session, resources["nodect"], resources["ncpus"])
        row = " ".join(
            [f"{_cut(text, width):{width}}" for text, width in zip(left, widths, strict=False)]
            + [f"{text[:width]:>{width}}" for text, width in zip(right, widths[4:], strict=True)]
        )
        memory, limit = _memory(resources.get("mem")), resources.get("walltime", _BLANK)
        since = clock_text(elapsed(core, job)) if is_told else _BLANK
        row += f" {memory[:6]:>6} {limit[:5]:>5} {letter(core, entry)} {since[:5]:>5}"
        rows += [row, " " if line.has("1") else "\n", _beneath(core, line, entry)]
    return "".join(rows)


def _alternative_head(widths: tuple[int, ...], *, is_wide: bool) -> str:
    titles = ("Job ID", "Username", "Queue", "Jobname", "SessID", "NDS", "TSK")
    before = " " * (sum(widths) + len(widths))
    head = f"{before}Req'd  Req'd   Elap\n" if is_wide else f"{'':60}Req'd  Req'd   Elap\n"
    names = " ".join(f"{title:{width}}" for title, width in zip(titles, widths, strict=True))
    lines = " ".join("-" * width for width in widths)
    return f"\n{SERVER}: \n{head}{names} Memory Time  S Time\n{lines} ------ ----- - -----\n"


def _beneath(core: Core, line: CommandLine, entry: Entry) -> str:
    """Where it runs (-n) and the comment (-s), on lines of their own or, with -1, behind."""
    text = ""
    if line.has("n"):
        hosts = exec_host(entry.job) if entry.array is None and entry.job.nodes else _BLANK
        text += f"{hosts}\n" if line.has("1") else _broken(hosts)
    if line.has("s"):
        remark = comment(core, entry) or _BLANK
        longest = 114 if line.has("w") else 74
        text += f"   {remark if len(remark) <= longest else remark[: longest - 3] + '...'}\n"
    return text


def _broken(hosts: str) -> str:
    """In lines that end at a plus sign."""
    lines = [""]
    for host in hosts.split("+"):
        if len(lines[-1]) + len(host) >= _LONGEST_LINE - 1:
            lines.append("")
        lines[-1] += f"{host}+"
    return "".join(f"   {text[:-1] if number == len(lines) - 1 else text}\n" for number, text in enumerate(lines))


def _memory(text: str | None) -> str:
    """At most four digits, in the next unit where there are more."""
    if text is None:
        return _BLANK
    digits = "".join(letter for letter in text if letter.isdecimal())
    number, units = int(digits), " kmgtp"
    place = max(0, units.find(text[len(digits) : len(digits) + 1].lower() or " "))
    while number > 9999:
        number, place = (number + 1023) >> 10, place + 1
    return f"{number}{units[place]}b"


def _percent(core: Core, entry: Entry) -> str:
    """Of the walltime that has passed, or of the elements that have ended."""
    state = letter(core, entry)
    if state in "QTWH":
        return "-- "
    if state == "X":
        return "100"
    if entry.array is not None:
        ended = sum(job.has_ended for job in entry.jobs)
        return f"{ended * 100 // len(entry.jobs):3} " if state == "B" else "-- "
    limit = entry.job.limit
    return f"{int(elapsed(core, entry.job)) * 100 // limit:3} " if limit else "-- "


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}*"


def _cut_early(text: str, width: int) -> str:
    """Names lose their last character already when they just fit."""
    return text if len(text) < width else f"{text[: width - 1]}*"
