"""Slurm, 22.05 to 24.11, with and without accounting."""

import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from ..paths import JobPaths
from ..script import directive
from . import JobState, RefusalWords, Turn, own_directives, refusal, run, signal_in, starts_in, turns_in

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

PREFIX = "#SBATCH "
LACKS = {"queue": "Slurm has no queues, but partitions: use partition=, or default_partition"}
ELEMENT = "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"

_WORDS = RefusalWords(
    unreachable=r"Unable to contact",
    silent=r"Connection|timed out|Socket|Zero Bytes",
    # MaxArraySize; limits of an association or a QOS on the jobs of a user, of which an array counts as many as it has elements.
    too_many=r"Invalid job array|MaxSubmit|Job violates accounting/QOS policy",
)

# squeue's and sacct's long names (squeue(1), "JOB STATE CODES"); what is missing here is a job that still lives.
_STATES = {
    "PENDING": "PENDING",
    "CONFIGURING": "PENDING",
    "REQUEUED": "PENDING",
    "REQUEUE_HOLD": "PENDING",
    "SPECIAL_EXIT": "PENDING",
    "COMPLETED": "COMPLETED",
    "FAILED": "FAILED",
    "BOOT_FAIL": "NODE_FAIL",
    "NODE_FAIL": "NODE_FAIL",
    "CANCELLED": "CANCELLED",
    "REVOKED": "CANCELLED",
    "TIMEOUT": "TIMEOUT",
    "DEADLINE": "TIMEOUT",
    "OUT_OF_MEMORY": "OUT_OF_MEMORY",
    "PREEMPTED": "PREEMPTED",
}

# Why a job waits for ever unless somebody does something (squeue(1), "JOB REASON CODES").
_HELD = {
    "BadConstraints": "no node has all that it asks for: ask for less, or correct constraint=",
    "DependencyNeverSatisfied": "a job that it depends on did not end as it has to: cancel it, and submit it again without that dependency",
    "JobHeldUser": "it is held: 'scontrol release' on the cluster lets it go",
    "JobHeldAdmin": "an administrator holds it: ask them why",
    "JobHoldMaxRequeue": "it was requeued too often and is held: look at its log, then 'scontrol release' it or submit it again",
    "PartitionDown": "its partition is down: name another one with partition=, or ask the administrators",
    "PartitionInactive": "its partition is switched off: name another one with partition=, or ask the administrators",
    "PartitionNodeLimit": "its partition does not give that many nodes or cores to a job: ask for less, or name another partition",
    "PartitionTimeLimit": "it asks for more time than its partition allows: give a smaller time=, or name another partition",
    "AccountNotAllowed": "its account may not use this partition: name another one with account= or partition=",
    "InvalidAccount": "the scheduler knows no such account: correct account=",
    "InvalidQOS": "the scheduler knows no such quality of service: correct qos=",
    "QOSNotAllowed": "its quality of service may not be used there: name another one with qos= or partition=",
    "ReservationDeleted": "its reservation is gone: cancel it, and submit it without reservation=",
    "AssocMaxWallDurationPerJobLimit": "it asks for more time than its account allows a job: give a smaller time=",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than its quality of service allows a job: give a smaller time=",
}


def directives(
    job_id: str, job: JobPaths, work_dir: str, resources: Dict[str, Any], *, is_array: bool = False
) -> List[str]:
    """The ``#SBATCH`` lines. ``memory_mb`` is per node in MiB, ``time_seconds`` is rounded up to what Slurm takes."""
    element = ".%A_%a" if is_array else ""
    options = [
        ("--job-name", job_id),
        ("--output", job.stdout.replace("%", "%%") + element),
        ("--error", job.stderr.replace("%", "%%") + element),
        ("--chdir", work_dir),
        ("--nodes", resources.get("nodes") or 1),
        ("--ntasks", resources.get("nodes") or 1),
        ("--cpus-per-task", resources["cores"]),
        ("--mem", "%dM" % resources["memory_mb"]),
        ("--time", _walltime(resources["time_seconds"])),
        ("--gres", "gpu:%d" % resources["gpus"] if resources.get("gpus") else None),
    ]
    options += [
        ("--" + name, resources.get(name)) for name in ("partition", "account", "qos", "constraint", "reservation")
    ]
    if resources.get("mail"):
        options += [("--mail-user", resources["mail"]), ("--mail-type", "END,FAIL")]
    lines = [directive("#SBATCH", name, value) for name, value in options if value]
    # Nothing runs twice unasked: without this a node failure would run the function again. What an element did not do, others do.
    lines.append("#SBATCH " + ("--requeue" if resources.get("retries") and not is_array else "--no-requeue"))
    return lines + ["#SBATCH " + extra for extra in resources.get("extra_directives") or ()]


def submit(script: str, elements: int = 0) -> str:
    """Submit the script file ``script``, as an array of ``elements`` if there are any, and return Slurm's job id.

    SBATCH_* variables of the user's win over those in a script.
    """
    array = ["--array=0-%d" % (elements - 1)] if elements else []
    answer = run(["sbatch", "--parsable", *own_directives(script, PREFIX), *array, script])
    match = re.match(r"(\d+)(;|$)", answer.stdout.strip())
    if answer.returncode == 0 and match:
        return match.group(1)
    raise refusal(answer, _WORDS, elements)


