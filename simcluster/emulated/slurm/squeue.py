"""squeue: the jobs that the controller knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.slurm.formats import parse_fields, parse_format, render
from simcluster.emulated.slurm.hostlists import expand
from simcluster.emulated.slurm.identifiers import jobs_named, split_ids
from simcluster.emulated.slurm.job_fields import Forecast, account_of, fields_of, gathered, partition_text, quality_of
from simcluster.emulated.slurm.json_jobs import jobs_as_json
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.squeue_steps import steps_table
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import clock_text
from simcluster.emulated.slurm.words import COMPACT, compact_state, full_state, parse_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.slurm.job_fields import Record

__all__ = ["squeue"]

_TABLE = table(
    "squeue",
    flags="all/a array/r array-unique hide json local long/l me noconvert noheader/h start version/V",
    optional="steps/s",
    valued="account/A name/n format/o Format/O jobs/j job partition/p qos/q states/t state sort/S user/u nodelist/w",
    refused="""clusters/M= federation help iterate/i= licenses/L= priority/P reservation/R= sibling
    usage verbose/v yaml""",
)
_DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
_LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
_START = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
_USAGE = """Usage: squeue [-A account] [--clusters names] [-i seconds] [--job jobid]
              [-n name] [-o format] [-p partitions] [--qos qos]
              [--reservation reservation] [--sort fields] [--start]
              [--step step_id] [-t states] [-u user_name] [--usage]
              [-L licenses] [-w nodes] [--federation] [--local] [--sibling]
\t      [-ahjlrsv]
"""
_USUAL = {"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT"}


class _Error(Exception):
    """The text for stderr."""


def squeue(core: Core, call: Call) -> Reply:
    """One unknown id is an error, exit 1; among several, unknown ones are missing in silence."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.rest:
            return Reply(_USAGE, f"squeue: error: Unrecognized option: {line.rest[0]}\n", 1)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if line.has("json") and not release_of(core).json_parser:
            return Reply(jobs_as_json(core, call, list(core.known)))
        jobs, notes = _chosen(core, call, line)
    except (UsageError, _Error) as error:
        return Reply(stderr=str(error), code=1)
    if line.has("json"):
        return Reply(jobs_as_json(core, call, jobs), notes)
    if line.has("steps"):
        form, with_header = line.last("format"), not line.has("noheader")
        shown, unknown = steps_table(core, jobs, line.last("steps"), form, with_header=with_header)
        return Reply(shown, notes + "".join(f"Invalid job step format specification: {one}\n" for one in unknown))
    records = gathered(core, jobs, one_by_one=line.has("array"))
    kind, form = _form(call, line)
    expected = core.forecast() if line.has("start") or _asks_for_starts(kind, form) else {}
    _sort(records, line.last("sort", call.environment.get("SQUEUE_SORT", "")), expected if line.has("start") else None)
    fields = fields_of(
        core, call.environment.get("SLURM_TIME_FORMAT", ""), expected, converts=not line.has("noconvert")
    )
    letters = {letter: (title, value) for letter, _, title, value in fields if letter}
    names = {name: (title, value) for _, name, title, value in fields}
    columns, unknown = parse_fields(form, names) if kind == "O" else parse_format(form, letters)
    notes += "".join(f"squeue: error: Invalid job format specification: {one}\n" for one in unknown)
    above = f"{clock_text(core.clock.time())}\n" if line.has("long") and not line.has("noheader") else ""
    return Reply(above + render(columns, records, with_header=not line.has("noheader")), notes)


def _form(call: Call, line: CommandLine) -> tuple[str, str]:
    """`o` or `O`, and the format."""
    for name, value in reversed(line.options):
        if name in {"format", "Format"}:
            return ("o" if name == "format" else "O"), value
    if line.has("long"):
        return "o", _LONG
    if line.has("start"):
        return "o", _START
    if "SQUEUE_FORMAT2" in call.environment:
        return "O", call.environment["SQUEUE_FORMAT2"]
    return "o", call.environment.get("SQUEUE_FORMAT", _DEFAULT)


