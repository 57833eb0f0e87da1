"""sacct: what accounting remembers. The real one lags behind by up to two seconds, this one answers at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.slurm.accounting import entries_of
from simcluster.emulated.slurm.hostlists import expand
from simcluster.emulated.slurm.identifiers import is_operator, split_ids
from simcluster.emulated.slurm.job_fields import account_of, quality_of
from simcluster.emulated.slurm.json_records import entries_as_json
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.sacct_fields import LONG, column, field_names, values_of
from simcluster.emulated.slurm.times import parse_time, stamp
from simcluster.emulated.slurm.words import parse_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.slurm.accounting import Entry

__all__ = ["sacct"]

_TABLE = table(
    "sacct",
    flags="""allclusters/L allocations/X allusers/a brief/b completion/c duplicates/D helpformat/e json long/l
    noconvert noheader/n parsable/p parsable2/P version/V""",
    valued="""accounts/A clusters/M delimiter endtime/E format/o jobs/j name nodelist/N partition/r qos/q starttime/S
    state/s units user/u uid""",
    refused="""associations/x= batch-script/B constraints/C= env-vars federation file/f= flags/F= gid/g=
    group= help/h local nnodes/i= ncpus/I= timelimit-max/K= timelimit-min/k= truncate/T use-local-uid verbose/v
    wckeys/W= whole-hetjob= yaml""",
)
_DEFAULT = "jobid,jobname,partition,account,alloccpus,state,exitcode"


class _Error(Exception):
    """The text for stderr."""


def sacct(core: Core, call: Call) -> Reply:
    """Unknown ids are no error: there is just no line."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if line.has("completion"):
            raise _Error("Slurm job completion is disabled\n")
        if not core.accounting:
            raise _Error("Slurm accounting storage is disabled\n")
        if line.has("helpformat"):
            return Reply(_help(field_names(core)))
        columns = _columns(core, line, call)
        unit = _unit(line)
        if line.has("json") and release_of(core).json_parser:
            _TABLE.refuse("json")
        entries = _chosen(core, call, line)
    except (UsageError, _Error) as error:
        return Reply(stderr=str(error), code=1)
    if line.has("json"):
        return Reply(entries_as_json(core, entries))
    form = call.environment.get("SLURM_TIME_FORMAT", "")
    rows = []
    for entry in entries:
        values = values_of(core, entry, form, unit)
        rows.append([values[name] for name, _, _ in columns])
    return Reply(_table(columns, rows, line))


def _help(names: list[str]) -> str:
    lines = ["".join(f"{name:<20}" for name in names[at : at + 4]) for at in range(0, len(names), 4)]
    return "".join(f"{text.removesuffix(' ')}\n" for text in lines)


def _unit(line: CommandLine) -> str:
    if line.has("noconvert"):
        return "N"
    unit = line.last("units").upper()
    if unit not in {"", "K", "M", "G", "T"}:
        raise _Error(f"sacct: fatal: Invalid --units argument: {line.last('units')}\n")
    return unit


def _columns(core: Core, line: CommandLine, call: Call) -> list[tuple[str, int, str]]:
    """Each as small name, width (negative: to the left), title."""
    usual = "jobid,state,exitcode" if line.has("brief") else call.environment.get("SACCT_FORMAT", _DEFAULT)
    form = line.joined("format") or (LONG if line.has("long") else usual)
    found = []
    for piece in filter(None, form.split(",")):
        names = field_names(core) if piece.strip().upper() == "ALL" else [piece]
        for name in names:
            one = column(core, name)
            if one is None:
                raise _Error(f'sacct: error: Invalid field requested: "{name.partition("%")[0]}"\n')
            found.append(one)
    return found


def _table(columns: list[tuple[str, int, str]], rows: list[list[str]], line: CommandLine) -> str:
    lines = []
    with_header = not line.has("noheader")
    if line.has("parsable", "parsable2"):
        delimiter = line.last("delimiter") or "|"
        end = delimiter if line.has("parsable") and not line.has("parsable2") else ""
        texts = [[title for _, _, title in columns]] * with_header + rows
        return "".join(delimiter.join(row) + end + "\n" for row in texts)
    if with_header:
        lines.append([_fit(title, width, cut="") for _, width, title in columns])
        lines.append(["-" * abs(width) for _, width, _ in columns])
    lines += [[_fit(text, width, cut="+") for text, (_, width, _) in zip(row, columns, strict=True)] for row in rows]
    return "".join(" ".join(row) + " \n" for row in lines)


def _fit(text: str, width: int, *, cut: str) -> str:
    size = abs(width)
    if len(text) > size:
        text = text[: size - len(cut)] + cut
    return text.ljust(size) if width < 0 else text.rjust(size)


