"""Job arrays."""

from __future__ import annotations

from conformance.scenarios.phrases import HOLDING, ended, scenario, submit
from conformance.stage import Run, Until

__all__ = ["SCENARIOS"]

_SHOWN = "squeue -h -t all -j @a -o '%i %F %K %T %r'"

SCENARIOS = (
    scenario(
        "array",
        submit("a", "-a 1-3 --wrap 'echo task $SLURM_ARRAY_TASK_ID'"),
        ended("a"),
        "ls | cat; cat slurm-@a_*.out",
        f"{_SHOWN} | sort",
        "squeue -h -t all -j @a_2 -o %i",
    ),
    scenario(
        "array: ranges, steps and lists",
        *(
            step
            for job, tasks in (
                ("a", "0-6:2"),
                ("b", "1,3,5-7"),
                ("c", "4"),
                ("d", "0-3%2"),
                ("e", "10-12,1"),
                ("f", "0-1000"),
            )
            for step in (
                submit(job, f"-H -a {tasks} --wrap true"),
                f"squeue -h -j @{job}; squeue -h -r -j @{job} -o %i | head -4",
            )
        ),
    ),
    scenario(
        "array: held, as squeue and scontrol show it",
        submit("a", "-H -J arr -a 1-3%2 --wrap true"),
        "squeue -j @a",
        "squeue -r -j @a",
        "squeue -h -j @a -o '%i|%A|%F|%K|%T|%r'",
        "squeue -h -r -j @a -o '%i|%F|%K|%T|%r'",
        "squeue -h -j @a_2 -o '%i|%K'",
        "scontrol show job @a | grep -E '^JobId|ArrayTask'",
        "scontrol show job @a_2 | grep -E '^JobId|ArrayTask'",
    ),
    scenario(
        "array: a limit of one at a time",
        submit("a", "-a 1-3%1 --wrap 'exec sleep 300'"),
        Until("squeue -h -j @a -o '%i %T %r' | sort", "RUNNING"),
        Until("squeue -h -j @a -o '%i %T %r' | sort", "JobArrayTaskLimit"),
        "scancel @a_1",
        Until("squeue -h -t PD,R -j @a -o '%i %T' | sort", "_2 RUNNING"),
    ),
    scenario(
        "array: variables of an element",
        submit("a", "-a 2-6:2%2 -o v%a --wrap 'env | grep -E ^SLURM_ARRAY\\|^SLURM_JOB_NAME | sort'"),
        ended("a"),
        "cat v4",
    ),
    scenario(
        "array: names of output files",
        submit("a", "-a 1-2 -o '%A_%a_%3a_%x.txt' --wrap true"),
        ended("a"),
        "ls | cat",
        Run("sbatch --parsable -a 7 -o 'same.txt' --open-mode append --wrap 'echo $SLURM_ARRAY_TASK_ID'", "b"),
        ended("b"),
        "cat same.txt",
    ),
    scenario(
        "array: cancel a pending element",
        submit("a", "-H -a 1-4 --wrap true"),
        "scancel @a_2",
        Until("squeue -h -j @a -o %i", r"\[1,3-4\]"),
        "scancel @a_[3-4]",
        Until("squeue -h -j @a -o %i", r"_1$|\[1\]"),
        "squeue -h -r -t all -j @a -o '%K %T' | sort",
    ),
    scenario(
        "array: cancel all of it",
        submit("a", f"-a 1-3 {HOLDING}"),
        Until("squeue -h -r -j @a -o %T", r"\A(RUNNING\n){3}\Z"),
        "scancel @a",
        ended("a"),
        f"{_SHOWN} | sort",
    ),
    scenario(
        "array: elements end differently",
        submit("a", "-a 0-2 --wrap 'sleep 3; exit $SLURM_ARRAY_TASK_ID'"),
        ended("a"),
        "squeue -h -t all -j @a -o '%i %T %r' | sort",
        Until(
            "sacct -n -X -P -j @a -o jobid,state,end | sort",
            r"_0\|COMPLETED\|\d[\s\S]*_1\|FAILED\|\d[\s\S]*_2\|FAILED\|\d",
        ),
        "sacct -n -X -P -j @a -o jobid,state,exitcode | sort",
        "sacct -n -P -j @a_2 -o jobid,jobname,state,exitcode",
    ),
    scenario(
        "array: pending in sacct",
        submit("a", "-H -a 1-3 --wrap true"),
        Until("sacct -n -X -P -j @a -o jobid,state", "PENDING"),
    ),
    scenario(
        "array: hold and release an element",
        submit("a", "-H -a 1-2 --wrap true"),
        "scontrol release @a_2",
        Until("squeue -h -t all -j @a -o '%K %T' | sort", "2 COMPLETED"),
    ),
    scenario(
        "array: update its limit",
        submit("a", "-H -a 1-5%1 --wrap true"),
        "scontrol update jobid=@a arraytaskthrottle=3",
        "squeue -h -j @a -o %i",
    ),
    scenario(
        "array: dependency on an element and on all",
        submit("a", "-a 1-2 --wrap 'exec sleep 300'"),
        submit("b", "-d afterok:@a_1 --wrap true"),
        submit("c", "-d afterany:@a --wrap true"),
        "squeue -h -j @b,@c -o '%E %r' | sort",
        "scontrol show job @c | grep -o Dependency=.*",
    ),
    scenario(
        "array: aftercorr",
        submit("a", "-a 1-2 --wrap 'exit $((SLURM_ARRAY_TASK_ID - 1))'"),
        submit("b", "-a 1-2 -d aftercorr:@a --wrap true"),
        ended("a"),
        Until("squeue -h -t all -j @b -o '%K %T %r' | sort", "(?s)1 COMPLETED.*2 PENDING DependencyNeverSatisfied"),
    ),
)
