"""What users of PSI/J do: jobs in the same words for any scheduler, waited for and cancelled."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobSpec, JobState, ResourceSpecV1

LONG = timedelta(minutes=2)


def job_of(line: str) -> Job:
    spec = JobSpec(executable="/bin/sh", arguments=["-c", line], directory=Path.cwd(), stdout_path=Path("out.txt"))
    spec.resources = ResourceSpecV1(node_count=1, processes_per_node=1, cpu_cores_per_process=1)
    spec.attributes = JobAttributes(duration=timedelta(minutes=5))
    return Job(spec)


def main(name: str) -> None:
    executor = JobExecutor.get_instance(name)

    job = job_of("echo said by $(hostname)")
    executor.submit(job)
    print(job.wait(LONG).state.name)
    print("said", Path("out.txt").read_text().startswith("said by node"))

    job = job_of("exit 3")
    executor.submit(job)
    status = job.wait(LONG)
    print(status.state.name, status.exit_code)

    job = job_of("sleep 300")
    executor.submit(job)
    job.wait(LONG, target_states=[JobState.ACTIVE])
    job.cancel()
    print(job.wait(LONG).state.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
