"""How jobs end, and what is known of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.scenarios.phrases import accounted, ended, scenario, state, submit
from conformance.stage import Run, Until

if TYPE_CHECKING:
    from conformance.stage import Scenario

__all__ = ["SCENARIOS"]

_SQUEUE = "squeue -h -t all -j @a -o '%T %t %r'"
_SCONTROL = "scontrol show job @a | grep -oE 'JobState=.*|ExitCode=.*|Requeue=.*'"
_SACCT = "sacct -n -P -j @a -o jobid,state,exitcode,derivedexitcode"


def _end(name: str, body: str, final: str, options: str = "") -> Scenario:
    return scenario(
        f"end: {name}",
        submit("a", f"{options} --wrap '{body}'"),
        ended("a"),
        _SQUEUE,
        _SCONTROL,
        accounted("a", final),
        _SACCT,
        "cat slurm-@a.out",
    )


SCENARIOS = (
    _end("success", "true", "COMPLETED"),
    _end("exit 1", "exit 1", "FAILED"),
    _end("exit 3", "exit 3", "FAILED"),
    _end("exit 127", "no-such-command-here", "FAILED"),
    _end("exit 128", "exit 128", "FAILED"),
    _end("exit 137", "exit 137", "FAILED"),
    _end("exit 255", "exit 255", "FAILED"),
    _end("killed by itself", "kill -9 $$", "FAILED"),
    _end("terminated by itself", "kill -TERM $$", "FAILED"),
    _end("segmentation fault", "kill -SEGV $$", "FAILED"),
    _end("aborted", "kill -ABRT $$", "FAILED"),
    _end("stopped by user signal", "kill -USR1 $$", "FAILED"),
    _end("a child is killed", 'python3 -c "import os; os.kill(os.getpid(), 9)"; exit 4', "FAILED"),
    scenario(
        "end: an interpreter that is not there",
        "printf '#!/no/such/interpreter\\n' > job.sh",
        submit("a", "job.sh"),
        ended("a"),
        _SQUEUE,
        _SCONTROL,
        "cat slurm-@a.out",
    ),
    scenario(
        "end: out of memory",
        submit("a", "--mem 60M --wrap 'python3 -c \"import time; a = bytearray(400 << 20); time.sleep(60)\"; echo $?'"),
        ended("a"),
        _SQUEUE,
        _SCONTROL,
        accounted("a", "(OUT_OF_MEMORY|CANCELLED|FAILED)"),
        f"{_SACCT} | sed 's/by [0-9]*/by N/'",
    ),
    scenario(
        "end: over the time limit",
        submit("a", "-t 0:01 --wrap 'echo begun; exec sleep 300'"),
        ended("a"),
        _SQUEUE,
        _SCONTROL,
        accounted("a", "(TIMEOUT|CANCELLED)"),
        _SACCT,
        "cat slurm-@a.out",
    ),
    scenario(
        "end: over the time limit, with the signal caught",
        # Whoever is signalled first: the script does not end with its child.
        "printf '#!/bin/bash\\ntrap \"echo caught; exit 5\" TERM\\nsleep 300 &\\nwhile :; do wait; done\\n' > trap.sh",
        submit("a", "-t 0:01 trap.sh"),
        ended("a"),
        _SQUEUE,
        _SCONTROL,
        "cat slurm-@a.out",
    ),
    scenario(
        "end: warned by --signal before the time limit",
        "printf '#!/bin/bash\\ntrap \"echo warned; exit 0\" USR1\\nsleep 300 &\\nwait\\n' > trap.sh",
        submit("a", "-t 2 --signal=B:USR1@90 trap.sh"),
        ended("a"),
        _SQUEUE,
        "grep warned slurm-@a.out",
    ),
    scenario(
        "end: a deadline that can't be met",
        Run("sbatch --deadline=now+1minute -t 10 --wrap true", "b"),
        submit("a", "-H --deadline=now+1hour -t 1 --wrap true"),
        "scontrol show job @a | grep -o Deadline=.*",
    ),
    scenario(
        "the way from pending to completed",
        submit("a", "-H --wrap 'until [ -e go ]; do sleep 0.1; done'"),
        "squeue -h -j @a -o '%T %t %r'",
        Until("sacct -n -X -P -j @a -o jobid,jobname,partition,state,exitcode,nodelist", "PENDING"),
        "scontrol release @a",
        state("a", "RUNNING"),
        "squeue -h -j @a -o '%T %t %r %N'",
        Until("sacct -n -P -j @a -o jobid,jobname,partition,state,exitcode,nodelist", r"batch\|.*RUNNING"),
        "touch go",
        ended("a"),
        accounted("a", "COMPLETED"),
        "sacct -n -P -j @a -o jobid,jobname,partition,state,exitcode,nodelist,alloccpus",
        "squeue -h -j @a",
        "squeue -j @a",
    ),
    scenario(
        "a completing job",
        "printf '#!/bin/bash\\ntrap \"\" TERM\\nsleep 300 & wait; while :; do sleep 0.1; done\\n' > stay.sh",
        submit("a", "stay.sh"),
        state("a", "RUNNING"),
        Run("sleep 0.5; scancel @a"),
        Until("squeue -h -j @a -o '%T %t %N'", "COMPLETING"),
        ended("a"),
        _SQUEUE,
    ),
    scenario(
        "squeue after the end",
        submit("a", "--wrap true"),
        ended("a"),
        "squeue -j @a",
        "squeue -t all -j @a -o '%i %t'",
        "squeue -h -t CD -j @a -o %i",
        "squeue -h -t F -j @a -o %i",
        "scancel @a",
        "scontrol hold @a",
        "scontrol release @a",
        "scontrol update job=@a comment=late",
        "scontrol requeue @a; squeue -h -t all -j @a -o %T",
    ),
)
