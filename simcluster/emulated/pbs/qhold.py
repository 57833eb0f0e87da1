"""qhold and qrls: keep jobs from starting, and let them go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import check_owner, each, find, is_operator
from simcluster.emulated.pbs.states import is_finished
from simcluster.emulated.pbs.words import FINISHED, UNAUTHORIZED, VERSION, DeniedError, usage

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["qhold", "qrls"]

_USAGE = "usage: {0} [-h hold_list] job_identifier...\n       {0} --version\n"


def qhold(core: Core, call: Call) -> Reply:
    """A job that runs goes on, and keeps the hold."""
    return _each(core, call, "qhold")


def qrls(core: Core, call: Call) -> Reply:
    """A job without a hold is left as it is."""
    return _each(core, call, "qrls")


def _each(core: Core, call: Call, program: str) -> Reply:
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = Options(program, "h:").parse(call.arguments)
    kinds = line.last("h", "u").strip()
    errors = list(line.errors)
    if not kinds or set(kinds) - set("uosn") or ("n" in kinds and program == "qhold" and kinds != "n"):
        errors.append(f"{program}: illegal -h value\n")
    if errors or not line.rest:
        return usage(program, _USAGE.format(program), tuple(errors))

    def change(identifier: str) -> None:
        entry = find(core, identifier)
        check_owner(core, call, entry)
        if is_finished(entry):
            raise DeniedError(FINISHED)
        by_admin = bool(set(kinds) & set("os"))
        if (by_admin or entry.job.is_held_by_admin) and not is_operator(core, call):
            raise DeniedError(UNAUTHORIZED)
        for job in entry.jobs:
            if job.has_ended or job.is_completing or kinds == "n":
                continue
            if program == "qhold":
                core.hold(job, by_admin=by_admin)
            elif job.is_held:
                core.release(job)

    text, code = each(program, line.rest, change)
    return Reply(stderr=text, code=code)
