"""PBS in its two dialects: OpenPBS and PBS Professional, and Torque. Exit codes of its commands are PBS's error numbers & 255."""

import os
import re
from typing import Any, Dict, Iterable, Iterator, List, Optional

from ..paths import JobPaths
from ..script import directive, element_output, once
from . import (
    JobState,
    RefusalWords,
    SchedulerError,
    SchedulerUnavailableError,
    Turn,
    own_directives,
    place,
    program_of,
    refusal,
    run,
    signal_in,
    starts_in,
    turns_in,
)
from .sites import site_of

__all__ = [
    "ELEMENT",
    "LACKS",
    "PREFIX",
    "cancel",
    "directives",
    "element_names",
    "find",
    "post_mortem",
    "states",
    "submit",
    "turns",
]

PREFIX = "#PBS "
# `15.3` of `15[3].pbs`; an array of one is a plain job, for PBS takes no shorter range.
ELEMENT = "${PBS_JOBID%%[*}${PBS_ARRAY_INDEX:+.$PBS_ARRAY_INDEX}${PBS_ARRAYID:+.$PBS_ARRAYID}"
_WORDS = RefusalWords(
    unreachable=r"cannot connect to server|Connection refused|Unknown Host|trqauthd",
    silent=r"[Cc]onnect|[Cc]ommunication|[Tt]imed? ?out",
    # max_array_size, max_queued and their kin.
    too_many=r"Array job exceeds|would exceed|exceeds? .*limit|too many",
)
LACKS = {
    "partition": "PBS has no partitions, but queues: use queue=, or default_queue",
}
OPENPBS, TORQUE = "OpenPBS", "Torque"

# qstat(1B), "job_state"; what is missing here is ended. A suspended job lives, and one that is exiting still has its node.
_LIVING = {"Q": "PENDING", "H": "PENDING", "W": "PENDING", "T": "PENDING", "M": "PENDING"}
_LIVING.update({"R": "RUNNING", "E": "RUNNING", "S": "RUNNING", "U": "RUNNING", "B": "RUNNING"})
# Negative exit statuses are PBS's own: OpenPBS's job.h; "Job Exit Status" of Torque's administrator's guide.
_KILLED = {
    OPENPBS: {-20: "NODE_FAIL", -26: "OUT_OF_MEMORY", -27: "OUT_OF_MEMORY", -28: "TIMEOUT", -29: "TIMEOUT"},
    TORQUE: {-4: "NODE_FAIL", -10: "OUT_OF_MEMORY", -11: "TIMEOUT", -12: "TIMEOUT"},
}
_UNKNOWN, _FINISHED = 153, 35
# What OpenPBS remarks of a job that waits for ever unless somebody does something.
_NEVER = {
    "Can Never Run": "ask for less or for other nodes (constraint=), or for another queue with queue=",
    "Not Running: Queue not started": "name another queue with queue=, or ask the administrators",
}
# What qsub says of a job that is asked for wrongly, and the way out; it names neither the queue nor the limit itself.
_REFUSED = {
    "Unknown queue": "%(queue)s is none of this site's: name one of %(queues)s with queue= or default_queue",
    "Queue is not enabled": "%(queue)s takes no jobs now: name one of %(queues)s with queue= or default_queue, or wait",
    "violates queue and/or server resource limits": "it asks for %(asked)s, which is more than %(queue)s allows: "
    "`qstat -Q -f` and `qstat -B -f` on the cluster show the limits (resources_max); ask for less, or name another queue",
    "Unknown resource": "this site's PBS does not have it: leave it out of constraint=, gpus= or extra_directives=, or ask for what it is called here",
}
# OpenPBS's remark on a job that ran: when, where, and at times what became of it.
_RAN = re.compile(r"Job run at .*? on \(.*?\)(?: and (?!failed\Z|finished\Z)(.*)| and .*)?\Z")
# How qstat, qdel and qselect say that a job is not there, or not any more.
_GONE = re.compile(r"Unknown Job|has finished|[Ii]nvalid (for )?state|maintain job history")
_NO_HISTORY = "not configured to maintain job history"
_sites_without_history: List[str] = []


