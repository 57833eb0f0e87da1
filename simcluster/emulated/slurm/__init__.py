"""The Slurm dialect: command lines of its programs against the core, in the words of 22.05.8."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Partition, Reply, Settings
from simcluster.emulated.slurm.accounts import sacctmgr, sshare
from simcluster.emulated.slurm.options import log_refusal
from simcluster.emulated.slurm.release import VERSIONS
from simcluster.emulated.slurm.sacct import sacct
from simcluster.emulated.slurm.sbatch import sbatch
from simcluster.emulated.slurm.scancel import scancel
from simcluster.emulated.slurm.scontrol import scontrol
from simcluster.emulated.slurm.sinfo import sinfo
from simcluster.emulated.slurm.squeue import squeue
from simcluster.emulated.slurm.srun import srun

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.spec import ClusterSpec

__all__ = ["answer", "site"]

_PROGRAMS = {
    "sacct": sacct,
    "sacctmgr": sacctmgr,
    "scancel": scancel,
    "scontrol": scontrol,
    "sinfo": sinfo,
    "squeue": squeue,
    "sshare": sshare,
}


def site(spec: ClusterSpec, user: str) -> tuple[list[Partition], Settings]:
    """The partitions and settings of docker/slurm's slurm.conf."""
    partitions = [Partition("debug", is_default=True)]
    partitions += [Partition(each.name, each.nodes, each.max_seconds) for each in spec.partitions]
    settings = Settings(
        kill_wait=2,
        requeue_delay=5,
        accounts=("lab",),
        enforces_partition_limits=True,
        memory_per_cpu=spec.memory_mb // spec.cpus_per_node,
        version=VERSIONS[spec.version or "22.05"],
        user_ids={user: os.getuid()},
    )
    return partitions, settings


async def answer(core: Core, call: Call) -> Reply:
    """What `call` prints and how it ends, as on a login host of a real cluster."""
    if call.program == "sbatch":
        return await sbatch(core, call)
    if call.program == "srun":
        return await srun(core, call)
    program = _PROGRAMS.get(call.program)
    if program is None:
        log_refusal(call.program, "itself")
        return Reply(stderr=f"bash: {call.program}: command not found\n", code=127)
    return program(core, call)
