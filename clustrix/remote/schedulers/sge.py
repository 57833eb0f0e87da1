"""Grid Engine, as 8.1.9 answers: jobs that ended leave qstat at once, and reach qacct some time after."""

import os
import re
from typing import Any, Dict, Iterable, List, Optional, Set

from ..login_shell import ask_login_shell
from ..paths import JobPaths
from ..script import directive, element_output
from . import (
    JobState,
    RefusalWords,
    SchedulerUnavailableError,
    Turn,
    own_directives,
    place,
    refusal,
    run,
    signal_in,
    turns_in,
)

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

PREFIX = "#$ "
ELEMENT = "${JOB_ID}.${SGE_TASK_ID}"
_WORDS = RefusalWords(
    unreachable=r"unable to (send message|contact)|got send error|Connection refused|SGE_ROOT",
    silent=r"commlib error|got (select|read) error",
    # max_aj_tasks; max_u_jobs, of which an array counts as one.
    too_many=r"too many tasks|more than .*tasks|max_aj_tasks",
)
LACKS = {
    "partition": "Grid Engine has no partitions, but queues: use queue=, or default_queue",
    "qos": "Grid Engine has no qualities of service, but queues and projects: use queue=, or extra_directives=['-P PROJECT']",
    "nodes": "a job of Grid Engine that runs one function is on one host: leave it out",
    "gpus": "every site names its GPUs otherwise (qconf -sc lists what there is): use extra_directives=['-l gpu=1'] or the like",
}
# Sites name their parallel environments as they like; these are usual for several slots on one host.
_USUAL = ("smp", "shm", "openmp", "threaded", "threads", "multicore")
# What Grid Engine's commands need to find their server, where the login node sets it in login shells only.
_SURROUNDINGS = ("SGE_ROOT", "SGE_CELL", "SGE_CLUSTER_NAME", "SGE_QMASTER_PORT", "SGE_EXECD_PORT")
# These exit statuses of a job script are orders: run it again, -r or not, and put it into the error state.
_PLAIN_EXITS = "trap 'case $? in 99 | 100) exit 1 ;; esac' EXIT"
_known_surroundings: Dict[str, str] = {}
_known_environments: List[str] = []
_known_holds: Dict[str, str] = {}


