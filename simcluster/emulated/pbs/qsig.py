"""qsig: send running jobs a signal, or suspend and resume them."""

from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.jobs import State
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import check_owner, each, find, is_operator
from simcluster.emulated.pbs.states import is_finished
from simcluster.emulated.pbs.words import (
    BAD_STATE,
    FINISHED,
    UNAUTHORIZED,
    UNKNOWN_SIGNAL,
    VERSION,
    DeniedError,
    usage,
)

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["qsig"]

_OPTIONS = Options("qsig", "s:")
_USAGE = "usage: qsig [-s signal] job_identifier...\n       qsig --version\n"
_OPERATORS = {"suspend", "resume", "admin-suspend", "admin-resume"}


def qsig(core: Core, call: Call) -> Reply:
    """SIGTERM where nothing else is asked for; only an operator suspends and resumes."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    if line.errors or not line.rest:
        return usage("qsig", _USAGE, line.errors)
    name = line.last("s", "SIGTERM")

    def send(identifier: str) -> None:
        entry = find(core, identifier)
        if is_finished(entry):
            raise DeniedError(FINISHED)
        check_owner(core, call, entry)
        if name in _OPERATORS and not is_operator(core, call):
            raise DeniedError(UNAUTHORIZED)
        alive = [job for job in entry.jobs if job.state in {State.RUNNING, State.SUSPENDED}]
        if not alive:
            raise DeniedError(BAD_STATE)
        for job in alive:
            _signal(core, job, name)

    text, code = each("qsig", line.rest, send)
    return Reply(stderr=text, code=code)


def _signal(core: Core, job: Job, name: str) -> None:
    if name.endswith("suspend"):
        if job.state is not State.RUNNING:
            raise DeniedError(BAD_STATE)
        core.suspend(job)
    elif name.endswith("resume"):
        if job.state is not State.SUSPENDED:
            raise DeniedError(BAD_STATE)
        core.resume(job)
    else:
        core.signal(job, _number(name), everything=True)


def _number(name: str) -> int:
    """Of `SIGUSR1`, `USR1` or `10`. Raises DeniedError."""
    if name.isdecimal():
        return int(name)
    try:
        return signals.Signals[name if name.startswith("SIG") else f"SIG{name}"].value
    except KeyError:
        raise DeniedError(UNKNOWN_SIGNAL) from None
