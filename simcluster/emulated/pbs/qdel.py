"""qdel: end jobs, arrays and elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import check_owner, each, find
from simcluster.emulated.pbs.states import FORCED, is_finished
from simcluster.emulated.pbs.words import BAD_STATE, FINISHED, FINISHED_SUBJOB, VERSION, DeniedError, usage

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["qdel"]

_OPTIONS = Options("qdel", "W:x")
_USAGE = "usage:\n\tqdel [-W force|suppress_email=X] [-x] job_identifier...\n\tqdel --version\n"


def qdel(core: Core, call: Call) -> Reply:
    """Returns at once, while what ran is still being ended."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    errors = list(line.errors)
    value = line.last("W", "force")
    if value != "force" and not value.startswith("suppress_email=") and not value.isdecimal():
        errors.append("qdel: illegal -W value\n")
    words = [*line.rest, *(line.command or ())]
    if errors or not words:
        return usage("qdel", _USAGE, tuple(errors))
    is_forced, with_history = line.has("W") and value == "force", line.has("x")

    def delete(identifier: str) -> None:
        entry = find(core, identifier)
        check_owner(core, call, entry)
        if is_finished(entry) and not with_history:
            array = core.arrays.get(entry.job.array_id) if entry.job.array_id is not None else None
            is_over = entry.array is not None or array is None or array.is_over
            raise DeniedError(FINISHED if is_over else FINISHED_SUBJOB)
        if entry.array is None and entry.job.is_delivering:
            raise DeniedError(BAD_STATE)
        for job in entry.jobs:
            core.cancel(job, call.user, reason=FORCED if is_forced else None)
        for job in entry.jobs if with_history else ():
            core.forget(job)

    text, code = each("qdel", words, delete)
    return Reply(stderr=text, code=code)
