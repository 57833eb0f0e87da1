"""Slurm's own records of its jobs: the finished ones from the completion log, the others from `scontrol show job`."""

from __future__ import annotations

import re

from simcluster.cluster import Job

__all__ = ["COMPLETION_LOG", "parse_jobs"]

COMPLETION_LOG = "/var/log/slurm/jobcomp.log"

_NEXT_KEY = r"(?= [A-Z][A-Za-z/:_-]*=|\s*$)"


def parse_jobs(completion_log: str, show_job: str) -> list[Job]:
    """Every job that is in the completion log or in the output of `scontrol -o show job`, by number.

    Array tasks are jobs of their own, "17_3". Where both know a job, the log is right: it is written once, at the end.
    A job that was requeued is in the log too, and again alive.
    """
    jobs: dict[str, Job] = {}
    for line in completion_log.splitlines():
        job = _parse(line, state="JobState", node="NodeList")
        jobs[job.id] = job
    for line in show_job.splitlines():
        if not line.startswith("JobId="):
            continue  # "No jobs in the system"
        job = _parse(line, state="JobState", node="NodeList")
        if job.id not in jobs or job.end is None or (jobs[job.id].end or "") < job.end:
            jobs[job.id] = job
    return sorted(jobs.values(), key=lambda job: [int(number) for number in re.findall(r"\d+", job.id)])


def _parse(line: str, state: str, node: str) -> Job:
    array, task = _value(line, "ArrayJobId"), _value(line, "ArrayTaskId")
    return Job(
        id=f"{array}_{task}" if array and task else _value(line, "JobId") or "",
        name=_value(line, "Name") or _value(line, "JobName") or "",
        state=(_value(line, state) or "").split(" ")[0],
        node=_value(line, node),
        submit=_value(line, "SubmitTime"),
        start=_value(line, "StartTime"),
        end=_value(line, "EndTime"),
        exit_code=_value(line, "ExitCode"),
    )


def _value(line: str, key: str) -> str | None:
    match = re.search(rf"(?:^| ){key}=(.*?){_NEXT_KEY}", line)
    value = match[1] if match else ""
    return None if value in {"", "(null)", "Unknown", "None", "None assigned"} else value
