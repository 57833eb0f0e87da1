"""scancel in each of its ways, on jobs in each state."""

from __future__ import annotations

from conformance.scenarios.phrases import HOLDING, accounted, ended, scenario, state, submit
from conformance.stage import Run, Until

__all__ = ["SCENARIOS"]

_SHOWN = "squeue -h -t all -j @a -o '%T %r'; scontrol show job @a | grep -oE 'JobState=.*|ExitCode=.*'"
_TRAP = "printf '#!/bin/bash\\ntrap \"echo got it\" USR1\\necho set\\nfor i in 1 2 3; do sleep 300 & wait $!; kill %%1; done\\n' > t.sh"
_READY = Run("until grep -q set slurm-@a.out 2>/dev/null; do sleep 0.1; done")

SCENARIOS = (
    scenario(
        "cancel a running job",
        submit("a", "--wrap 'echo begun; exec sleep 300'"),
        state("a", "RUNNING"),
        Run("until grep -q begun slurm-@a.out 2>/dev/null; do sleep 0.1; done; scancel @a"),
        ended("a"),
        _SHOWN,
        accounted("a", "CANCELLED"),
        "sacct -n -P -j @a -o jobid,state,exitcode",
        "sacct -n -X -P -j @a -o state%30 | sed 's/by [0-9]*/by N/'",
        "cat slurm-@a.out",
    ),
    scenario(
        "cancel a pending job",
        submit("a", f"-H {HOLDING}"),
        "scancel @a",
        ended("a"),
        _SHOWN,
        accounted("a", "CANCELLED"),
        "sacct -n -P -j @a -o jobid,state,exitcode,start,nodelist",
        "ls | cat",
    ),
    scenario(
        "cancel twice", submit("a", HOLDING), "scancel @a", "scancel @a", ended("a"), "scancel @a", "scancel -v @a"
    ),
    scenario(
        "cancel several at once",
        submit("a", f"-H {HOLDING}"),
        submit("b", f"-H {HOLDING}"),
        "scancel @a @b",
        ended("a"),
        ended("b"),
        submit("c", f"-H {HOLDING}"),
        "scancel 999999 @c",
        ended("c"),
    ),
    scenario(
        "cancel with a comma",
        submit("a", f"-H {HOLDING}"),
        submit("b", f"-H {HOLDING}"),
        "scancel @a,@b",
        ended("a"),
        "squeue -h -t all -j @b -o %T",
    ),
    scenario(
        "cancel by name",
        submit("a", f"-H -J by-name {HOLDING}"),
        submit("b", f"-H -J by-name-too {HOLDING}"),
        "scancel -n by-name",
        ended("a"),
        "squeue -h -t all -j @b -o %T",
        "scancel --jobname=by-name-too",
        ended("b"),
    ),
    scenario(
        "cancel by state",
        submit("a", f"-J by-state {HOLDING}"),
        submit("b", f"-H -J by-state {HOLDING}"),
        state("a", "RUNNING"),
        "scancel -t PENDING -n by-state",
        ended("b"),
        "squeue -h -j @a -o %T",
        "scancel -t running -n by-state",
        ended("a"),
    ),
    scenario(
        "cancel by partition and user",
        submit("a", f"-H -p long -J by-part {HOLDING}"),
        submit("b", f"-H -J by-part {HOLDING}"),
        "scancel -p long -u $(id -un) -n by-part",
        ended("a"),
        "squeue -h -t all -j @b -o %T",
    ),
    scenario(
        "cancel verbosely and quietly",
        submit("a", f"-H {HOLDING}"),
        "scancel -v @a",
        submit("b", f"-H {HOLDING}"),
        "scancel -Q @b",
        "scancel -Q 999999",
        "scancel -Q abc",
    ),
    scenario(
        "cancel interactively",
        submit("a", f"-H -J ask {HOLDING}"),
        "echo n | scancel -i @a",
        "squeue -h -j @a -o %T",
        "echo y | scancel -i @a",
    ),
    scenario(
        "signal the batch script",
        _TRAP,
        submit("a", "t.sh"),
        _READY,
        "scancel -b -s USR1 @a",
        Until("cat slurm-@a.out", "got it"),
        "squeue -h -j @a -o %T",
    ),
    scenario(
        "signal by number and by long name",
        _TRAP,
        submit("a", "t.sh"),
        _READY,
        "scancel --batch --signal=10 @a",
        Until("cat slurm-@a.out", "got it"),
        "scancel --batch --signal=SIGUSR1 @a",
        Until("cat slurm-@a.out", "(?s)got it.*got it"),
    ),
    scenario(
        "signal KILL",
        submit("a", HOLDING),
        state("a", "RUNNING"),
        "scancel -s KILL @a",
        ended("a"),
        _SHOWN,
    ),
    scenario(
        "signal KILL to the script alone",
        submit("a", HOLDING),
        state("a", "RUNNING"),
        "scancel -b -s KILL @a",
        ended("a"),
        _SHOWN,
    ),
    scenario(
        "signal TERM to all of it",
        submit("a", "-o out.txt --wrap 'echo set; sleep 300; echo after'"),
        Run("until grep -q set out.txt 2>/dev/null; do sleep 0.1; done; scancel -f -s TERM @a"),
        ended("a"),
        _SHOWN,
    ),
    scenario(
        "stop and continue",
        submit("a", "-o out.txt --wrap 'echo set; for i in $(seq 600); do sleep 0.5; done'"),
        Run("until grep -q set out.txt 2>/dev/null; do sleep 0.1; done"),
        "scancel -f -s STOP @a",
        "squeue -h -j @a -o %T",
        "scancel -f -s CONT @a",
        Until("squeue -h -j @a -o %T", "RUNNING"),
    ),
    scenario(
        "cancel what waits for a dependency",
        submit("a", f"-H {HOLDING}"),
        submit("b", "-d afterok:@a --wrap true"),
        "scancel @b",
        ended("b"),
        "squeue -h -t all -j @b -o '%T %r'",
        "scancel @a",
        ended("a"),
    ),
)
