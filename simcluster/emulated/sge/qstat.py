"""qstat: jobs as a table, below their queues, in detail, or as XML."""

from __future__ import annotations

import fnmatch
import logging
import time
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from simcluster.emulated.interface import Reply
from simcluster.emulated.sge.details import details, details_xml
from simcluster.emulated.sge.hosts import queue_instances
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.shown import Row, is_shown, priority, rows
from simcluster.emulated.sge.words import named, no_number, usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["qstat"]

_log = logging.getLogger(__name__)

_TABLE = table(
    "qstat",
    flags="f help xml",
    valued="s u q g",
    optional="j",
    refused="ext explain F l ne ncb pe qs r t U urg pri cb",
)
_USAGE = """\
        [-f]                              full output
        [-g c]                            display cluster queue summary
        [-g d]                            display all job-array tasks (do not group)
        [-help]                           print this help
        [-j [job_identifier_list]]        show scheduler job information
        [-q wc_queue_list]                print information on given queue
        [-s {p|r|s|z|h|a}]                show pending, running, suspended, zombie, held jobs
        [-u user_list]                    view jobs of this user list
        [-xml]                            display the information in XML format

"""
_HEAD = "job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID \n"
_PENDING = f"""
{"#" * 76}
 - PENDING JOBS - PENDING JOBS - PENDING JOBS - PENDING JOBS - PENDING JOBS
{"#" * 76}
"""
_SCHEMA = "http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat"


def qstat(core: Core, call: Call) -> Reply:
    """Exit code 1 for a bad command line, and for `-j` if one of the jobs is unknown."""
    try:
        line = _TABLE.parse(call.arguments)
    except (UnknownOptionError, MissingValueError) as error:
        return Reply(stderr=usage("qstat", _USAGE, f'invalid option argument "{error}"'), code=1)
    if line.rest:
        return Reply(stderr=usage("qstat", _USAGE, f'invalid option argument "{line.rest[0]}"'), code=1)
    if line.has("help"):
        return Reply(usage("qstat", _USAGE, "").rstrip("\n") + "\n")
    if line.last("g", "d") not in {"c", "d"}:
        _log.warning("qstat -g %s is not emulated: refused", line.last("g"))
        return Reply(stderr=usage("qstat", _USAGE, f'invalid option argument "-g {line.last("g")}"'), code=1)
    if line.has("j"):
        return _in_detail(core, line.last("j"), as_xml=line.has("xml"))
    if line.last("g") == "c":
        return Reply(_summary(core))
    queues = [word.partition("@")[0] for word in line.last("q").split(",") if word]
    if queues and not any(fnmatch.fnmatchcase(name, word) for name in core.partitions for word in queues):
        return Reply(code=1)
    wanted = line.last("s", "prs").replace("a", "prs")
    users = line.last("u", call.user).split(",")
    chosen = [
        job
        for job in core.known
        if is_shown(job, wanted)
        and any(fnmatch.fnmatchcase(job.user, user) for user in users)
        and (not queues or any(fnmatch.fnmatchcase(job.partition, word) for word in queues))
    ]
    shown = rows(chosen, grouped="d" not in line.last("g"))
    if line.has("xml"):
        return Reply(_as_xml(core, shown, full=line.has("f")))
    return Reply(_full(core, shown) if line.has("f") else _as_table(shown))


def _as_table(shown: Iterable[Row]) -> str:
    lines = "".join(row.line() for row in shown)
    return f"{_HEAD}{'-' * 113}\n{lines}" if lines else ""


def _full(core: Core, shown: list[Row]) -> str:
    text = "queuename                      qtype resv/used/tot. load_avg arch          states\n"
    for instance in queue_instances(core):
        used = f"0/{instance.used}/{instance.slots}"
        text += f"{'-' * 81}\n{instance.name:<30.30} BIP   {used:<14} {instance.load:<8} {instance.arch:<13} {instance.states}\n"
        text += "".join(row.line(with_queue=False) for row in shown if row.queue == instance.name)
    waiting = "".join(row.line(with_queue=False) for row in shown if row.is_pending)
    return text + (_PENDING + waiting if waiting else "")


