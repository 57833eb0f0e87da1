"""Grid Engine's own records of its jobs: accounting(5), and what qstat says of those that are alive."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from simcluster.history import JobHistory, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["alive", "directories", "ended"]

_STATES = {0: "COMPLETED", 37: "TIMEOUT"}
"""By accounting's `failed`; any other, and any exit code but 0, is FAILED."""

# The fields of accounting(5) by position.
_HOST, _OWNER, _NAME, _NUMBER, _SUBMITTED, _STARTED, _ENDED, _FAILED, _EXIT = 1, 3, 4, 5, 8, 9, 10, 11, 12
_SLOTS, _TASK = 34, 35


def ended(accounting: str) -> list[JobHistory]:
    """The jobs in the accounting file, elements of arrays each on its own, as "17.3"; the runs of one job together."""
    jobs: dict[str, JobHistory] = {}
    for line in accounting.splitlines():
        fields = line.split(":")
        if line.startswith("#") or len(fields) <= _TASK:
            continue
        number = _id(fields[_NUMBER], fields[_TASK])
        run = _run(fields)
        before = jobs[number].runs if number in jobs else ()
        jobs[number] = JobHistory(
            id=number,
            name=fields[_NAME],
            user=fields[_OWNER],
            state=run.state if run else "FAILED",
            submitted=float(fields[_SUBMITTED]),
            ended=float(fields[_ENDED]) or None,
            runs=(*before, run) if run else before,
            exit_code=fields[_EXIT],
            reason=None if fields[_FAILED] == "0" else f"failed {fields[_FAILED]}",
        )
    return list(jobs.values())


def alive(listed: str) -> Iterator[JobHistory]:
    """The jobs of `qstat -g d -r -xml`."""
    for job in ET.fromstring(listed or "<job_info/>").iter("job_list"):  # noqa: S314 - the cluster is our own
        found = {each.tag: (each.text or "").strip() for each in job}
        started = _seconds(found.get("JAT_start_time"))
        submitted = _seconds(found.get("JB_submission_time")) or started or 0.0
        host = found.get("queue_name", "").partition("@")[2]
        state = "RUNNING" if job.get("state") == "running" else "PENDING"
        slots = int(found.get("slots") or 1)
        yield JobHistory(
            id=_id(found["JB_job_number"], found.get("tasks", "0")),
            name=found.get("full_job_name") or found["JB_name"],
            user=found["JB_owner"],
            state=state,
            submitted=submitted,
            ended=None,
            runs=(Run((host,), (slots,), state, started, None),) if started and host else (),
            reason=found.get("state") or None,
        )


def directories(details: str) -> dict[str, str]:
    """Where the jobs of `qstat -j '*'` were submitted, by their numbers, which the elements of an array share."""
    found = {}
    for job in re.split(r"(?m)^=+$", details):
        values = dict(re.findall(r"(?m)^([a-z_]+): +(.*?) *$", job))
        if "job_number" in values and "sge_o_workdir" in values:
            found[values["job_number"]] = values["sge_o_workdir"]
    return found


def _run(fields: list[str]) -> Run | None:
    start, end = float(fields[_STARTED]), float(fields[_ENDED])
    if not start:
        return None
    state = _STATES.get(int(fields[_FAILED]), "FAILED")
    if state == "COMPLETED" and fields[_EXIT] != "0":
        state = "FAILED"
    return Run((fields[_HOST],), (int(fields[_SLOTS]),), state, start, end or None)


def _id(number: str, task: str) -> str:
    return f"{number}.{task}" if task not in {"", "0"} else number


def _seconds(moment: str | None) -> float | None:
    return datetime.fromisoformat(moment).replace(tzinfo=timezone.utc).timestamp() if moment else None
