"""srun, in batch scripts and alone."""

from __future__ import annotations

from conformance.scenarios.phrases import accounted, alone, ended, submit
from conformance.stage import Run

__all__ = ["SCENARIOS"]

SCENARIOS = (
    alone(
        "srun in a job",
        submit("a", "--wrap 'srun hostname; srun sh -c \"exit 3\"; echo rc=$?'"),
        ended("a"),
        "cat slurm-@a.out",
    ),
    alone(
        "srun of several tasks",
        submit(
            "a",
            "-N 2 -n 4 -o o --wrap 'srun -l sh -c \"echo \\$SLURM_PROCID of \\$SLURM_NTASKS on \\$SLURMD_NODENAME\" | sort'",
        ),
        ended("a"),
        "cat o",
    ),
    alone(
        "steps in sacct",
        submit("a", "--wrap 'sleep 3; srun true; srun -J named false; true'"),
        ended("a"),
        accounted("a", "(COMPLETED|FAILED)"),
        "sacct -n -P -j @a -o jobid,jobname,state,exitcode | sed s/allocation/wrap/",
    ),
    alone(
        "srun alone",
        "srun -w node1 hostname",
        "srun -n 2 -l sh -c 'echo $SLURM_PROCID' | sort",
        "srun -w node1 sh -c 'exit 5'",
        "srun -w node1 false",
    ),
    alone(
        "srun of what is not there",
        "srun no-such-command 2>&1 | sort",
        "srun -p nowhere true",
        "srun --nonsense true",
        "srun",
    ),
    alone(
        "srun with a file for output",
        "srun -o out.txt echo words; cat out.txt",
        "srun -Q -w node1 -o out-%t.txt -n 2 echo words; ls | cat",
    ),
    alone("srun reads its input", "echo words | srun cat"),
    alone(
        "variables of a task",
        submit(
            "a",
            "-n 2 -o o --wrap 'srun -n 1 env | grep -E \"^SLURM_(STEP|PROC|LOCAL|NODEID|NTASKS|TASK|JOB_ID|NPROCS)\" | sort'",
        ),
        ended("a"),
        "sed -E 's/(PORTS?|PID)=.*/\\1=N/' o",
    ),
    alone(
        "srun killed by a signal",
        Run("srun -w node1 sh -c 'kill -9 $$' 2>&1 | sed 's/StepId=[0-9]*/StepId=N/'"),
    ),
)
