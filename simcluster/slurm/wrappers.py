"""Scripts that stand before a real Slurm's commands on a PATH, and make them slow, unlucky or unwilling."""

from __future__ import annotations

import shlex

__all__ = ["COMMANDS", "flaky", "reject", "slow", "wrapper"]

COMMANDS = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol", "sinfo")

_WRAPPER = """\
#!/bin/bash
name=${{0##*/}}
for trouble in {directory}/*.trouble; do
    [ ! -e "$trouble" ] || . "$trouble"
done
exec {programs}/"$name" "$@"
"""
_REJECT = """\
case $name in
    sbatch) echo "sbatch: error: Batch job submission failed:" {message} >&2; exit 1 ;;
    srun) echo "srun: error: Unable to allocate resources:" {message} >&2; exit 1 ;;
esac
"""
# A linear congruential generator: the same seed makes the same commands fail.
_FLAKY = """\
state=$(cat {state} 2> /dev/null || echo {seed})
state=$(((state * 1103515245 + 12345) & 0x7fffffff))
echo $state > {state}
if [ $(((state >> 8) % 1000)) -lt {share} ]; then
    echo "$name: error: Unable to contact slurm controller (connect failure)" >&2
    exit 1
fi
"""


def wrapper(directory: str, programs: str) -> str:
    """To be installed under the name of each of `COMMANDS`: meets the troubles in `directory`, then runs the program."""
    return _WRAPPER.format(directory=shlex.quote(directory), programs=shlex.quote(programs))


def slow(seconds: float) -> str:
    """A trouble: each command takes so much longer."""
    return f"sleep {seconds:g}\n"


def reject(message: str) -> str:
    """A trouble: jobs are refused."""
    return _REJECT.format(message=shlex.quote(message))


def flaky(share: float, seed: int, state: str) -> str:
    """A trouble: a share of the commands fails. `state` is a file that all users of the commands can write."""
    return _FLAKY.format(share=round(share * 1000), seed=seed, state=shlex.quote(state))
