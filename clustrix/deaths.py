"""How a job died, in words: the error for a job that ended without a result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clustrix import errors

if TYPE_CHECKING:
    from clustrix.journal import Entry

__all__ = ["death_of"]

# A died job's message holds this many of its last lines.
LOG_LINES = 20

# By the scheduler's common word: the error, what happened, and what to do.
_WAYS: dict[str, tuple[type[errors.ClustrixError], str, str]] = {
    "TIMEOUT": (
        errors.JobTimeoutError,
        "reached its time limit and was killed",
        "ask for more with @cluster(time=...)",
    ),
    "OUT_OF_MEMORY": (
        errors.OutOfMemoryError,
        "used more memory than it asked for and was killed",
        "ask for more with @cluster(memory=...)",
    ),
    "NODE_FAIL": (
        errors.NodeFailureError,
        "lost its compute node",
        "submit it again, or have that done with @cluster(retries=...)",
    ),
    "PREEMPTED": (
        errors.JobFailedError,
        "had to make room for another job",
        "submit it again, have that done with @cluster(retries=...), or ask for another partition or qos",
    ),
}
# What schedulers and their cgroups write into a job's own log, where that is all that tells why it was killed: slurmstepd without
# cgroups, PBS's MoM, and its hook for cgroups.
_LAST_WORDS = (
    ("OUT_OF_MEMORY", re.compile(r"xceeded memory limit|Cgroup mem\w* limit exceeded|PBS: job killed: v?mem ")),
    ("TIMEOUT", re.compile(r"PBS: job killed: (walltime|cput) ")),
)
# What the runner says by its exit status; see remote/runner.py.
_RUNNER_SAYS: dict[int, tuple[type[errors.ClustrixError], str, str]] = {
    117: (
        errors.ResultLostError,
        "could store nothing of a result: the disk of remote_state_dir is full or read-only on its node",
        "make room, or set remote_state_dir to a directory that has it, and run it again",
    ),
    118: (
        errors.JobFailedError,
        "was begun once more than it may, or was overtaken by a later run of its own, and did nothing",
        "nothing runs twice unasked; @cluster(retries=...) allows more",
    ),
}
_OTHER: tuple[type[errors.ClustrixError], str, str] = (
    errors.JobFailedError,
    "died without a result",
    "future.stdout() and future.stderr() have its log",
)


def death_of(entry: Entry, head: dict[str, Any], host: str) -> errors.ClustrixError:
    """The error for the job of ``entry``; ``head`` is the agent's event."""
    state = head["state"]
    log = "\n".join(f"{head['stdout']}\n{head['stderr']}".strip().splitlines()[-LOG_LINES:])
    number = f", the scheduler's {head['scheduler_id']}" if head.get("scheduler_id") else ""
    where = f"job {entry.job_id} ({entry.function}) on {host}{number}"
    end = f"The end of its log:\n{log}" if log else "It wrote nothing to its log."
    if head.get("again"):
        end = f"Beginning it again: {head['again']}. {end}"
    told = next((name for name, words in _LAST_WORDS if words.search(log)), None)
    if state is None and told:
        state = {"state": told, "reason": "", "node": "", "exit_code": None, "signal": None}
    if state is None:
        return errors.ResultLostError(
            f"{where} is unknown to the scheduler and left no result: run it again, or have that done with @cluster(retries=...). {end}"
        )
    if state["state"] == "CANCELLED" and not told:
        return errors.JobCancelledError(
            f"{where} was cancelled by its owner or an administrator: run it again if you did not mean that. {end}"
        )
    step = " ".join(head.get("step", "").split())
    kind, what, advice = _WAYS.get(state["state"], _OTHER)
    if step and state["state"] in ("COMPLETED", "FAILED"):
        what, advice = "never came to its function", "correct modules= or pre_execution_commands="
    elif state["state"] == "COMPLETED":
        return errors.ResultLostError(
            f"{where} completed on {state['node']}, but its result did not appear: somebody removed it, or that node writes to another disk "
            f"than the login node reads. Run it again, or set remote_state_dir to a directory that both share. {end}"
        )
    elif state["exit_code"] in _RUNNER_SAYS:
        kind, what, advice = _RUNNER_SAYS[state["exit_code"]]
    if kind is errors.JobFailedError and told:
        kind, what, advice = _WAYS[told]
    if step:
        what += f", for it ended in {step!r}"
    facts = (("exit code", "exit_code"), ("signal", "signal"), ("node", "node"), ("reason", "reason"))
    details = ", ".join(f"{name} {state[key]}" for name, key in facts if state[key])
    message = f"{where} {what}: {state['state']} ({details}); {advice}. {end}"
    if not issubclass(kind, errors.JobFailedError):
        return kind(message)
    return kind(
        message,
        job_id=entry.job_id,
        state=state["state"],
        exit_code=state["exit_code"],
        signal=state["signal"],
        node=state["node"],
        log_tail=log,
    )
