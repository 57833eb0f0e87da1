"""Schedulers: each is a module with a job script's header, a few commands and a table of states.

``PREFIX``, ``LACKS``, ``ELEMENT``
    What begins a directive in a job script; what a job may ask for and this scheduler has not, with what to do instead; see below.
``directives(job_id, job, work_dir, resources, is_array=False)``
    The lines of the script's header; what an array's element writes goes to ``job.output("stdout", element)`` and
    ``job.output("stderr", element)``.
``submit(script, elements=0)``
    Submits the script file, with ``elements`` as an array of so many, and gives the scheduler's id of it. Raises LimitError where
    fewer elements would be taken.
``find(name)``
    The id of the job or array of that name, or None: for a submission whose answer was lost.
``states(ids)``
    By one call, the JobState of each that is known; for an array one of each element, by the element's name.
``post_mortem(id)``
    All that is known of one job or, by its name, one element, ended or not; None if nothing is.
``turns(ids)``
    By a call or two, the Turn of each that waits in the queue, an array's by its own id.
``cancel(ids)``
    By one call; an array's id cancels all its elements. Finished and unknown ones are no error.
``element_names(id, elements)``
    Those of an array.

An element's name begins with its array's id, as far as that is of letters, digits, ``.``, ``_`` and ``-``, and has nothing else in it.
``ELEMENT`` is the shell's expression of it in the job script, and ``element_names`` has those of an array: both agree with what ``states``
calls them. A refusal is SchedulerError in the scheduler's words, silence SchedulerUnavailableError, a value that it can't take ValueError.
"""

import importlib
import itertools
import re
import shlex
import shutil
import subprocess
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Type

from ..login_shell import login_path
from ..notes import Notes
from ..paths import StatePaths

__all__ = [
    "ENDED",
    "JobState",
    "LimitError",
    "RefusalWords",
    "SchedulerError",
    "SchedulerUnavailableError",
    "SchedulerUnreachableError",
    "Turn",
    "lacking",
    "own_directives",
    "place",
    "program_of",
    "refusal",
    "run",
    "scheduler",
    "signal_in",
    "starts_in",
    "turns_in",
    "work_in",
]

# By cluster_type. A process is the whole of a scheduler where there is none.
SCHEDULERS = {"slurm": "slurm", "pbs": "pbs", "sge": "sge", "ssh": "process", "local": "process"}
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED")


class SchedulerError(Exception):
    """The scheduler refused; the text is its own words."""


class SchedulerUnavailableError(SchedulerError):
    """The scheduler does not answer now; the same question may be answered later."""


class SchedulerUnreachableError(SchedulerUnavailableError):
    """Likewise, and it can't have heard the question: what was to be submitted was not."""


class LimitError(SchedulerError):
    """An array has more elements than this site takes; ``most`` is how many it takes, where that is known."""

    def __init__(self, words: str, most: Optional[int] = None) -> None:
        super().__init__(words)
        self.most = most


class RefusalWords(NamedTuple):
    """Patterns of what a scheduler's commands say where it can't have heard them, where it may have, and where an array is too large."""

    unreachable: str
    silent: str
    too_many: str


class JobState(NamedTuple):
    """What the scheduler knows of one job. ``state`` is PENDING, RUNNING or one of ENDED.

    ``held`` says in plain words why it will not start by itself; it is empty for all that may.
    """

    state: str
    reason: str = ""
    node: str = ""
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    held: str = ""

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


class Turn(NamedTuple):
    """When a job that waits is likely to start: as the ``position``-th, from 1, of those ``waiting`` with it; in ``starts_in`` seconds, if the scheduler ventures that."""

    position: int
    waiting: int
    starts_in: Optional[float] = None


def turns_in(order: Sequence[str], wanted: Iterable[str]) -> Dict[str, Turn]:
    """The turns of those ``wanted`` that are in the ``order`` in which all are likely to start."""
    return {each: Turn(order.index(each) + 1, len(order)) for each in wanted if each in order}


