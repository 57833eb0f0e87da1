"""What sacct shows of a job's steps: the batch script, and what srun ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.jobs import State
from simcluster.emulated.slurm.hostlists import compress
from simcluster.emulated.slurm.job_fields import memory_text
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import long_limit_text, stamp

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.jobs import Job, Step

__all__ = ["derived_exit_code", "exit_code", "step_fields"]

_EMPTY = {"partition", "derivedexitcode", "user", "uid", "group", "qos", "priority", "timelimit", "timelimitraw",
          "workdir", "submitline", "reason", "reqmem", "reqtres"}  # fmt: skip


def step_fields(core: Core, job: Job, values: dict[str, str], form: str) -> list[dict[str, str]]:
    """The fields of each step, from those of the job; `form` is how times are written."""
    rows = [] if job.request.is_interactive else [_batch(job, values)]
    return rows + [_step(core, step, values, form) for step in job.steps]


def exit_code(code: int, signal: int) -> str:
    """As the database has it: codes above 128 lose that much."""
    return f"{code - 128 if code > 128 else code}:{signal}"


def derived_exit_code(job: Job) -> str:
    """The highest of the steps'."""
    return f"{max((step.exit_code for step in job.steps), default=0)}:0"


def _batch(job: Job, values: dict[str, str]) -> dict[str, str]:
    return values | dict.fromkeys(_EMPTY, "") | _share(job.nodes[:1], job.cpus_by_node[:1], job.memory_by_node[:1]) | {
        "jobid": f"{values['jobid']}.batch",
        "jobidraw": f"{values['jobidraw']}.batch",
        "jobname": "batch",
        "state": "CANCELLED" if job.signal and job.signal != 125 else job.state.value,
        "exitcode": exit_code(job.exit_code, job.signal),
        "ntasks": "1" if job.ended else "",
    }  # fmt: skip


def _step(core: Core, step: Step, values: dict[str, str], form: str) -> dict[str, str]:
    elapsed = (step.ended or core.clock.time()) - step.started
    state = step.state.value
    if step.state is State.CANCELLED and step.cancelled_by:
        state = f"CANCELLED by {user_id(core, step.cancelled_by)}"
    cpus = sum(step.cpus_by_node)
    return values | dict.fromkeys(_EMPTY, "") | _share(step.nodes, step.cpus_by_node, step.memory_by_node) | {
        "jobid": f"{values['jobid']}.{step.number}",
        "jobidraw": f"{values['jobidraw']}.{step.number}",
        "jobname": step.name,
        "state": state,
        "exitcode": exit_code(step.exit_code, step.signal),
        "ntasks": str(step.tasks),
        "start": stamp(step.started, "Unknown", form),
        "end": stamp(step.ended, "Unknown", form),
        "submit": stamp(step.started, "Unknown", form),
        "elapsed": long_limit_text(elapsed),
        "elapsedraw": str(int(elapsed)),
        "cputime": long_limit_text(int(elapsed) * cpus),
        "cputimeraw": str(int(elapsed) * cpus),
    }  # fmt: skip


def _share(nodes: tuple[str, ...], cpus: tuple[int, ...], memory: tuple[int, ...]) -> dict[str, str]:
    """What of the allocation a step has."""
    if not nodes:
        return {}
    return {
        "alloccpus": str(sum(cpus)),
        "ncpus": str(sum(cpus)),
        "reqcpus": str(sum(cpus)),
        "allocnodes": str(len(nodes)),
        "nnodes": str(len(nodes)),
        "nodelist": compress(nodes),
        "alloctres": f"cpu={sum(cpus)},mem={memory_text(sum(memory))},node={len(nodes)}",
    }
