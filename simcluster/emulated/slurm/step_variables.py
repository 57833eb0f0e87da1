"""What a task of a step sees of Slurm in its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.surroundings import job_variables, per_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job, Step

__all__ = ["step_environment", "task_variables"]

_OF_BATCH = ("ENVIRONMENT", "HOSTNAME", "TMPDIR", "SLURM_GTIDS")
_NOT_OF_SRUN = ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU")


def step_environment(core: Core, job: Job, step: Step, base: Mapping[str, str], host: str) -> dict[str, str]:
    """What all tasks have alike: the caller's own as far as it is exported, the job's, the step's."""
    unwanted = {*_OF_BATCH, *(_NOT_OF_SRUN if job.request.is_interactive else ())}
    of_job = {name: value for name, value in job_variables(job, core).items() if name not in unwanted}
    tasks, nodes = str(step.tasks), str(len(step.nodes))
    found = {
        **base,
        **of_job,
        "SLURM_NTASKS": tasks,
        "SLURM_NPROCS": tasks,
        "SLURM_NNODES": nodes,
        "SLURM_TASKS_PER_NODE": per_node(step.tasks_by_node),
        "SLURM_STEP_ID": str(step.number),
        "SLURM_STEPID": str(step.number),
        "SLURM_STEP_NODELIST": compress(step.nodes),
        "SLURM_STEP_NUM_NODES": nodes,
        "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_TASKS_PER_NODE": per_node(step.tasks_by_node),
        "SLURM_DISTRIBUTION": "cyclic" if step.tasks <= len(step.nodes) else "block",
        "SLURM_SRUN_COMM_HOST": host,
        "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
        "SRUN_DEBUG": "3",
    }
    if step.request.cpus_per_task > 1:
        found["SLURM_CPUS_PER_TASK"] = str(step.request.cpus_per_task)
    return found


def task_variables(step: Step, number: int, node: int, local: int) -> dict[str, str]:
    """What differs from task to task."""
    first = sum(step.tasks_by_node[:node])
    name, gpus = step.nodes[node], ",".join(map(str, step.gpus_by_node[node]))
    found = {
        "SLURMD_NODENAME": name,
        "SLURM_TOPOLOGY_ADDR": name,
        "SLURM_CPUS_ON_NODE": str(step.cpus_by_node[node]),
        "SLURM_GTIDS": ",".join(map(str, range(first, first + step.tasks_by_node[node]))),
        "SLURM_LOCALID": str(local),
        "SLURM_NODEID": str(node),
        "SLURM_PROCID": str(number),
    }
    if gpus:
        found["CUDA_VISIBLE_DEVICES"] = found["SLURM_STEP_GPUS"] = gpus
    return found