def _summary(core: Core) -> str:
    text = "CLUSTER QUEUE                   CQLOAD   USED    RES  AVAIL  TOTAL aoACDS  cdsuE  \n" + "-" * 80 + "\n"
    for name in core.partitions:
        instances = [one for one in queue_instances(core) if one.queue == name]
        total, used = sum(one.slots for one in instances), sum(one.used for one in instances)
        gone = sum(one.slots for one in instances if one.states)
        text += f"{name:<30.30} {used / max(total, 1):7.2f} {used:6} {0:6} {total - used - gone:6} {total:6} {0:6} {gone:6} \n"
    return text


def _in_detail(core: Core, words: str, *, as_xml: bool) -> Reply:
    asked = [word for word in words.split(",") if word]
    if not asked:
        return Reply(_why_nothing_runs(core))
    found: dict[int, Job] = {}
    unknown = []
    for word in asked:
        try:
            jobs = named(core, word).jobs
        except ValueError as error:
            return Reply(stderr=f"qstat: {no_number(error)}\n", code=1)
        found |= {job.id: job for job in reversed(jobs)}
        unknown += [] if jobs else [word]
    if as_xml:
        if unknown and not found:
            names = "".join(f"    <ST_name>{escape(word)}</ST_name>\n" for word in unknown)
            return Reply(f"<?xml version='1.0'?>\n<unknown_jobs >\n{names}</unknown_jobs>\n")
        return Reply(details_xml(core, [found[number] for number in sorted(found)]))
    if not found:
        return Reply(stderr="Following jobs do not exist: \n" + "".join(f"{word}\n" for word in unknown), code=1)
    return Reply("".join(details(core, found[number]) for number in sorted(found)))


def _why_nothing_runs(core: Core) -> str:
    reasons: dict[str, list[int]] = {}
    for row in rows([job for job in core.known if is_shown(job, "p")]):
        title = "Jobs dropped because of error state" if row.state.startswith("E") else ""
        title = title or ("Jobs can not run because no host can provide what they ask for" if row.state == "qw" else "")
        if title:
            reasons.setdefault(title, []).append(row.job.id)
    return "\n".join(f"{title}\n\t" + ",\t".join(map(str, numbers)) + "\n" for title, numbers in reasons.items())


def _as_xml(core: Core, shown: list[Row], *, full: bool) -> str:
    text = f"<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"{_SCHEMA}/qstat.xsd\">\n  <queue_info>\n"
    if full:
        for one in queue_instances(core):
            text += "    <Queue-List>\n" + _elements(
                6,
                name=one.name,
                qtype="BIP",
                slots_used=one.used,
                slots_resv=0,
                slots_total=one.slots,
                load_avg=one.load,
                arch=one.arch,
                **({"state": one.states} if one.states else {}),
            )
            text += (
                "".join(_job_xml(row, 6, full=True) for row in shown if row.queue == one.name) + "    </Queue-List>\n"
            )
    else:
        text += "".join(_job_xml(row, 4, full=False) for row in shown if not row.is_pending)
    text += "  </queue_info>\n  <job_info>\n"
    text += "".join(_job_xml(row, 4, full=full) for row in shown if row.is_pending)
    return f"{text}  </job_info>\n</job_info>\n"


def _job_xml(row: Row, indent: int, *, full: bool) -> str:
    moment = row.job.submitted if row.is_pending else row.moment
    element = "JB_submission_time" if row.is_pending else "JAT_start_time"
    fields = {
        "JB_job_number": row.job.id,
        "JAT_prio": f"{priority(row.job):.5f}",
        "JB_name": row.job.name,
        "JB_owner": row.job.user,
        "state": row.state,
        element: _iso(moment),
        **({} if full else {"queue_name": row.queue}),
        "slots": row.slots,
        **({"tasks": row.tasks} if row.tasks else {}),
    }
    margin = " " * indent
    state = "pending" if row.is_pending else "running"
    return f'{margin}<job_list state="{state}">\n{_elements(indent + 2, **fields)}{margin}</job_list>\n'


def _elements(indent: int, **fields: object) -> str:
    return "".join(f"{' ' * indent}<{name}>{escape(str(value))}</{name}>\n" for name, value in fields.items())


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
