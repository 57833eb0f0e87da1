"""What scenarios say again and again."""

from __future__ import annotations

from conformance.stage import Run, Scenario, Step, Until

__all__ = ["HOLDING", "accounted", "alone", "ended", "of_rights", "plain", "scenario", "state", "submit"]

HOLDING = "--wrap 'exec sleep 300'"
"""A job that stays until it is ended: one process, for of two it is chance which ends first."""

_OVER = "COMPLETED|FAILED|CANCELLED|TIMEOUT|OUT_OF_MEMORY|NODE_FAIL|PREEMPTED|DEADLINE"


def scenario(name: str, *steps: Step | str) -> Scenario:
    """Plain text is a command to run."""
    return Scenario(name, tuple(Run(step) if isinstance(step, str) else step for step in steps))


def alone(name: str, *steps: Step | str) -> Scenario:
    """A scenario that has the cluster for itself."""
    return Scenario(name, scenario(name, *steps).steps, is_alone=True)


def plain(name: str, *steps: Step | str) -> Scenario:
    """A scenario for a cluster without accounting, which it has for itself."""
    return Scenario(name, scenario(name, *steps).steps, is_alone=True, accounting=False)


def of_rights(name: str, *steps: Step | str) -> Scenario:
    """A scenario about what its user may not do, who must not be the one that Slurm itself runs as."""
    return Scenario(name, scenario(name, *steps).steps, is_of_rights=True)


def submit(job: str, words: str) -> Run:
    """`words` are sbatch's; the job is `@job` from then on."""
    return Run(f"sbatch --parsable {words}", job)


def state(job: str, name: str) -> Until:
    """Until squeue has the job in that state."""
    return Until(f"squeue -h -t all -j @{job} -o %T", rf"^{name}$")


def ended(job: str) -> Until:
    """Until the job, or all elements of the array, are over."""
    return Until(f"squeue -h -t all -j @{job} -o %T", rf"\A(?:(?:{_OVER})\n)+\Z")


def accounted(job: str, name: str) -> Until:
    """Until sacct has every record of the job in that state."""
    return Until(f"sacct -n -X -P -j @{job} -o state,end", rf"\A(?:{name}[^|]*\|\d[^\n]*\n)+\Z")
