"""Starts a native cluster, uses it, and prints what it met there: run by other users, and in containers."""

import json
import sys
import time

import simcluster

SCRIPT = """#!/bin/bash
hostname
echo $HOME
id -un
env | grep -c ^PYTHONPATH=
module load python
python -c 'print("python", "runs")'
"""


def accounted(cluster):
    """What sacct says of the first job, once that has come through; None without accounting.

    Slurm tells slurmdbd of starts every few seconds only; a job that ended meanwhile is called "allocation" until then.
    """
    said, deadline = None, time.monotonic() + 60
    while cluster.spec.accounting and time.monotonic() < deadline:
        said = cluster.run("sacct --allocations --noheader --parsable2 --jobs=1 --format=JobName,User,State").stdout
        said = said.strip()
        if said.startswith("first|") and said.endswith("|COMPLETED"):
            break
        time.sleep(0.1)
    return said


def bare(cluster):
    """The home and the first word of Python's version in a job that is given no environment."""
    script = '#!/bin/bash\necho "home=$HOME"\nmodule load python 2>/dev/null && python --version\n'
    cluster.run("sbatch --wait --export=NONE --output=bare", input=script)
    return cluster.run("cat bare").stdout.split()[:2]


def main(hide):
    with simcluster.start("slurm", backend="native", nodes=2, memory_per_node="1GB", hide=hide) as cluster:
        version = cluster.run("sbatch --version", check=True).stdout.split()[1]
        cluster.run("sbatch --wait --output=job --job-name=first", input=SCRIPT, check=True)
        tasks = cluster.run("srun --nodes=2 printenv SLURMD_NODENAME", check=True)
        met = {
            "version": version,
            "user": cluster.ssh.username,
            "home": cluster.home,
            "isolation": cluster.isolation,
            "job": cluster.run("cat job", check=True).stdout.split("\n"),
            "tasks": sorted(tasks.stdout.split()),
            "jobs": [[job.state, job.exit_code] for job in cluster.jobs()],
            "authentication": cluster.run("scontrol show config | grep ^AuthType").stdout.split()[-1],
            "bare": bare(cluster),
            "accounted": accounted(cluster),
        }
    print(json.dumps(met))


if __name__ == "__main__":
    main(sys.argv[1:])
