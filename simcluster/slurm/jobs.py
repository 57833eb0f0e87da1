"""Slurm's own records of its jobs: the finished ones from the completion log, the others from `scontrol show job`."""

from __future__ import annotations

import re

from simcluster.cluster import Job

__all__ = ["by_number", "full_id", "parse_jobs", "value"]

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
    return sorted(jobs.values(), key=lambda job: by_number(job.id))


def by_number(job_id: str) -> list[int]:
    """What to sort ids by: 9, 10, 10_2, 10_10."""
    return [int(number) for number in re.findall(r"\d+", job_id)]


def full_id(line: str) -> str:
    """The job that the line is about; `17_3` for a task of an array."""
    array, task = value(line, "ArrayJobId"), value(line, "ArrayTaskId")
    return f"{array}_{task}" if array and task else value(line, "JobId") or ""


def value(line: str, key: str) -> str | None:
    """What follows `key=`; None for what Slurm writes instead of nothing."""
    match = re.search(rf"(?:^| ){key}=(.*?){_NEXT_KEY}", line)
    text = match[1] if match else ""
    return None if text in {"", "(null)", "Unknown", "None", "None assigned"} else text


def _parse(line: str, state: str, node: str) -> Job:
    return Job(
        id=full_id(line),
        name=value(line, "Name") or value(line, "JobName") or "",
        state=(value(line, state) or "").split(" ")[0],
        node=value(line, node),
        submit=value(line, "SubmitTime"),
        start=value(line, "StartTime"),
        end=value(line, "EndTime"),
        exit_code=value(line, "ExitCode"),
        directory=value(line, "WorkDir"),
    )
