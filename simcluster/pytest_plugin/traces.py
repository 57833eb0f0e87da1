"""What tests leave on a cluster: which jobs are whose, and how a cluster is put in order again."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from simcluster.errors import SimclusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simcluster.cluster import Cluster, Job
    from simcluster.pytest_plugin.visits import Visit

__all__ = ["cancel", "mend", "new_workdir", "own_jobs", "root"]

_PARENT = "simcluster-tests"
_CANCEL = {"slurm": "scancel", "pbs": "qdel", "sge": "qdel"}
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}
_PATIENCE = 5.0
_POLL = 0.02


def new_workdir(cluster: Cluster, test: str) -> str:
    """Make a directory under the user's home that is the test's own."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", test.rpartition("::")[2])[:40].strip("-.")
    parent = f"{cluster.home}/{_PARENT}"
    made = cluster.run(f"mkdir -p {parent} && mktemp -d {parent}/{name}.XXXXXX", check=True)
    return made.stdout.strip()


def root(job_id: str) -> str:
    """The number that all elements of an array have in common."""
    match = re.match(r"\d+", job_id)
    return match[0] if match else job_id


def own_jobs(jobs: Iterable[Job], visit: Visit, others: Sequence[Visit]) -> list[Job]:
    """The jobs that only this test can have submitted, as far as the tests go that are there now.

    A job belongs to the test in whose work directory it was submitted. Any other may be of each test that was there
    before the job was; if there are several, the last of them to leave has it.
    """
    parent = visit.workdir.rpartition("/")[0]
    return [
        job
        for job in jobs
        if _is_under(visit.workdir, job)
        or (
            not _is_under(parent, job)
            and root(job.id) not in visit.before
            and all(root(job.id) in other.before for other in others)
        )
    ]


def cancel(cluster: Cluster, jobs: Callable[[], list[Job]]) -> None:
    """Cancel those of the jobs that have not ended, and wait a moment for their end."""
    live = [job for job in jobs() if job.state not in _ENDED]
    if not live:
        return
    command = _CANCEL[cluster.spec.scheduler]
    # Elements of an array that have not started may be told as one, in words that scancel does not take.
    ids = list(dict.fromkeys(job.id if command == "qdel" else root(job.id) for job in live))
    done = cluster.run([command, *ids])
    deadline = time.monotonic() + _PATIENCE
    while left := [job.id for job in jobs() if job.state not in _ENDED]:
        if time.monotonic() > deadline:
            if done.returncode:  # one that ended meanwhile also makes it fail, so only what is left counts
                raise SimclusterError(f"jobs {', '.join(left)} could not be cancelled: {done.stderr.strip()}")
            return  # a job that does not listen is the scheduler's business
        time.sleep(_POLL)


def mend(cluster: Cluster) -> None:
    """Undo all faults, and switch on what is switched off."""
    cluster.faults.undo_all()
    for node in cluster.nodes.values():
        if not node.is_up:
            node.restart()


def _is_under(directory: str, job: Job) -> bool:
    return f"{job.directory}/".startswith(f"{directory}/")