def _chosen(core: Core, call: Call, line: CommandLine) -> tuple[list[Job], str]:
    ids = line.last("jobs") or line.last("job")
    jobs = _by_ids(core, ids) if line.has("jobs", "job") else list(core.known)
    notes = ""
    states = _states(call, line)
    if states is not None:
        jobs = [job for job in jobs if full_state(job) in states]
    users = line.last("user")
    wanted = {call.user} if line.has("me") else set(filter(None, users.split(",")))
    if users and not line.has("me"):
        known = {call.user, "root", "slurm", "other", *core.settings.user_ids, *(job.user for job in core.known)}
        notes = "".join(
            f"squeue: error: Invalid user: {one}\n\n" for one in sorted(wanted) if not (one in known or one.isdecimal())
        )
    if wanted:
        jobs = [job for job in jobs if job.user in wanted or str(user_id(core, job.user)) in wanted]
    if nodes := set(expand(line.last("nodelist"))):
        for node in sorted(nodes - set(core.nodes.position)):
            raise _Error(f"squeue: error: Invalid node name {node}\n")
        jobs = [job for job in jobs if nodes & set(job.nodes)]
    for option, value in _filters(core):
        if one_of := set(filter(None, line.last(option).split(","))):
            jobs = [job for job in jobs if value(job) in one_of]
    if partitions := set(filter(None, line.last("partition").split(","))):
        jobs = [job for job in jobs if partitions & set(partition_text(job).split(","))]
    if line.has("start"):
        jobs = [job for job in jobs if full_state(job) == "PENDING"]
    return jobs, notes


def _filters(core: Core) -> list[tuple[str, Callable[[Job], str]]]:
    return [
        ("name", lambda job: job.name),
        ("account", lambda job: account_of(core, job)),
        ("qos", lambda job: quality_of(core, job)),
    ]


def _by_ids(core: Core, text: str) -> list[Job]:
    pieces = split_ids(text)
    found: dict[Job, None] = {}
    for piece in pieces:
        jobs = jobs_named(core, piece)
        if jobs is None:
            raise _Error(f"squeue: error: Invalid job id: {piece}\n")
        if not jobs and len(pieces) == 1 and not core.find(int(piece.split("_")[0].split(".")[0])):
            raise _Error("slurm_load_jobs error: Invalid job id specified\n")
        found.update(dict.fromkeys(jobs))
    return list(found)


def _states(call: Call, line: CommandLine) -> set[str] | None:
    text = line.last("states") or line.last("state") or call.environment.get("SQUEUE_STATES", "")
    if not text:
        return _USUAL
    if text.lower() == "all":
        return None
    states = {piece: parse_state(piece) for piece in text.split(",")}
    for piece, state in states.items():
        if state is None:
            valid = ",".join(COMPACT)
            raise _Error(
                f"squeue: error: Invalid job state specified: {piece}\n"
                f"squeue: error: Valid job states include: {valid}\n\n"
            )
    return {state for state in states.values() if state}


def _asks_for_starts(kind: str, form: str) -> bool:
    """Looking ahead takes time, so it is done where it is seen."""
    if kind == "o":
        return re.search(r"%\.?\d*[SeY]", form) is not None
    return any(name in form.lower() for name in ("starttime", "endtime", "schednodes"))


def _start(job: Job, starts: Forecast) -> float:
    begin = job.begin if job.reason == "BeginTime" else None
    return job.started or (starts[job][0] if job in starts else None) or begin or float("inf")


def _sort(records: list[Record], keys: str, starts: Forecast | None) -> None:
    """Stable sorts from the last key to the first; by partition, state, priority unless `-S` says otherwise."""
    by = {
        "i": lambda record: (record.job.array_id or record.job.id, record.job.task_id or 0),
        "t": lambda record: compact_state(record.job),
        "T": lambda record: full_state(record.job),
        "P": lambda record: record.job.partition,
        "p": lambda record: record.job.priority,
        "Q": lambda record: record.job.priority,
        "j": lambda record: record.job.name,
        "u": lambda record: record.job.user,
        "S": lambda record: _start(record.job, starts or {}),
        "V": lambda record: record.job.submitted,
        "M": lambda record: -(record.job.started or 0),
        "N": lambda record: record.job.nodes,
    }
    for key in reversed((keys or ("P,t,-p" if starts is None else "S,i")).split(",")):
        if key.lstrip("+-") in by:
            records.sort(key=by[key.lstrip("+-")], reverse=key.startswith("-"))
