"""What Grid Engine's commands say when sge_qmaster does not answer, or a job is refused (as 8.1.9 was seen to)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.troubles import Outage

if TYPE_CHECKING:
    from simcluster.emulated.interface import Call, Settings

__all__ = ["rejection", "unreachable"]

_REFUSED = "error: commlib error: got select error (Connection refused)\n"
_HOLDS = {"qhold", "qrls"}


def unreachable(call: Call, settings: Settings) -> Outage | None:
    """None for qacct, which reads a file, and for help. Nobody waits: connections are refused."""
    if call.program == "qacct" or "-help" in call.arguments:
        return None
    text = f'unable to send message to qmaster using port 6444 on host "{settings.controller}": got send error'
    match call.program:
        case "qsub":
            reply = Reply(stderr=f"{_REFUSED}Unable to run job: {text}\nExiting.\n", code=1)
        case "qstat" if "-j" in call.arguments:
            reply = Reply(stderr=f"{_REFUSED}{text}\n{text}\n", code=1)
        case "qstat" | "qhost":
            reply = Reply(stderr=f"{_REFUSED}error: {text}\n", code=1)
        case _:
            reply = Reply(f"{text}\n", _REFUSED, code=11 if call.program in _HOLDS else 1)
    return Outage(reply)


def rejection(call: Call, message: str) -> Reply | None:
    """As of a submission that a verifier of the site's (JSV) rejected."""
    return Reply(stderr=f"Unable to run job: {message}\nExiting.\n", code=1) if call.program == "qsub" else None
