"""The same calls many times, by clustrix over SSH and by what people use on the login node; scheduler commands and files left are counted."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import simcluster

# The login node's shells find these first: each call of a scheduler's command leaves a line in ~/calls.
COUNTED = """
mkdir -p ~/counted
for name in sbatch squeue scontrol sacct scancel sinfo; do
    printf '#!/bin/sh\\necho %s >> ~/calls\\nexec %s "$@"\\n' $name $(command -v $name) > ~/counted/$name
    chmod +x ~/counted/$name
done
{ echo 'export PATH=$HOME/counted:$PATH'; cat ~/.bashrc 2>/dev/null; } > ~/.bashrc.new; mv ~/.bashrc.new ~/.bashrc
"""

RAW = """
import os, subprocess, sys, time
count, seconds = int(sys.argv[1]), sys.argv[2]
open("job.sh", "w").write("#!/bin/bash\\n#SBATCH --mem=100M\\n#SBATCH -c 1\\n#SBATCH -t 5\\nsleep %s\\necho > mark.$SLURM_ARRAY_TASK_ID\\n" % seconds)
started = time.time()
subprocess.check_output(["sbatch", "--array=0-%d" % (count - 1), "job.sh"])
while sum(name.startswith("mark.") for name in os.listdir(".")) < count:
    time.sleep(0.01)
print(time.time() - started)
"""

SUBMITIT = """
import sys, time, submitit
count, seconds = int(sys.argv[1]), float(sys.argv[2])
executor = submitit.AutoExecutor(folder="logs", cluster="slurm")
executor.update_parameters(timeout_min=5, cpus_per_task=1, slurm_mem="100M", slurm_array_parallelism=count)
started = time.time()
jobs = executor.map_array(time.sleep, [seconds] * count)
[job.result() for job in jobs]
print(time.time() - started)
"""

EXECUTORLIB = """
import sys, time
from executorlib import SlurmClusterExecutor

def pause(seconds):
    time.sleep(seconds)

count, seconds = int(sys.argv[1]), float(sys.argv[2])
resources = {"cores": 1, "run_time_max": 300, "partition": "debug"}
with SlurmClusterExecutor(cache_directory="cache", resource_dict=resources) as executor:
    started = time.time()
    futures = [executor.submit(pause, seconds + number * 1e-9) for number in range(count)]
    [future.result() for future in futures]
    print(time.time() - started)
"""


class Run(NamedTuple):
    """One run: milliseconds, how often the scheduler's commands were called, and how many files it left on the cluster."""

    milliseconds: float
    calls: int
    files: int


def prepare(cluster: simcluster.Cluster) -> dict[str, str]:
    """Count commands, and install the peers on the login node: their versions there."""
    cluster.run(COUNTED, check=True)
    versions = {}
    for name, requirements in (("submitit", ["submitit"]), ("executorlib", ["executorlib[cluster]", "h5py"])):
        cluster.run(["python3", "-m", "venv", f"venvs/{name}"], check=True, timeout=120)
        cluster.run([f"venvs/{name}/bin/pip", "install", "--quiet", *requirements], check=True, timeout=280)
        asked = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
        versions[name] = cluster.run([f"venvs/{name}/bin/python", "-c", asked], check=True).stdout.strip()
    return versions


def _counted(cluster: simcluster.Cluster, directory: str, action: Callable[[], float]) -> Run:
    cluster.run(
        "while squeue -h | grep -q .; do sleep 0.5; done; rm -f ~/calls; touch ~/before", check=True, timeout=280
    )
    spent = action()
    time.sleep(3)  # for what is cleaned up afterwards
    calls = cluster.run("cat ~/calls | wc -l", check=True).stdout
    left = cluster.run(f"find {directory} -type f -newer ~/before | wc -l", check=True).stdout
    return Run(spent, int(calls), int(left))


def by_program(cluster: simcluster.Cluster, program: str, environment: str, count: int, seconds: float) -> Run:
    """A program on the login node under the virtual environment of that name, in a directory of its own that is removed afterwards."""

    def action() -> float:
        cluster.run("mkdir -p ~/work && cat > ~/work/program.py", input=program, check=True)
        # What ran before ended with one of the scheduler's ticks: without this, each run would begin at the same moment of one.
        time.sleep(random.uniform(0, 1.5))
        path = f"export PATH=$HOME/counted:$HOME/venvs/{environment}/bin:$PATH"
        done = cluster.run(f"{path}; cd ~/work && python3 program.py {count} {seconds}", timeout=1500)
        if done.returncode != 0:
            raise RuntimeError(f"{environment}: {done.stderr}")
        return float(done.stdout.split()[-1]) * 1000

    try:
        return _counted(cluster, "~/work", action)
    finally:
        cluster.run("rm -rf ~/work", check=True)


def by_map(cluster: simcluster.Cluster, function: Callable[[float], object], count: int, seconds: float) -> Run:
    """`function.map` of a decorated function, from here."""

    def action() -> float:
        started = time.perf_counter()
        list(function.map([seconds] * count))  # type: ignore[attr-defined]
        return (time.perf_counter() - started) * 1000

    return _counted(cluster, "~/.clustrix/jobs ~/.clustrix/done", action)
