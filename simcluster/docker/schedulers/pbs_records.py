"""What `qstat -x -f -t -F json` says of PBS's jobs, alive and ended."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from simcluster.history import JobHistory, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["directories", "jobs"]

_ENDED = {"F", "X"}
_RUNNING = {"R", "E", "S", "U"}
_STATES = {-29: "TIMEOUT", -20: "NODE_FAIL", 271: "CANCELLED", 265: "CANCELLED"}
"""By Exit_status: over its walltime, its node was lost, and what qdel makes of a job that runs."""


def jobs(listed: str) -> list[JobHistory]:
    """The jobs by number, elements of arrays each on its own, as "15[3].login", and the array's parent not."""
    found = [_job(id_, values) for id_, values in _listed(listed).items() if "[]" not in id_]
    return sorted(found, key=lambda job: [int(part) for part in re.findall(r"\d+", job.id.partition(".")[0])])


def directories(listed: str) -> dict[str, str]:
    """Where each was submitted."""
    variables = {id_: values.get("Variable_List") or {} for id_, values in _listed(listed).items()}
    return {id_: str(each["PBS_O_WORKDIR"]) for id_, each in variables.items() if "PBS_O_WORKDIR" in each}


def _listed(listed: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(listed or "{}").get("Jobs", {})
    return found


def _job(id_: str, values: Mapping[str, Any]) -> JobHistory:
    code, letter = values.get("Exit_status"), values["job_state"]
    state = "PENDING"
    if letter in _ENDED:
        # Without one it never ran.
        state = "CANCELLED" if code is None else _STATES.get(int(code), "FAILED" if int(code) else "COMPLETED")
    elif letter in _RUNNING:
        state = "RUNNING"
    started = _seconds(values.get("stime")) if letter in _ENDED | _RUNNING else None
    ended = _seconds(values.get("obittime") or values.get("mtime")) if letter in _ENDED else None
    places = re.findall(r"([^+/]+)/\d+(?:\*(\d+))?", values.get("exec_host", ""))
    run = (
        Run(tuple(host for host, _ in places), tuple(int(cpus or 1) for _, cpus in places), state, started, ended)
        if started and places
        else None
    )
    return JobHistory(
        id=id_,
        name=str(values["Job_Name"]),
        user=values["Job_Owner"].partition("@")[0],
        state=state,
        submitted=_seconds(values.get("ctime")) or 0.0,
        ended=ended,
        runs=(run,) if run else (),
        exit_code=None if code is None else str(code),
        reason=values.get("comment"),
    )


def _seconds(moment: str | None) -> float | None:
    if moment is None:
        return None
    return datetime.strptime(moment, "%a %b %d %H:%M:%S %Y").replace(tzinfo=timezone.utc).timestamp()