def starts_in(text: str, form: str) -> Optional[float]:
    """Seconds until the moment ``text`` by this host's clock, as ``time.strptime`` reads it by ``form``; None if it is none."""
    try:
        return max(0.0, time.mktime(time.strptime(text, form)) - time.time())
    except (ValueError, OverflowError):
        return None


def signal_in(status: Optional[int]) -> Optional[int]:
    """The signal that an exit status above 128 is a shell's word for; None when it is not one."""
    return status - 128 if status is not None and 128 < status < 128 + 65 else None


class Place(NamedTuple):
    """The login node that this process is on; neither is known on a client."""

    state: Optional[StatePaths] = None
    notes: Notes = Notes()


_place = Place()


def work_in(state: StatePaths, notes: Notes) -> None:
    """Tell the schedulers where jobs' directories are, and where to keep what they find out about the site."""
    global _place  # noqa: PLW0603 - one process works on one login node
    _place = Place(state, notes)


def place() -> Place:
    """Where this process works."""
    return _place


def scheduler(name: str) -> Any:
    """The module for ``cluster_type`` ``name``."""
    if name not in SCHEDULERS:
        raise SchedulerError("no scheduler %r here; there are: %s" % (name, ", ".join(SCHEDULERS)))
    return importlib.import_module("." + SCHEDULERS[name], __name__)


def lacking(name: str, resources: Dict[str, Any]) -> Optional[str]:
    """Why ``name`` can't give what ``resources`` ask for, with a way out; None if it can."""
    for field, instead in scheduler(name).LACKS.items():
        value = resources.get(field)
        if value and not (field == "nodes" and value == 1):
            return "%s=%r: %s" % (field, value, instead)
    return None


def own_directives(script: str, prefix: str) -> List[str]:
    """The words of the directives in the file ``script``, for the command line.

    There they win over what the user's variables and files of defaults say, which in the script alone they don't.
    The directives end where the shell text begins: one of the user's commands may write a job script of its own.
    """
    with open(script, encoding="utf-8") as stream:
        head = list(itertools.takewhile(lambda line: line.startswith("#"), stream))
    return [word for line in head if line.startswith(prefix) for word in shlex.split(line[len(prefix) :])]


def program_of(command: str) -> str:
    """Where a scheduler's command is; SchedulerUnavailableError when it is nowhere."""
    program = shutil.which(command) or shutil.which(command, path=login_path())
    if program is None:
        raise SchedulerUnreachableError(
            "%s is not on the PATH of the login node's shells; see whether cluster_type is right: `clustrix doctor` says what is there"
            % command
        )
    return program


def run(command: List[str], environment: Optional[Dict[str, str]] = None) -> "subprocess.CompletedProcess[str]":
    """Run one scheduler command; SchedulerUnavailableError when it is missing or does not answer.

    It gets this process's environment as it is, or ``environment``: schedulers hand it on to the job. None of them translates
    its messages.
    """
    program = program_of(command[0])
    try:
        return subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=120,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise SchedulerUnavailableError("%s did not answer within 120 s" % command[0]) from error


def refusal(answer: "subprocess.CompletedProcess[str]", words: RefusalWords, elements: int = 0) -> SchedulerError:
    """The error for a command that failed, in its own words; ``elements`` are those of an array that it was to submit."""
    program = answer.args[0].rpartition("/")[2]
    said = (answer.stderr.strip() or answer.stdout.strip() or "exit %d without a word" % answer.returncode)[-2000:]
    kind: Type[SchedulerError] = SchedulerError
    if elements > 1 and re.search(words.too_many, answer.stderr):
        kind = LimitError
    elif re.search(words.unreachable, said):
        kind = SchedulerUnreachableError
    elif re.search(words.silent, said):
        kind = SchedulerUnavailableError
    return kind(said if said.startswith(program + ":") else "%s: %s" % (program, said))