def directives(
    job_id: str,
    job: JobPaths,
    work_dir: str,  # noqa: ARG001 - a job goes there itself
    resources: Dict[str, Any],
    *,
    is_array: bool = False,
) -> List[str]:
    """The ``#PBS`` lines. ``memory_mb`` is per node in MiB. On a client the dialect is not known, and taken for OpenPBS's."""
    dialect = _dialect() if place().state else OPENPBS
    for path in (job.stdout, job.stderr):
        if ":" in path:
            raise ValueError(
                "PBS takes what is before a colon for a host: set remote_state_dir to a path without one, not %r" % path
            )
    options = [
        ("-N", job_id),
        ("-S", "/bin/bash"),
        # What the elements of an array write goes to files of their own, what is said of them to one.
        *(
            (("-j", "oe"), ("-o", job.file("log", "scheduler")))
            if is_array
            else (("-o", job.stdout), ("-e", job.stderr))
        ),
        # Written where it stays while the job runs; without d, and by Torque, it comes there at the end.
        ("-k", "oed" if dialect == OPENPBS else None),
        # Nothing runs twice unasked: without this a node failure would run the function again. OpenPBS takes no array that says so.
        ("-r", "y" if is_array and dialect == OPENPBS else "n"),
        ("-M", resources.get("mail")),
        ("-m", "ae" if resources.get("mail") else "n"),
        ("-A", resources.get("account")),
        # A reservation of OpenPBS is a queue.
        ("-q", resources.get("queue") or (resources.get("reservation") if dialect == OPENPBS else None)),
        *(("-l", value) for value in (_openpbs if dialect == OPENPBS else _torque)(resources)),
        ("-l", "walltime=" + _walltime(resources["time_seconds"])),
    ]
    lines = [directive("#PBS", name, value) for name, value in options if value]
    lines += [PREFIX + extra for extra in resources.get("extra_directives") or ()]
    return lines + ([once(job, ELEMENT), element_output(job, ELEMENT)] if is_array else [])


def _openpbs(resources: Dict[str, Any]) -> List[str]:
    if resources.get("qos"):
        raise ValueError("qos=%r: OpenPBS has no qualities of service, but queues: use queue=" % resources["qos"])
    if resources.get("reservation") and resources.get("queue"):
        raise ValueError(
            "reservation=%r: a reservation of OpenPBS is a queue: leave out queue=" % resources["reservation"]
        )
    constraint = resources.get("constraint")
    if constraint and not re.match(r"[\w.]+=[^:=]+(:[\w.]+=[^:=]+)*\Z", constraint):
        raise ValueError(
            "constraint=%r: OpenPBS takes resources of nodes, such as 'cputype=icelake:ib=true'" % constraint
        )
    chunk = "%d:ncpus=%d:mem=%dmb" % (resources.get("nodes") or 1, resources["cores"], resources["memory_mb"])
    chunk += ":ngpus=%d" % resources["gpus"] if resources.get("gpus") else ""
    chunk += ":" + constraint if constraint else ""
    return ["select=" + chunk, *(["place=scatter"] if (resources.get("nodes") or 1) > 1 else [])]


def _torque(resources: Dict[str, Any]) -> List[str]:
    """``mem`` is the whole job's. Qualities of service and reservations are Moab's and Maui's extensions of ``-l``."""
    nodes = resources.get("nodes") or 1
    chunk = "nodes=%d:ppn=%d" % (nodes, resources["cores"])
    chunk += ":gpus=%d" % resources["gpus"] if resources.get("gpus") else ""
    chunk += ":" + resources["constraint"] if resources.get("constraint") else ""
    lines = [chunk, "mem=%dmb" % (resources["memory_mb"] * nodes)]
    lines += ["qos=" + resources["qos"]] if resources.get("qos") else []
    return lines + (["advres=" + resources["reservation"]] if resources.get("reservation") else [])


def submit(script: str, elements: int = 0) -> str:
    """Submit the script file ``script``, as an array if there are several ``elements``, and return PBS's id.

    What it says before that is the site's.
    """
    array = ["-J" if _dialect() == OPENPBS else "-t", "0-%d" % (elements - 1)] if elements > 1 else []
    answer = run(["qsub", *own_directives(script, PREFIX), *array, script])
    words = answer.stdout.split()
    if answer.returncode == 0 and words and re.match(r"\d+(\[\])?(\.[\w.-]+)?\Z", words[-1]):
        return words[-1]
    raise _with_a_way_out(refusal(answer, _WORDS, elements), script)


