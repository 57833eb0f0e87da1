"""A scheduler that is down, nodes that are lost, a site without accounting."""

from __future__ import annotations

from conformance.scenarios.phrases import HOLDING, alone, ended, plain, state, submit
from conformance.stage import Break, Mend, Until

__all__ = ["SCENARIOS"]

_KNOWN = "squeue -h -t all -j @a -o '%T %r'"

SCENARIOS = (
    alone(
        "a scheduler that is down",
        submit("a", HOLDING),
        state("a", "RUNNING"),
        Break("scheduler.down"),
        "sbatch --wrap true & squeue > s1 2>&1 & sinfo > s2 2>&1 & scancel @a > s3 2>&1; e=$?; wait; cat s1 s2 s3; echo $e",
        "scontrol ping; echo $?",
        Mend(),
        Until("squeue -h -j @a -o %T", "RUNNING"),
        "scontrol ping",
    ),
    alone(
        "a node is lost",
        submit("a", f"-w node2 --no-requeue {HOLDING}"),
        submit("b", f"-w node2 --requeue {HOLDING}"),
        state("a", "RUNNING"),
        state("b", "RUNNING"),
        Break("node.kill", ("node2",)),
        state("a", "NODE_FAIL"),
        "squeue -h -t all -j @a -o '%T %t %r'",
        "scontrol show job @a | grep -oE 'JobState=.*|ExitCode=.*|Restarts=[0-9]*| NodeList=.*'",
        Until("squeue -h -t all -j @b -o %T", "PENDING"),
        "scontrol show job @b | grep -oE 'Restarts=[0-9]*'",
        "sinfo -h -N -p debug -o '%N %t'",
        submit("c", f"-w node2 {HOLDING}"),
        Until("squeue -h -j @c -o '%T %r'", "PENDING.*(Req|Node|Part|Res)"),
        Until("sacct -n -X -P -j @a -o state,exitcode", "NODE_FAIL"),
        Mend(),
        Until("sinfo -h -N -p debug -n node2 -o %t | sed -E 's/mix|alloc/idle/'", r"\Aidle\n\Z"),
        state("c", "RUNNING"),
    ),
    plain(
        "without accounting",
        submit("a", "-J noacct --wrap 'exit 3'"),
        ended("a"),
        _KNOWN,
        "sacct",
        "sacct -j @a",
        "sacct -n -X -P -j @a -o jobid,state",
        "sacct --nonsense",
        "sacct -o nonsense",
        "sacct -e | head -1",
        "sacctmgr -n list user",
        "sshare",
        "scontrol show job @a | grep -oE 'JobState=.*|ExitCode=.*|Account=.*'",
    ),
    plain(
        "without accounting: the job's variables",
        submit("a", "-o v --wrap 'env | grep ^SLURM | sort'"),
        ended("a"),
        "cat v",
    ),
    plain(
        "without accounting: any account is accepted",
        submit("a", f"-H -A nobody {HOLDING}"),
        "squeue -h -j @a -o '%a %q'",
        "sbatch -q nothing --wrap true > o 2>&1; sed 's/[0-9][0-9]*/N/' o",
    ),
)
