"""What a real Slurm's commands say when they can't do what they are told, for scripts that stand before them."""

from __future__ import annotations

import shlex

__all__ = ["COMMANDS", "UNREACHABLE", "reject"]

COMMANDS = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol", "sinfo")

UNREACHABLE = 'echo "$name: error: Unable to contact slurm controller (connect failure)" >&2; exit 1'

_REJECT = """\
case $name in
    sbatch) echo "sbatch: error: Batch job submission failed:" {message} >&2; exit 1 ;;
    srun) echo "srun: error: Unable to allocate resources:" {message} >&2; exit 1 ;;
esac
"""


def reject(message: str) -> str:
    """A trouble: jobs are refused."""
    return _REJECT.format(message=shlex.quote(message))
