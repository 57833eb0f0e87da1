"""What is refused, and in which words."""

from __future__ import annotations

from conformance.scenarios.phrases import scenario
from conformance.stage import Run

__all__ = ["SCENARIOS"]


def _each(option: str, *values: str) -> list[str]:
    """sbatch with each of the values; a job that is accepted all the same is held, shown and cancelled."""
    return [
        f"sbatch --parsable -H {option} {value} --wrap true > id; e=$?; [ $e = 0 ] && scancel $(cat id); exit $e"
        for value in values
    ]


SCENARIOS = (
    scenario("no such option", "sbatch --nonsense --wrap true", "sbatch -Y --wrap true", "sbatch --wrap"),
    scenario("an option without its value", "sbatch --time", "sbatch -t", "sbatch --exclusive=bad --wrap true"),
    scenario("an ambiguous option", "sbatch --no --wrap true", "sbatch --nt 1 --no-r --wrap true > out; grep -c . out"),
    scenario("no such script", "sbatch missing.sh", "sbatch -", "mkdir d; sbatch d"),
    scenario("a script with DOS line breaks", "printf '#!/bin/bash\\r\\necho hi\\r\\n' > dos.sh; sbatch dos.sh"),
    scenario("an empty script", ": > empty.sh; sbatch empty.sh", "sbatch < /dev/null", "printf '\\n\\n' | sbatch"),
    scenario("a script without a shebang", "echo 'echo hi' > bare.sh; sbatch bare.sh", "echo true | sbatch"),
    scenario("a binary", "head -c 64 /bin/true > bin; sbatch bin"),
    scenario("an empty --wrap", Run("sbatch --wrap ''", "a"), Run("sbatch --wrap ' '", "b")),
    scenario("no such partition", "sbatch -p nowhere --wrap true", "sbatch -p nowhere,debug --wrap true"),
    scenario("too many nodes", "sbatch -N 99 --wrap true", "sbatch -N 3 -p debug --wrap true"),
    scenario("too many CPUs", "sbatch -c 99 --wrap true", "sbatch -n 9999 --wrap true", "sbatch -N1 -n 33 --wrap true"),
    scenario("too much memory", "sbatch --mem 999G --wrap true", "sbatch --mem-per-cpu 999G --wrap true"),
    scenario("too much time", "sbatch -p short -t 2:00:00 --wrap true", "sbatch -p short -t 31 --wrap true"),
    scenario("too many GPUs", "sbatch --gres gpu:9 --wrap true", "sbatch --gres tpu:1 --wrap true"),
    scenario("nodes that are not there", "sbatch -w node99 --wrap true", "sbatch -x node99 -H --wrap true > /dev/null"),
    scenario("no such feature", "sbatch -C nothing --wrap true"),
    scenario("no such quality of service", Run("sbatch -q nothing --wrap true", "a")),
    scenario("no such licence", "sbatch -L nothing --wrap true"),
    scenario("no such reservation", "sbatch --reservation nothing --wrap true"),
    scenario("bad times", *_each("-t", "abc", "1:2:3:4", "-5", "0", "1-", "''", "1.5", "60:00", "1-2", "infinite")),
    scenario("bad memory", *_each("--mem", "abc", "-1", "10X", "1.5G", "0", "''", "10KB")),
    scenario("bad memory per CPU", *_each("--mem-per-cpu", "abc", "-1", "10X", "0")),
    scenario("bad numbers of nodes", *_each("-N", "abc", "0", "-1", "2-1", "1-x", "1-2", "1k")),
    scenario("bad numbers of tasks", *_each("-n", "abc", "0", "-1", "1.5", "''")),
    scenario("bad numbers of CPUs", *_each("-c", "abc", "0", "-1", "2x")),
    scenario("bad arrays", *_each("-a", "abc", "5-1", "1-", "-1", "1,1", "1-5%0", "1-3%x", "0-999999", "1-5:0", "''")),
    scenario("bad dependencies", *_each("-d", "nonsense:1", "afterok", "afterok:", "afterok:abc", "1", "after:1+x")),
    scenario("bad times to begin", *_each("--begin", "yesterday", "abc", "25:00", "now-1", "now+1x")),
    scenario("bad signals", *_each("--signal", "USR9@10", "USR1@abc", "B:", "@", "99999")),
    scenario("bad priorities", *_each("--nice=", "abc"), *_each("--priority", "abc", "-1")),
    scenario("bad mail", *_each("--mail-type", "NONSENSE", "END")),
    scenario("bad exports", *_each("--export", "''", "1A=2", "A=")),
    scenario("bad input and output", *_each("-o", "''"), *_each("-o none -e", "''", "/")),
    scenario("bad numbers of GPUs", *_each("--gres", "gpu:x", "gpu:-1", "gpu:", "''"), *_each("--gpus", "abc", "1")),
    scenario("bad durations of delays", *_each("--deadline", "abc"), *_each("--time-min", "abc", "5")),
    scenario("negative and unknown core counts", *_each("--ntasks-per-node", "abc", "0", "-1", "2")),
    scenario("exclusive and shared", *_each("--exclusive", ""), *_each("-s", ""), *_each("--exclusive=user", "")),
    scenario(
        "bad options of squeue", "squeue --nonsense", "squeue -t nonsense", "squeue -o", "squeue -j abc", "squeue x"
    ),
    scenario("bad options of sinfo", "sinfo --nonsense", "sinfo -t nonsense", "sinfo -n node99", "sinfo -p nowhere"),
    scenario("bad options of scancel", "scancel", "scancel --nonsense", "scancel -t nonsense", "scancel -s NOPE 1"),
    scenario(
        "bad options of sacct",
        "sacct --nonsense",
        "sacct -o nonsense",
        "sacct -j abc",
        "sacct -s nonsense",
        "sacct -S x",
    ),
    scenario("bad words for scontrol", "scontrol nonsense", "scontrol show nonsense", "scontrol show", "scontrol hold"),
    scenario("versions", "for c in sbatch squeue scancel sacct sinfo scontrol srun; do $c --version; $c -V; done"),
    scenario(
        "ids that nobody has",
        "squeue -j 999999",
        "squeue -h -j 999998,999999",
        "scancel 999999",
        "scancel -v 999999",
        "scancel 999999_1",
        "sacct -j 999999",
        "sacct -n -X -P -j 999999 -o jobid,state",
        "scontrol show job 999999",
        "scontrol show job 999999_1",
        "scontrol hold 999999",
        "scontrol release 999999",
        "scontrol requeue 999999",
        "scontrol update job=999999 comment=x",
        "scontrol suspend 999999",
    ),
    scenario(
        "ids that are none",
        "scancel abc",
        "scancel 12x",
        "scancel ''",
        "scancel -1",
        "scancel 1_x",
        "scontrol show job abc",
        "scontrol hold abc",
        "scontrol release abc",
        "scontrol requeue abc",
        "scontrol update job=abc comment=x",
        "squeue -j 1_x",
        "squeue -j ''",
    ),
    scenario(
        "names that nobody has",
        "scontrol show node node99",
        "scontrol show partition nowhere",
        "squeue -u nobody99",
        "squeue -h -p nowhere",
        "squeue -h -n nothing",
        "squeue -h -w node99",
        "scancel -u nobody99",
        "scancel -n nothing",
        "scancel -p nowhere",
        "sacct -n -u nobody99",
    ),
)
