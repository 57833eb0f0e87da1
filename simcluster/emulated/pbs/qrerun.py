"""qrerun: put running jobs back into the queue, as an operator may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import each, find, is_operator
from simcluster.emulated.pbs.states import is_finished
from simcluster.emulated.pbs.words import BAD_STATE, FINISHED, UNAUTHORIZED, VERSION, DeniedError, refused, usage
from simcluster.emulated.refusals import RefusedError

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["qrerun"]

_OPTIONS = Options("qrerun", "W:")
_USAGE = "usage: qrerun [-W force] job_identifier...\n       qrerun --version\n"


def qrerun(core: Core, call: Call) -> Reply:
    """A user may not."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    if line.errors or not line.rest or line.last("W", "force") != "force":
        return usage("qrerun", _USAGE, line.errors)

    def rerun(identifier: str) -> None:
        entry = find(core, identifier)
        if is_finished(entry):
            raise DeniedError(FINISHED)
        if not is_operator(core, call):
            raise DeniedError(UNAUTHORIZED)
        running = [job for job in entry.jobs if job.state in {State.RUNNING, State.SUSPENDED}]
        if not running:
            raise DeniedError(BAD_STATE)
        try:
            for job in running:
                core.requeue(job)
        except RefusedError as error:
            raise refused(error) from error

    text, code = each("qrerun", line.rest, rerun)
    return Reply(stderr=text, code=code)