def directives(
    job_id: str,
    job: JobPaths,
    work_dir: str,  # noqa: ARG001 - a job goes there itself
    resources: Dict[str, Any],
    *,
    is_array: bool = False,
) -> List[str]:
    """The ``#$`` lines, and one that keeps exit statuses from being orders. Memory is asked for, and kept, by slot."""
    for path in (job.stdout, job.stderr):
        if re.search("[:,$]", path):
            raise ValueError(
                "Grid Engine reads : , and $ in paths in its own way: set remote_state_dir to a path without them, not %r"
                % path
            )
    cores, extra = resources["cores"], list(resources.get("extra_directives") or ())
    options = [
        ("-N", job_id),
        ("-S", "/bin/bash"),
        # What the elements of an array write goes to files of their own, what is said of them to one.
        *(
            (("-j", "y"), ("-o", job.file("log", "scheduler")))
            if is_array
            else (("-o", job.stdout), ("-e", job.stderr))
        ),
        # Nothing runs twice unasked: without this a node failure would run the function again.
        ("-r", "n"),
        ("-M", resources.get("mail")),
        ("-m", "ae" if resources.get("mail") else "n"),
        ("-A", resources.get("account")),
        ("-q", resources.get("queue")),
        ("-ar", resources.get("reservation")),
        ("-l", "h_rt=%d" % resources["time_seconds"]),
        ("-l", "h_vmem=%dM" % -(-resources["memory_mb"] // cores)),
        ("-l", resources.get("constraint")),
    ]
    lines = [directive("#$", name, value) for name, value in options if value]
    if cores > 1 and not any(line.startswith("-pe ") for line in extra):
        lines.append("%s %d" % (directive("#$", "-pe", _parallel_environment(cores)), cores))
    lines += [PREFIX + line for line in extra] + [_PLAIN_EXITS]
    return lines + ([element_output(job, ELEMENT)] if is_array else [])


def submit(script: str, elements: int = 0) -> str:
    """Submit the script file ``script``, as an array of ``elements`` if there are any, and return the job's number.

    What it says before that is the site's.
    """
    array = ["-t", "1-%d" % elements] if elements else []
    answer = _run(["qsub", "-terse", *own_directives(script, PREFIX), *array, script])
    words = answer.stdout.split()
    if answer.returncode == 0 and words and re.match(r"\d+(\.\d+-\d+:\d+)?\Z", words[-1]):
        return str(words[-1].partition(".")[0])
    raise refusal(answer, _WORDS, elements)


def element_names(scheduler_id: str, elements: int) -> List[str]:
    """What ELEMENT makes of an array's elements, which Grid Engine counts from 1."""
    return ["%s.%d" % (scheduler_id, number) for number in range(1, elements + 1)]


def find(name: str) -> Optional[str]:
    """The number of the job that is called ``name``: in qstat, else in the accounting."""
    for job in _queue().iter("job_list"):
        if job.findtext("JB_name") == name:
            return str(job.findtext("JB_job_number"))
    record = _record(name)
    return record["jobnumber"] if record else None


def turns(scheduler_ids: Iterable[str]) -> Dict[str, Turn]:
    """The turns of those that wait, among all that do, whose order qstat knows; it ventures no start."""
    answer = _run(["qstat", "-u", "*", "-s", "p"])
    rows = [line.split() for line in answer.stdout.splitlines() if re.match(r" *\d", line)]
    return turns_in([row[0] for row in rows if row[4:5] == ["qw"]], scheduler_ids)


def states(scheduler_ids: Iterable[str]) -> Dict[str, JobState]:
    """The states of those jobs that are not over, an array's by element, by one call for all."""
    wanted, found = set(scheduler_ids), {}
    tree = _queue()
    for instance in tree.iter("Queue-List"):
        name, condition = instance.findtext("name") or "", instance.findtext("state") or ""
        for job in instance.iter("job_list"):
            running = _running(name.partition("@")[2], condition, job.findtext("state") or "")
            found.update(dict.fromkeys(_names(job, wanted), running))
    for job in tree.iter("job_list"):
        for element in _names(job, wanted):
            found.setdefault(element, _pending(str(job.findtext("JB_job_number")), job.findtext("state") or ""))
    return found


def _names(job: Any, wanted: Set[str]) -> List[str]:
    """What the jobs are called of which a row of qstat tells, if they are wanted: ``tasks`` is such as ``3``, ``1-4:1`` and ``2,5-7:2``."""
    number, tasks = str(job.findtext("JB_job_number")), job.findtext("tasks")
    if number not in wanted:
        return []
    if not tasks:
        return [number]
    names = []
    for first, last, step in re.findall(r"(\d+)(?:-(\d+):(\d+))?", tasks):
        names += ["%s.%d" % (number, task) for task in range(int(first), int(last or first) + 1, int(step or 1))]
    return names


def post_mortem(scheduler_id: str) -> Optional[JobState]:
    """All that is known of one job or one element: from qstat, else from the accounting, which may be some seconds late.

    One that Grid Engine will neither run nor end by itself is taken from it.
    """
    number, _, task = scheduler_id.partition(".")
    state = states([number]).get(scheduler_id)
    if state is None:
        record = _record(number, task)
        return _ended(record) if record else None
    if state.state == "FAILED":
        detail = _run(["qstat", "-j", number]).stdout
        reason = re.search(r"^error reason +\d+: +(.*)", detail, re.MULTILINE)
        state = state._replace(reason=reason.group(1) if reason else state.reason)
    if state.is_ended:
        cancel([scheduler_id])
    return state


def cancel(scheduler_ids: Iterable[str]) -> None:
    """Cancel jobs; finished and unknown ones are none of our errors."""
    answer = _run(["qdel", *scheduler_ids])
    lines = [line for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    harmless = re.compile(r"does not exist|has (registered|deleted)|already in deletion")
    if answer.returncode != 0 and not all(harmless.search(line) for line in lines):
        raise refusal(answer, _WORDS)


def _running(host: str, condition: str, state: str) -> JobState:
    # u: nothing is heard from the host. Its jobs would stay there for ever, for only an administrator ends them.
    if "u" in condition:
        return JobState("NODE_FAIL", "its host does not answer (%s)" % condition, host)
    return JobState("RUNNING", "" if state == "r" else state, host)


def _pending(number: str, state: str) -> JobState:
    # E: it could not be started, and waits until an administrator has looked at it.
    if "E" in state:
        return JobState("FAILED", state)
    return JobState("PENDING", "" if state == "qw" else state, held=_held(number) if "h" in state else "")


def _held(number: str) -> str:
    """Why a job stays held unless somebody does something; empty where it waits for another job. Asked once for each."""
    if number not in _known_holds:
        detail = _run(["qstat", "-j", number]).stdout
        info = re.search(r"^scheduling info: +(.*)", detail, re.MULTILINE)
        words = "it is held (%s): 'qrls' on the cluster lets it go, unless an administrator holds it" % (
            info.group(1) if info else "hqw"
        )
        _known_holds[number] = "" if re.search(r"^jid_predecessor_list:", detail, re.MULTILINE) else words
    return _known_holds[number]


def _ended(record: Dict[str, str]) -> JobState:
    """``failed`` and ``exit_status`` as in accounting(5) and sge_status(5)."""
    failed, _, words = record.get("failed", "").partition(":")
    number, status = int(failed.strip() or 0), int(record.get("exit_status", "0").split()[0])
    node = record.get("hostname", "")
    if number == 0:
        return JobState("FAILED" if status else "COMPLETED", "", node, status, signal_in(status))
    reason = words.strip()
    limit, memory = _asked(record, "h_rt"), _asked(record, "h_vmem") * int(record.get("slots", "1") or 1)
    if number in (37, 100) and limit and _quantity(record.get("ru_wallclock", "")) >= limit:
        return JobState("TIMEOUT", reason, node)
    if number in (37, 100) and memory and _quantity(record.get("maxvmem", "")) >= memory:
        return JobState("OUT_OF_MEMORY", reason, node)
    if number == 37:
        return JobState("TIMEOUT", reason, node)
    if number == 100 and signal_in(status) == 9:
        # The whole job was killed, not just what it ran: by its host's end, else by qdel.
        return JobState("NODE_FAIL" if _is_lost(node) else "CANCELLED", reason, node)
    return JobState("FAILED", reason, node, status, signal_in(status))


def _asked(record: Dict[str, str], resource: str) -> float:
    """What the job asked for, of the accounting's ``category``; 0 if it did not."""
    match = re.search(r"\b%s=([\w.]+)" % resource, record.get("category", ""))
    return _quantity(match.group(1)) if match else 0


def _quantity(text: str) -> float:
    """Seconds of ``4s``, bytes of ``4.383MB`` and of ``100M``."""
    match = re.match(r"([\d.]+)([KMGT]?)", text)
    return float(match.group(1)) * 1024 ** " KMGT".index(match.group(2) or " ") if match else 0


def _is_lost(host: str) -> bool:
    return any(
        (one.findtext("name") or "").endswith("@" + host) and "u" in (one.findtext("state") or "")
        for one in _queue().iter("Queue-List")
    )


def _queue() -> Any:
    """The caller's own jobs below the parts of queues that they run in, as qstat's XML."""
    import xml.etree.ElementTree as ET  # noqa: PLC0415 - no other scheduler needs it

    answer = _run(["qstat", "-f", "-xml"])
    if answer.returncode != 0:
        raise refusal(answer, _WORDS)
    try:
        return ET.fromstring(answer.stdout)  # noqa: S314 - the site's own qstat wrote it
    except ET.ParseError as error:
        raise SchedulerUnavailableError("qstat -xml is no XML: %s" % error) from error


def _record(job: str, task: str = "") -> Optional[Dict[str, str]]:
    """The last record of the accounting for a job's number or name; None when it is not there (yet)."""
    answer = _run(["qacct", "-j", job, *(["-t", task] if task else [])])
    blocks = [block for block in re.split(r"^=+\n", answer.stdout, flags=re.MULTILINE) if "jobnumber" in block]
    if answer.returncode != 0 or not blocks:
        return None
    pairs = (line.split(None, 1) for line in blocks[-1].splitlines())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _parallel_environment(cores: int) -> str:
    """The one that keeps all slots of a job on one host. On a client it is not known which there are."""
    if not place().state:
        return _USUAL[0]
    if not _known_environments:
        names = _run(["qconf", "-spl"]).stdout.split()
        alone = [name for name in names if "$pe_slots" in _run(["qconf", "-sp", name]).stdout]
        if not alone:
            raise ValueError(
                "cores=%d: this Grid Engine has no parallel environment that keeps a job's slots on one host (there are: %s): "
                "use cores=1, or extra_directives=['-pe NAME %d']" % (cores, ", ".join(names) or "none", cores)
            )
        _known_environments.extend(
            sorted(alone, key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))
        )
    return _known_environments[0]


def _run(command: List[str]) -> Any:
    answer = run(command, dict(os.environ, **_known_surroundings) if _known_surroundings else None)
    if answer.returncode != 0 and "SGE_ROOT" in answer.stderr and not _known_surroundings:
        asked = "; ".join("printf '%%s\\n' \"$%s\"" % name for name in _SURROUNDINGS)
        said = ask_login_shell(asked)
        values = said.output.split("\n") if said else []
        _known_surroundings.update({name: value for name, value in zip(_SURROUNDINGS, values) if value})
        if _known_surroundings:
            return _run(command)
    return answer
