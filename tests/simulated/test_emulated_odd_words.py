"""Whatever is typed, an emulated scheduler answers in its own words, and goes on."""

import shlex

import pytest

import simcluster

MANY = "99999999999"
LONG = "9" * 330
ODD = {
    "slurm": [
        f"scontrol show hostnames node[1-{MANY}]",
        "scontrol show hostnames node[²-3]",
        f"squeue -w node[1-{MANY}]",
        "squeue -w node[1-9999][1-9999]",
        f"squeue -o %{MANY}u",
        f"squeue -O jobid:{MANY}",
        f"sacct -o jobid%{MANY}",
        f"sbatch -H -a 0-{MANY} --wrap true",
        "sbatch -H -c ² --wrap true",
        "sbatch -H -a 1-3 --wrap true",
        f"scancel 1_[1-{MANY}]",
        "scancel 1_[--]",
        f"sbatch -d after:1+{LONG} --wrap true",
        f"sbatch -b now+{LONG} --wrap true",
        f"sbatch -t {LONG} --wrap true",
        f"sbatch -t 5 --signal 9@{LONG} --wrap true",
        "scontrol show job",
        "squeue --start",
        "sacct -o all",
    ],
    "pbs": [
        f"qsub -J 0-{MANY} job.sh",
        "qsub -l ncpus=² job.sh",
        "qsub -l select=² job.sh",
        f"qsub -l walltime={LONG} job.sh",
        f"qsub -l mem={LONG}gb job.sh",
        "qsig -s ² 1",
        "qstat -f",
    ],
    "sge": [
        f"qsub -t 1-{MANY} job.sh",
        "qsub -h -t 1-3 job.sh",
        f"qdel -t 1-{MANY} 1",
        "qdel -t x 1",
        "qdel 1.--",
        "qdel -u",
        "qhold -t x 1",
        "qstat -j 1.--",
        "qsub -tc ² -t 1-2 job.sh",
        "qsub -hold_jid 1.-- job.sh",
        f"qsub -l h_rt={LONG} job.sh",
        f"qsub -l h_vmem={LONG} job.sh",
        f"qsub -o {'x' * 5000} job.sh",
        "qacct -j 1 -t x",
        "qstat -j '*'",
    ],
}


@pytest.mark.parametrize("scheduler", ODD)
def test_odd_words_are_answered(scheduler):
    with simcluster.start(scheduler, backend="emulated", nodes=1) as cluster:
        cluster.run("echo true > job.sh", check=True)
        for line in ODD[scheduler]:
            words = shlex.join(["timeout", "60", "sh", "-c", line])
            done = cluster.run(f"{words} 2>&1")
            assert "simcluster could not answer" not in done.stdout, line
            assert done.returncode != 124, line
