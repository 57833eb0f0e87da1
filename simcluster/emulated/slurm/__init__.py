"""The Slurm dialect: command lines of its programs against the core, in the words of 22.05.8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.slurm.sacct import sacct
from simcluster.emulated.slurm.sbatch import sbatch
from simcluster.emulated.slurm.scancel import scancel
from simcluster.emulated.slurm.scontrol import scontrol
from simcluster.emulated.slurm.sinfo import sinfo
from simcluster.emulated.slurm.squeue import squeue

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["answer"]

_PROGRAMS = {"sacct": sacct, "scancel": scancel, "scontrol": scontrol, "sinfo": sinfo, "squeue": squeue}


async def answer(core: Core, call: Call) -> Reply:
    """What `call` prints and how it ends, as on a login host of a real cluster."""
    if call.program == "sbatch":
        return await sbatch(core, call)
    program = _PROGRAMS.get(call.program)
    if program is None:
        return Reply(stderr=f"bash: {call.program}: command not found\n", code=127)
    return program(core, call)
