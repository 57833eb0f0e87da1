"""What users of submitit do: submit, map_array, cancel, and go on after a time limit from a checkpoint."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import submitit


def add(a: int, b: int) -> int:
    return a + b


def where(number: int) -> tuple[int, str, str]:
    return number, os.environ["SLURM_JOB_ID"], os.environ["SLURMD_NODENAME"]


def sleep(seconds: int = 300) -> int:
    time.sleep(seconds)
    return seconds


def fail() -> None:
    raise ValueError("no such luck")


class Counting:
    """Counts for longer than its time limit allows, and keeps the count when it is interrupted."""

    def __init__(self, count: int = 0, starts: int = 0) -> None:
        self.count = count
        self.starts = starts

    def __call__(self) -> tuple[int, int]:
        self.starts += 1
        print("start", self.starts, "from", self.count, flush=True)
        if self.starts == 1:
            self.count = 7
            time.sleep(300)
        return self.count, self.starts

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        return submitit.helpers.DelayedSubmission(self)


def main() -> None:
    executor = submitit.SlurmExecutor(folder="logs")
    executor.update_parameters(time=2, mem="200MB", cpus_per_task=1, job_name="peer")
    job = executor.submit(add, 20, 22)
    print("result", job.result())

    jobs = executor.map_array(where, range(5))
    found = [job.result() for job in jobs]
    print("array", [number for number, _, _ in found], len({job_id for _, job_id, _ in found}))

    failing = executor.submit(fail)
    print("exception", "no such luck" in str(failing.exception()))

    slow = executor.submit(sleep)
    while slow.state != "RUNNING":
        time.sleep(0.2)
        slow.watcher.update()
    slow.cancel()
    while not slow.done():
        time.sleep(0.2)
        slow.watcher.update()
    print("cancelled", slow.state.split()[0])

    short, long = executor.map_array(sleep, [2, 300])
    long.cancel()
    print("element", short.result())
    while not long.done():
        time.sleep(0.2)
        long.watcher.update()
    print("other", long.state.split()[0])

    # The warning comes 57 s before the end of the minute that is the shortest limit.
    executor.update_parameters(time=1, signal_delay_s=55)
    job = executor.submit(Counting())
    print("requeued", job.result())
    print("log", Path(job.paths.stdout).read_text().count("start"))


if __name__ == "__main__":
    sys.exit(main())
