"""What OpenPBS's commands say when the server does not answer, or refuses a job (23.06.06)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.troubles import Outage

if TYPE_CHECKING:
    from simcluster.emulated.interface import Call, Settings

__all__ = ["rejection", "unreachable"]

_NUMBER = 15010
_CODES = {"qstat": 255, "pbsnodes": 1}
"""Of those that don't exit with the error's number, as far as a byte holds it."""


def unreachable(call: Call, settings: Settings) -> Outage | None:
    """By transcript for qstat, qsub, qdel and pbsnodes, by analogy for the others. Nobody waits: connections are refused."""
    if "--version" in call.arguments:
        return None
    program, server = call.program, settings.controller
    match program:
        case "qdel":
            text = f"Couldn't connect to cluster: {server}"
        case "pbsnodes":
            text = f"pbsnodes: cannot connect to server {server}, error={_NUMBER}"
        case _:
            text = f"{program}: cannot connect to server {server} (errno={_NUMBER})"
    code = _CODES.get(program, _NUMBER & 255)
    is_json = program == "qstat" and "json" in " ".join(call.arguments)
    stdout = _empty_json(server, settings.version) if is_json else ""
    return Outage(Reply(stdout, f"Connection refused\n{text}\n", code))


def rejection(call: Call, message: str) -> Reply | None:
    """As of a submission that a hook of the site's rejected."""
    return Reply(stderr=f"qsub: {message}\n", code=1) if call.program == "qsub" else None


def _empty_json(server: str, version: str) -> str:
    fields = (f'"timestamp":\t{int(time.time())}', f'"pbs_version":\t"{version}"', f'"pbs_server":\t"{server}"')
    return "{\n\t" + ",\n\t".join(fields) + "\n}\n"