def element_names(scheduler_id: str, elements: int) -> List[str]:
    """What Slurm calls the elements of an array."""
    return ["%s_%d" % (scheduler_id, index) for index in range(elements)]


def find(name: str) -> Optional[str]:
    """The id of the job or array that is called ``name``, as long as slurmctld knows it."""
    answer = run(["squeue", "--noheader", "--states=all", "--format=%F", "--name=" + name])
    if answer.returncode != 0:
        raise refusal(answer, _WORDS)
    return answer.stdout.split()[0] if answer.stdout.split() else None


def states(scheduler_ids: Iterable[str]) -> Dict[str, JobState]:
    """The states of those jobs that slurmctld still knows, an array's by element, by one call for all."""
    wanted = list(scheduler_ids)
    each = ["--array", "--states=all", "--format=%i|%T|%r|%N"]
    answer = run(["squeue", "--noheader", *each, "--jobs=" + ",".join(wanted)])
    if answer.returncode != 0:
        # One unknown id alone is an error; among others it is left out in silence.
        if "Invalid job id" in answer.stderr:
            return {}
        raise refusal(answer, _WORDS)
    rows = [line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 3]
    return {row[0]: JobState(_common(row[1]), row[2], row[3], held=_held(row[1], row[2])) for row in rows}


def post_mortem(scheduler_id: str) -> Optional[JobState]:
    """All that is known of one job or one element: from slurmctld, else from the accounting database, else None."""
    answer = run(["scontrol", "--oneliner", "show", "job", scheduler_id])
    if answer.returncode == 0:
        fields = dict(word.split("=", 1) for word in answer.stdout.split() if "=" in word)
        code, signal = _exit(fields.get("ExitCode", ""))
        node = fields.get("BatchHost") or fields.get("NodeList", "")
        state, reason = fields.get("JobState", ""), fields.get("Reason", "")
        return JobState(_common(state), reason, node, code, signal, _held(state, reason))
    if "Invalid job id" not in answer.stderr:
        raise refusal(answer, _WORDS)
    return _from_accounting(scheduler_id)


def turns(scheduler_ids: Iterable[str]) -> Dict[str, Turn]:
    """The turns of those that wait, among all in their partition that this user may see and nobody holds, by one call."""
    answer = run(["squeue", "--noheader", "--states=PENDING", "--format=%F|%P|%Q|%S"])
    if answer.returncode != 0:
        raise refusal(answer, _WORDS)
    rows = [line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 3]
    # Of equal priority, whoever came first; what is held has none.
    rows = sorted((row for row in rows if row[2] != "0"), key=lambda row: (-int(row[2]), int(row[0])))
    found = {}
    for scheduler_id, partition, _, start in rows:
        if scheduler_id in scheduler_ids:
            order = [row[0] for row in rows if row[1] == partition]
            found.update(turns_in(order, [scheduler_id]))
            found[scheduler_id] = found[scheduler_id]._replace(starts_in=starts_in(start, "%Y-%m-%dT%H:%M:%S"))
    return found


def cancel(scheduler_ids: Iterable[str]) -> None:
    """Cancel jobs; finished and unknown ones are none of scancel's errors."""
    answer = run(["scancel", *scheduler_ids])
    if answer.returncode != 0:
        raise refusal(answer, _WORDS)


def _from_accounting(scheduler_id: str) -> Optional[JobState]:
    columns = "State,Reason,NodeList,ExitCode"
    answer = run(["sacct", "-X", "--noheader", "--parsable2", "--format=" + columns, "--jobs=" + scheduler_id])
    rows = [line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 3]
    if answer.returncode != 0 or not rows:
        return None
    state, reason, node, exit_text = rows[-1]
    code, signal = _exit(exit_text)
    return JobState(_common(state), reason, node, code, signal)


def _common(state: str) -> str:
    """Ours for Slurm's word; sacct says ``CANCELLED by 1000``, sinfo-like flags follow a ``+``."""
    word = re.split(r"[ +]", state.strip(), maxsplit=1)[0]
    return _STATES.get(word, "RUNNING")


def _held(state: str, reason: str) -> str:
    """Slurm's word and ours for why a job never starts; nodes may follow the word, in brackets."""
    word = re.split(r"\W", reason, maxsplit=1)[0]
    return "%s: %s" % (word, _HELD[word]) if _common(state) == "PENDING" and word in _HELD else ""


def _exit(text: str) -> Tuple[Optional[int], Optional[int]]:
    """``3:0`` is exit status 3, ``0:9`` signal 9."""
    match = re.match(r"(\d+):(\d+)$", text)
    if not match:
        return None, None
    code, signal = int(match.group(1)), int(match.group(2))
    return code, signal or signal_in(code)


def _walltime(seconds: int) -> str:
    minutes = max(1, -(-int(seconds) // 60))
    return "%d-%02d:%02d:00" % (minutes // 1440, minutes // 60 % 24, minutes % 60)
