"""Schedulers: each is a module with a job script's header, a few commands and a table of states.

    directives(job_id, job, work_dir, resources, is_array=False)
                          the lines of the script's header; what an array's element writes goes to ``job.output("stdout", element)``
                          and ``job.output("stderr", element)``
    submit(script, elements=0)   submits the script file, with ``elements`` as an array of so many, and gives the scheduler's id of it.
                          Raises LimitError where fewer elements would be taken
    find(name)            the id of the job or array of that name, or None
    states(ids)           by one call, the JobState of each that is known; for an array one of each element, by the element's name
    post_mortem(id)       all that is known of one job or, by its name, one element; None if nothing is
    cancel(ids)           by one call; an array's id cancels all its elements

An element's name begins with its array's id, as far as that is of letters, digits, ``.``, ``_`` and ``-``, and has nothing else in it.
``ELEMENT`` is the shell's expression of it in the job script, and ``element_names(id, elements)`` has those of an array: both agree
with what ``states`` calls them.
"""

import importlib
import shutil
import subprocess
from typing import Any, List, NamedTuple, Optional

from ..login_shell import login_path

__all__ = ["ENDED", "JobState", "LimitError", "SchedulerError", "SchedulerUnavailableError", "run", "scheduler"]

SCHEDULERS = ["slurm"]
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED")


class SchedulerError(Exception):
    """The scheduler refused; the text is its own words."""


class SchedulerUnavailableError(SchedulerError):
    """The scheduler does not answer now; the same question may be answered later."""


class LimitError(SchedulerError):
    """An array has more elements than this site takes."""


class JobState(NamedTuple):
    """What the scheduler knows of one job. ``state`` is PENDING, RUNNING or one of ENDED."""

    state: str
    reason: str = ""
    node: str = ""
    exit_code: Optional[int] = None
    signal: Optional[int] = None

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


def scheduler(name: str) -> Any:
    """The module for ``cluster_type`` ``name``."""
    if name not in SCHEDULERS:
        raise SchedulerError("no scheduler %r here; there are: %s" % (name, ", ".join(SCHEDULERS)))
    return importlib.import_module("." + name, __name__)


def run(command: List[str]) -> "subprocess.CompletedProcess[str]":
    """Run one scheduler command; SchedulerUnavailableError when it is missing or does not answer.

    It gets this process's environment as it is: schedulers hand it on to the job. None of them translates its messages.
    """
    program = shutil.which(command[0]) or shutil.which(command[0], path=login_path())
    if program is None:
        raise SchedulerUnavailableError("%s is not on the PATH of the login node's shells" % command[0])
    try:
        return subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SchedulerUnavailableError("%s did not answer within 120 s" % command[0]) from error
