"""Job ids as people write them, `17`, `17.pbs`, `17[].pbs`, `17[3]`; what they name, and who may touch it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.pbs.words import FINISHED, SERVER, UNAUTHORIZED, UNKNOWN_JOB, DeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simcluster.emulated.arrays import Array
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["Entry", "MalformedIdError", "check_owner", "each", "entries", "find", "is_job_id", "is_operator", "job_id"]

_ID = re.compile(r"(\d+)(\[(\d*)\])?(?:\.([A-Za-z][\w.-]*))?(?:@[\w.-]+)?")


class MalformedIdError(Exception):
    """Not an id of this server's."""


@dataclass(frozen=True)
class Entry:
    """What has an id: a job, an element of an array, or the array itself (`job` is then its first element)."""

    id: str
    job: Job
    array: Array | None = None

    @property
    def jobs(self) -> list[Job]:
        return [self.job] if self.array is None else list(self.array.elements.values())


def job_id(job: Job) -> str:
    """`17.pbs` or `17[3].pbs`."""
    return f"{job.id}.{SERVER}" if job.task_id is None else f"{job.array_id}[{job.task_id}].{SERVER}"


def is_job_id(text: str) -> bool:
    """Whether a word is meant to be a job's id and not a queue's name."""
    return text[:1].isdecimal()


def full(text: str) -> str:
    """The id with its server. Raises MalformedIdError."""
    match = _ID.fullmatch(text)
    if match is None or (match[4] is not None and match[4].lower() != SERVER):
        raise MalformedIdError(text)
    return f"{match[1]}{match[2] or ''}.{SERVER}"


def find(core: Core, text: str) -> Entry:
    """What a full id names. Raises DeniedError."""
    match = _ID.fullmatch(text)
    assert match is not None  # noqa: S101
    number, brackets, task = int(match[1]), match[2], match[3]
    array = core.arrays.get(number)
    jobs = core.find(number, int(task) if task else None)
    if not jobs or (array is None) != (brackets is None):
        raise DeniedError(UNKNOWN_JOB)
    return Entry(text, jobs[0], None if task else array)


def entries(core: Core, *, with_elements: bool = False) -> Iterable[Entry]:
    """All jobs and arrays that the server knows, in order, and elements after their array where they are wanted."""
    for job in core.known:
        if job.array_id is None:
            yield Entry(job_id(job), job)
            continue
        array = core.arrays[job.array_id]
        if job.task_id == array.first:
            yield Entry(f"{array.id}[].{SERVER}", job, array)
        if with_elements:
            yield Entry(job_id(job), job)


def is_operator(core: Core, call: Call) -> bool:
    """Whether the caller is PBS's manager, as root is; the cluster's own user is none, whatever the name."""
    return call.user == "root" and call.user not in core.settings.user_ids


def check_owner(core: Core, call: Call, entry: Entry) -> None:
    """Raises DeniedError for somebody else's job."""
    if call.user != entry.job.user and not is_operator(core, call):
        raise DeniedError(UNAUTHORIZED)


def each(program: str, words: Iterable[str], do: Callable[[str], None]) -> tuple[str, int]:
    """Do something with each id in turn: what goes to stderr, and the exit code, which is the last error's.

    The text ends in the id, except where PBS prints it without.
    """
    errors, code = [], 0
    for word in words:
        try:
            identifier = full(word)
        except MalformedIdError:
            errors.append(f"{program}: illegally formed job identifier: {word}\n")
            code = 1
            continue
        try:
            do(identifier)
        except DeniedError as error:
            is_terse = error.code == FINISHED.code and program != "qdel"
            errors.append(f"{program}: {error.text}\n" if is_terse else f"{program}: {error.text} {identifier}\n")
            code = error.code
    return "".join(errors), code
