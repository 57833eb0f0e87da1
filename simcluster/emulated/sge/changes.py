"""qdel, qhold and qrls: what changes jobs that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import ENDED, State
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.words import named, no_number, task_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.sge.words import Named

__all__ = ["qdel", "qhold", "qrls"]

_QDEL = table("qdel", flags="f help", valued="u t")
_HOLD = table("qhold", flags="help", valued="t", refused="u h")
_USAGE = """\
SGE 8.1.9
usage: qdel [options] job_task_list
   [-f]                                     force action
   [-help]                                  print this help
   [-u user_list]                           delete all jobs of users specified in list
   job_task_list                            delete all jobs given in list

job_task_list           job_tasks[,job_tasks,...]
job_tasks               [job_id['.'task_id_range]|job_name|pattern][' -t 'task_id_range]
task_id_range           task_id['-'task_id[':'step]]
user_list               user[,user,...]
"""


def qdel(core: Core, call: Call) -> Reply:
    """Exit code 1 if something that was named is not there."""
    arguments, unknown = _without_unknown(call.arguments)
    try:
        line = _QDEL.parse(arguments)
    except MissingValueError as error:
        return Reply(stderr=f"qdel: {error} option must have argument\n", code=1)
    if line.has("help"):
        return Reply(_USAGE)
    if line.has("u"):
        return _delete_of_users(core, call, line.last("u").split(","))
    words = [*unknown, *_split(line.rest)]
    if not words:
        return Reply("ERROR! no option argument\n", _USAGE, 1)
    text, code = "", 0
    for word in words:
        try:
            found = named(core, word, line.last("t"))
        except ValueError as error:
            return Reply(text, f"qdel: {no_number(error)}\n", 1)
        if not found.jobs:
            text += _missing(found, call.user)
            code = 1
        text += _delete(core, call, found.jobs)
    return Reply(text, code=code)


def _without_unknown(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """An option that is not known is taken for the name of a job."""
    known = {f"-{name}" for name in _QDEL.words}
    unknown = [word for word in words if word.startswith("-") and word not in known]
    return [word for word in words if word not in unknown], unknown


def _split(words: Iterable[str]) -> list[str]:
    return [piece for word in words for piece in word.split(",") if piece]


def _missing(found: Named, user: str) -> str:
    if found.word.partition(".")[0].isdecimal():
        return f'denied: job "{found.word}" does not exist\n'
    return f"The job {found.word} of user(s) {user} does not exist\n"


def _delete_of_users(core: Core, call: Call, users: list[str]) -> Reply:
    mine = [job for job in core.known if job.user in users and (job.state not in ENDED or job.is_completing)]
    if not mine:
        return Reply(f"There is no job registered for the following users: {','.join(users)}\n", code=1)
    return Reply(_delete(core, call, mine))


def _delete(core: Core, call: Call, jobs: Iterable[Job]) -> str:
    text = ""
    gone: dict[int, list[Job]] = {}
    for job in list(jobs):
        name = f"job {job.id}" if job.task_id is None else f"job-array task {job.id}.{job.task_id}"
        if job.is_completing:
            text += f"job {job.id} is already in deletion\n"
        elif job.state is State.PENDING:
            gone.setdefault(job.id, []).append(job)
        else:
            text += f"{call.user} has registered the {name} for deletion\n"
        core.cancel(job, call.user)
    return text + "".join(_deleted(call.user, waiting) for waiting in gone.values())


def _deleted(user: str, waiting: list[Job]) -> str:
    job = waiting[0]
    if job.task_id is None or len(waiting) == len(job.request.array or ()):
        return f"{user} has deleted job {job.id}\n"
    if len(waiting) == 1:
        return f"{user} has deleted job-array task {job.id}.{job.task_id}\n"
    tasks = task_ranges([one.task_id for one in waiting if one.task_id is not None])
    return f"{user} has deleted job-array tasks {tasks} of job {job.id}\n"


def qhold(core: Core, call: Call) -> Reply:
    """Exit code 3 if a job is not there."""
    return _change(core, call, is_hold=True)


def qrls(core: Core, call: Call) -> Reply:
    """Exit code 3 if a job is not there."""
    return _change(core, call, is_hold=False)


def _change(core: Core, call: Call, *, is_hold: bool) -> Reply:
    try:
        line = _HOLD.parse(call.arguments)
    except (UnknownOptionError, MissingValueError) as error:
        return Reply(stderr=f'{call.program}: invalid option argument "{error}"\n', code=2)
    text, code = "", 0
    for word in _split(line.rest):
        try:
            found = named(core, word, line.last("t"))
        except ValueError as error:
            return Reply(text, f"{call.program}: {no_number(error)}\n", 2)
        if not found.jobs:
            text += f'denied: job "{word}" does not exist\n'
            code = 3
        for job in found.jobs:
            if job.is_held is is_hold:
                continue
            if is_hold:
                core.hold(job)
            else:
                core.release(job)
            name = f"job {job.id}" if job.task_id is None else f"job-array task {job.id}.{job.task_id}"
            text += f"modified hold of {name}\n"
    return Reply(text, code=code)