def _with_a_way_out(refused: SchedulerError, script: str) -> SchedulerError:
    advice = next((words for said, words in _REFUSED.items() if said in str(refused)), None)
    if advice is None:
        return refused
    words = own_directives(script, PREFIX)
    options = list(zip(words, words[1:]))
    facts = {
        "queue": next(("queue=%r" % value for option, value in options if option == "-q"), "the default queue"),
        "asked": " ".join(value for option, value in options if option == "-l"),
        "queues": ", ".join(queue.name for queue in site_of("pbs").queues if queue.is_open) or "those of `qstat -Q`",
    }
    return SchedulerError("%s: %s" % (refused, advice % facts))


def element_names(scheduler_id: str, elements: int) -> List[str]:
    """What ELEMENT makes of the ids of an array's elements."""
    array, is_array, _ = scheduler_id.partition("[")
    return ["%s.%d" % (array, index) for index in range(elements)] if is_array else [scheduler_id]


def find(name: str) -> Optional[str]:
    """The id of the job that is called ``name``, as long as PBS knows it."""
    answer = _with_history("qselect", "-N", name)
    if answer.returncode != 0:
        raise refusal(answer, _WORDS)
    return answer.stdout.split()[0] if answer.stdout.split() else None


def states(scheduler_ids: Iterable[str]) -> Dict[str, JobState]:
    """The states of those jobs that PBS still knows, an array's by element, by one call for all; with history, how they ended, too."""
    wanted = {_number(scheduler_id): scheduler_id for scheduler_id in scheduler_ids}
    elements = ["-t"] if any("[" in number for number in wanted) else []
    answer = _with_history("qstat", "-f", *elements, *wanted.values())
    if answer.returncode not in (0, _UNKNOWN, _FINISHED) and not _is_only_about_the_gone(answer):
        raise refusal(answer, _WORDS)
    found = ((_number(record["Job Id"]), record) for record in _records(answer.stdout))
    known = {}
    for number, record in found:
        array, _, index = number.rstrip("]").partition("[")
        if index and array + "[]" in wanted:
            known["%s.%s" % (array, index)] = _state(record)
        elif number in wanted and "[]" not in number:
            known[wanted[number]] = _state(record)
    return known


def post_mortem(scheduler_id: str) -> Optional[JobState]:
    """All that is known of one job or one element, else None: without history PBS forgets a job as it ends."""
    element = re.match(r"(\d+)\.(\d+)\Z", scheduler_id)
    return states([element.group(1) + "[]" if element else scheduler_id]).get(scheduler_id)


def turns(scheduler_ids: Iterable[str]) -> Dict[str, Turn]:
    """The turns of those that wait, among all in their queue that this user may see; with a start where OpenPBS has estimated one."""
    answer = run(["qstat", "-f", *scheduler_ids])
    found: Dict[str, Turn] = {}
    numbers = {_number(each): each for each in scheduler_ids}
    for record in _records(answer.stdout):
        number = _number(record["Job Id"])
        if record.get("job_state") != "Q" or number not in numbers:
            continue
        others = run(["qselect", "-s", "Q", "-q", record.get("queue", "")])
        turn = turns_in([_number(each) for each in others.stdout.split()], [number])
        for each in turn.values():
            start = starts_in(record.get("estimated.start_time", ""), "%a %b %d %H:%M:%S %Y")
            found[numbers[number]] = each._replace(starts_in=start)
    return found


def cancel(scheduler_ids: Iterable[str]) -> None:
    """Cancel jobs; finished and unknown ones are none of our errors."""
    answer = run(["qdel", *scheduler_ids])
    if answer.returncode != 0 and not _is_only_about_the_gone(answer):
        raise refusal(answer, _WORDS)


def _dialect() -> str:
    """Which PBS this is, by what its qstat says of itself; asked once for each qstat that the site installs."""
    program = program_of("qstat")
    about = os.stat(program)
    key, notes = "%s %d %d" % (program, about.st_mtime, about.st_size), place().notes
    known = notes.get("pbs", key)
    if known is None:
        answer = run(["qstat", "--version"])
        said = answer.stdout + answer.stderr
        if "pbs_version" in said or "PBSPro" in said:
            known = OPENPBS
        # Torque's own, and the wrapper around Slurm that takes Torque's command lines.
        elif re.search(r"[Vv]ersion: *\d|Unknown option: version", said):
            known = TORQUE
        else:
            raise SchedulerUnavailableError(
                "which PBS this is can't be told from what qstat --version says: %r" % said[:500]
            )
        notes.put("pbs", {key: known})
    return str(known)


