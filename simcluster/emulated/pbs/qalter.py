"""qalter and qmove: change what a job asks for, and where it waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.pbs.depend import parse_depend
from simcluster.emulated.pbs.getopt import Options, log_refusal
from simcluster.emulated.pbs.identifiers import check_owner, each, find
from simcluster.emulated.pbs.requests import IllegalOptionError, altered, checked_name, priority_as_nice
from simcluster.emulated.pbs.resources import parse_time, split_list
from simcluster.emulated.pbs.states import is_finished
from simcluster.emulated.pbs.submission import submission
from simcluster.emulated.pbs.surroundings import Surroundings
from simcluster.emulated.pbs.words import (
    BAD_STATE,
    FINISHED,
    ILLEGAL_VALUE,
    MODIFY_RUNNING,
    NOT_ENABLED,
    OVER_LIMIT,
    UNKNOWN_QUEUE,
    VERSION,
    DeniedError,
    usage,
)

if TYPE_CHECKING:
    from simcluster.emulated.conditions import Dependency
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.pbs.identifiers import Entry

__all__ = ["qalter", "qmove"]

_ALTER = Options("qalter", "a:A:c:e:h:j:k:l:m:M:N:o:p:r:R:S:u:W:P:", refused="achSu")
_ALTER_USAGE = """\
usage: qalter [-a date_time] [-A account_string] [-c interval] [-e path]
	[-h hold_list] [-j y|n] [-k keep] [-l resource_list]
	[-m mail_options] [-M user_list] [-N jobname] [-o path] [-p priority]
	[-R o|e|oe] [-r y|n] [-S path] [-u user_list] [-W dependency_list]
	[-P project_name] job_identifier...
       qalter --version
"""
_WHILE_RUNNING = {"l", "N", "A", "P", "m", "M"}
_MOVE = Options("qmove", "")
_MOVE_USAGE = "usage: qmove destination job_identifier...\n       qmove --version\n"


def qalter(core: Core, call: Call) -> Reply:
    """Of a job that runs, only its walltime and what is shown can be changed; of resources, only the walltime."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _ALTER.parse(call.arguments)
    if line.errors or not line.rest:
        return usage("qalter", _ALTER_USAGE, line.errors)
    given = dict(line.options)

    def alter(identifier: str) -> None:
        entry = find(core, identifier)
        if is_finished(entry):
            raise DeniedError(FINISHED)
        check_owner(core, call, entry)
        if entry.job.state is not State.PENDING and set(given) - _WHILE_RUNNING:
            raise DeniedError(MODIFY_RUNNING)
        changed = altered(call, submission(entry.job), given)
        request = replace(
            entry.job.request,
            name=checked_name(given["N"]) if "N" in given else entry.job.name,
            dialect=Surroundings(core, changed),
            nice=priority_as_nice(changed.priority),
            is_requeueable=changed.is_rerunable,
        )
        limit, depend = _limit(core, entry, given.get("l")), _depend(core, given.get("W"))
        for job in entry.jobs:
            if not job.has_ended:
                core.update(job, request=request, limit=limit, dependency=depend)

    try:
        text, code = each("qalter", line.rest, alter)
    except IllegalOptionError as error:
        return usage("qalter", _ALTER_USAGE, (f"qalter: {error.text}\n",))
    return Reply(stderr=text, code=code)


def qmove(core: Core, call: Call) -> Reply:
    """To another queue of this server's; a job that runs stays."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _MOVE.parse(call.arguments)
    if line.errors or len(line.rest) < 2:
        return usage("qmove", _MOVE_USAGE, line.errors)
    queue = core.partitions.get(line.rest[0].partition("@")[0])

    def move(identifier: str) -> None:
        entry = find(core, identifier)
        if is_finished(entry):
            raise DeniedError(FINISHED)
        check_owner(core, call, entry)
        if queue is None:
            raise DeniedError(UNKNOWN_QUEUE)
        if not queue.accepts:
            raise DeniedError(NOT_ENABLED)
        if entry.job.state is not State.PENDING:
            raise DeniedError(BAD_STATE)
        for job in entry.jobs:
            core.update(job, partition=queue.name)

    text, code = each("qmove", line.rest[1:], move)
    return Reply(stderr=text, code=code)


def _limit(core: Core, entry: Entry, text: str | None) -> int | None:
    """The new walltime in seconds."""
    if text is None:
        return None
    pairs = dict(split_list(text))
    if set(pairs) != {"walltime"}:
        log_refusal("qalter", "-l of anything but walltime")
        raise DeniedError(ILLEGAL_VALUE, f" Resource_List.{next(iter(set(pairs) - {'walltime'}))}")
    limit, queue = parse_time(pairs["walltime"]), core.partitions[entry.job.partition]
    if queue.max_time is not None and limit > queue.max_time:
        raise DeniedError(OVER_LIMIT)
    return limit


def _depend(core: Core, text: str | None) -> Dependency | None:
    if text is None:
        return None
    name, _, value = text.partition("=")
    found = parse_depend(core, value) if name == "depend" else None
    if found is None:
        raise IllegalOptionError("illegal -W value")
    return found
