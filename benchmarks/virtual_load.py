"""How much an emulated cluster bears: 100,000 simulated jobs on 1,000 nodes, submitted by sbatch over SSH.

    python benchmarks/virtual_load.py [JOBS] [NODES] [SECONDS]

Each job takes no process and SECONDS of time. While they run, commands are called over SSH again and again.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import simcluster
from simcluster.emulated.registry import find_record

if TYPE_CHECKING:
    from simcluster.cluster import Cluster

ELEMENTS = 1000
COMMANDS = {
    "squeue": "squeue -h | wc -l",
    "squeue -r": "squeue -h -r -o '%i %t' | wc -l",
    "sinfo": "sinfo -h",
    "sacct": "sacct -X -n -P -j 1 -o jobid,state | wc -l",
    "true": "true",
}


def seconds(cluster: Cluster, command: str) -> tuple[float, str]:
    """How long a command takes over SSH, and what it prints."""
    started = time.perf_counter()
    printed = cluster.run(command, check=True, timeout=600).stdout
    return time.perf_counter() - started, printed


def submit(cluster: Cluster, jobs: int, each: str) -> float:
    """Submit all jobs in arrays; the seconds that it took."""
    arrays = [min(ELEMENTS, jobs - first) for first in range(0, jobs, ELEMENTS)]
    lines = [f"sbatch -Q --array=0-{count - 1} --comment=simcluster:virtual={each} --wrap true" for count in arrays]
    return seconds(cluster, "\n".join(lines))[0]


def watch(cluster: Cluster) -> dict[str, list[float]]:
    """Call the commands in turns until no job is left; how long each took, each time."""
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    left = 1
    while left:
        for name, command in COMMANDS.items():
            needed, printed = seconds(cluster, command)
            took[name].append(needed)
            if name == "squeue":
                left = int(printed)
    return took


def main(jobs: int = 100_000, nodes: int = 1000, each: str = "2") -> None:
    with simcluster.start("slurm", backend="emulated", nodes=nodes, cpus_per_node=4) as cluster:
        record = find_record(cluster.name)
        assert record is not None
        submitting = submit(cluster, jobs, each)
        took = watch(cluster)
        peak = next(
            int(line.split()[1]) // 1024
            for line in Path(f"/proc/{record.keeper.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        starts = [datetime.fromisoformat(job.start) for job in cluster.jobs() if job.start]
        drained = (max(starts) - min(starts)).total_seconds() or 1
    rows = [
        (f"submit {jobs:,} jobs", f"{submitting:.1f} s"),
        (f"start {len(starts):,} jobs on {nodes:,} nodes", f"{len(starts) / drained:,.0f} /s"),
        ("memory of the daemon at most", f"{peak} MB"),
        *(
            (f"{name} meanwhile, median and longest of {len(times)}", f"{median(times):.2f} s, {max(times):.2f} s")
            for name, times in took.items()
        ),
    ]
    for what, value in rows:
        print(f"{what:50} {value:>18}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*map(int, given[:2]), *given[2:3])
