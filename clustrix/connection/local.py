"""The agent as a child process: for a client that is on the login node itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clustrix.connection.process_pipe import ProcessPipe

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LocalConnection"]

PATIENCE = 10.0  # seconds that the agent gets to end submissions that are under way


# Beside what tells of a job, these say where the scheduler is.
_OF_THE_SITE = (
    "SLURM_CONF", "SLURM_TIME_FORMAT", "PBS_SERVER", "PBS_DEFAULT", "PBS_CONF_FILE", "PBS_EXEC", "PBS_HOME", "SGE_ROOT",
    "SGE_CELL", "SGE_CLUSTER_NAME", "SGE_QMASTER_PORT", "SGE_EXECD_PORT",
)  # fmt: skip
_OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "PBS_", "SGE_", "PMI_", "PMIX_", "CLUSTRIX_JOB_")
_OF_AN_SGE_JOB = (
    "ARC", "JOB_ID", "JOB_NAME", "JOB_SCRIPT", "NHOSTS", "NQUEUES", "NSLOTS", "PE", "PE_HOSTFILE", "QUEUE", "REQUEST", "RESTARTED",
)  # fmt: skip


class LocalConnection:
    """Runs the agent's command on this machine; ``shell`` stands for the user's login shell."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._pipes: list[ProcessPipe] = []

    def start(self, command: str) -> ProcessPipe:
        pipe = ProcessPipe([self._shell, "-c", command], patience=PATIENCE, environment=_without_outer_job(os.environ))
        self._pipes.append(pipe)
        return pipe

    def close(self) -> None:
        while self._pipes:
            self._pipes.pop().close()


def _without_outer_job(environment: Mapping[str, str]) -> dict[str, str]:
    """In a job, the variables that tell of it are left out: schedulers hand what they get on to the jobs submitted out of it."""
    is_sge = "SGE_TASK_ID" in environment
    if not (is_sge or "SLURM_JOB_ID" in environment or "PBS_JOBID" in environment):
        return dict(environment)
    return {
        name: value
        for name, value in environment.items()
        if name in _OF_THE_SITE or not (name.startswith(_OF_A_JOB) or (is_sge and name in _OF_AN_SGE_JOB))
    }