def _with_history(program: str, *arguments: str) -> Any:
    """Ask of ended jobs, too, where the server remembers any. Torque always tells of those that it still has."""
    if _dialect() == TORQUE or _sites_without_history:
        return run([program, *arguments])
    answer = run([program, "-x", *arguments])
    if _NO_HISTORY in answer.stderr:
        # Then -x hides the living ones as well.
        _sites_without_history.append(program)
        return run([program, *arguments])
    return answer


def _number(scheduler_id: str) -> str:
    """``15[3]`` of ``15[3].pbs``: the server's name comes longer or shorter, and not at all."""
    return re.match(r"\d*(\[\d*\])?", scheduler_id).group()  # type: ignore[union-attr]


def _records(text: str) -> Iterator[Dict[str, str]]:
    """The jobs of ``qstat -f``. Long values go on in lines that begin with a tab; a wrapper begins all lines with one."""
    for block in re.split(r"^Job Id:", text, flags=re.MULTILINE)[1:]:
        first, *lines = block.split("\n")
        record, name, margin = {"Job Id": first.strip()}, "", ""
        for line in lines:
            match = re.match(r"(\s+)([\w.]+) = (.*)", line)
            margin = margin or (match.group(1) if match else "")
            if match and match.group(1) == margin:
                name = match.group(2)
                record[name] = match.group(3)
            elif name and line.startswith("\t"):
                record[name] += line[1:]
        yield record


def _state(record: Dict[str, str]) -> JobState:
    state, reason = record.get("job_state", ""), record.get("comment", "")
    host = record.get("exec_host", "")
    node = "" if host.startswith("-") else re.split(r"[/+]", host)[0]
    if state in _LIVING:
        return JobState(_LIVING[state], reason, node, held=_held(record))
    ran = _RAN.match(reason)
    if ran:
        reason = ran.group(1) or ""
    # OpenPBS writes it large, Torque small.
    dialect = OPENPBS if state in ("F", "X") else TORQUE
    text = record.get("Exit_status", record.get("exit_status", ""))
    is_deleted = record.get("substate") == "91"
    if not re.match(r"-?\d+\Z", text):
        # It never ran; but the wrapper, which talks like Torque, tells of no job how it ended.
        if dialect == TORQUE:
            return JobState("COMPLETED" if node else "CANCELLED", reason, node)
        return JobState("CANCELLED" if is_deleted else "FAILED", reason, node)
    status = int(text)
    if status in _KILLED[dialect]:
        return JobState(_KILLED[dialect][status], reason, node, status)
    if is_deleted or (dialect == TORQUE and status == 271):
        return JobState("CANCELLED", reason, node, status)
    if status == 0:
        return JobState("COMPLETED", reason, node, 0)
    # From 256 on the job's shell itself was killed; below, it says so of the runner.
    return JobState("FAILED", reason, node, status, signal_in(status - 128 if status >= 256 else status))


def _held(record: Dict[str, str]) -> str:
    """Why a job waits for ever unless somebody does something; empty where it only waits, for another job, too."""
    state, comment, holds = record["job_state"], record.get("comment", ""), record.get("Hold_Types", "")
    if state == "H":
        if "u" in holds:
            return "it is held by its user: 'qrls' on the cluster lets it go"
        is_waiting = "s" in holds and "depend" in record
        return "" if is_waiting else "an administrator or the system holds it (Hold_Types %s): ask them why" % holds
    if state != "Q":
        return ""
    return next(
        ("%s: %s" % (comment.rstrip("."), words) for start, words in _NEVER.items() if comment.startswith(start)), ""
    )


def _is_only_about_the_gone(answer: Any) -> bool:
    lines = answer.stderr.strip().splitlines()
    return all(_GONE.search(line) for line in lines) and (bool(lines) or answer.returncode in (1, _UNKNOWN, _FINISHED))


def _walltime(seconds: int) -> str:
    return "%02d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