def _chosen(core: Core, call: Call, line: CommandLine) -> list[Entry]:
    jobs: list[Job] = core.jobs
    wanted = _wanted(line.joined("jobs"))
    if wanted:
        names = wanted.keys()
        jobs = [job for job in jobs if {str(job.id), job.full_id, str(job.array_id)} & names]
    if line.last("clusters") not in {"", "all", core.cluster_name}:
        jobs = []
    jobs = _by_what_they_are(core, call, line, jobs)
    entries = entries_of(core, jobs, with_steps=not line.has("allocations"), with_earlier=line.has("duplicates"))
    if wanted:
        entries = [entry for entry in entries if _is_wanted(entry, wanted)]
    start, end = _window(core, line)
    if start is not None:
        entries = [entry for entry in entries if _is_within(entry, start, end)]
    return _by_state(line, entries)


def _wanted(text: str) -> dict[str, set[str]]:
    """The jobs that were named, each with the steps of it that were, or none of them for all."""
    found: dict[str, set[str]] = {}
    for piece in split_ids(text):
        match = re.fullmatch(r"(\d+(?:_\d+)?)(?:\.(\w+))?(?:\+\d+)?", piece)
        if match is None:
            what = (
                f"job array element specified: {piece.split('_')[0]}"
                if "[" in piece
                else f"job/step specified: {piece}"
            )
            raise _Error(f"sacct: fatal: Bad {what}\n")
        steps = found.setdefault(match[1], set())
        if match[2]:
            steps.add(match[2])
    return found


def _is_wanted(entry: Entry, wanted: dict[str, set[str]]) -> bool:
    job = entry.job
    named = [wanted[name] for name in {str(job.id), job.full_id, str(job.array_id)} & set(wanted)]
    return any(not steps or entry.step in steps for steps in named)


def _by_what_they_are(core: Core, call: Call, line: CommandLine, jobs: list[Job]) -> list[Job]:
    user = line.joined("user") or line.joined("uid")
    known = {call.user: 0, "root": 0, **core.settings.user_ids} | {job.user: 0 for job in core.jobs}
    ids = {str(number): name for name, number in core.settings.user_ids.items()}
    if user:
        users = {ids.get(one, one) for one in user.split(",")}
        for one in users:
            if one not in known and not one.isdecimal():
                raise _Error(f"sacct: error: Invalid user id: {one}\n")
        jobs = [job for job in jobs if job.user in users]
    elif not (line.has("allusers") or line.joined("jobs") or is_operator(core, call)):
        jobs = [job for job in jobs if job.user == call.user]
    filters: dict[str, Callable[[Job], set[str]]] = {
        "name": lambda job: {job.name},
        "partition": lambda job: {job.partition},
        "accounts": lambda job: {account_of(core, job)},
        "qos": lambda job: {quality_of(core, job)},
        "nodelist": lambda job: {*job.nodes, *(name for attempt in job.attempts for name in attempt.nodes)},
    }
    for option, values in filters.items():
        if text := line.joined(option):
            one_of = set(expand(text) if option == "nodelist" else text.split(","))
            jobs = [job for job in jobs if one_of & values(job)]
    return jobs


def _window(core: Core, line: CommandLine) -> tuple[float | None, float]:
    """From midnight, unless jobs are named or a time is given; with states and without a time it is this moment."""
    now = core.clock.time()
    moments = {}
    for option in ("starttime", "endtime"):
        if line.has(option):
            moments[option] = parse_time(line.last(option), now)
            if moments[option] is None:
                raise _Error(f"Invalid time specification (pos=0): {line.last(option)}\n")
    start, end = moments.get("starttime"), moments.get("endtime") or now
    if start is None and not line.joined("jobs"):
        start = now if line.has("state") else parse_time("today", now)
    if start is not None and start > end:
        text = f"Start time ({stamp(start)}) requested is after end time ({stamp(end)})."
        raise _Error(f"sacct: error: {text}\n")
    return start, end


def _is_within(entry: Entry, start: float, end: float) -> bool:
    """Whether it was of interest to the scheduler then. A job that is held or that waits for its time is not yet."""
    if entry.end is not None:
        return entry.end >= start and entry.created <= end
    eligible = entry.start or entry.job.eligible
    return eligible is not None and eligible <= end


def _by_state(line: CommandLine, entries: list[Entry]) -> list[Entry]:
    if not line.has("state"):
        return entries
    states = {piece: parse_state(piece) for piece in line.joined("state").split(",")}
    for piece, state in states.items():
        if state is None:
            raise _Error(f"sacct: fatal: unrecognized job state value '{piece}'\n")
    fitting = {(e.raw, e.created) for e in entries if not e.step and e.short_state in states.values()}
    return [entry for entry in entries if (entry.raw, entry.created) in fitting]
