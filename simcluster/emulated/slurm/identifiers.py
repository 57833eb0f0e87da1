"""Job ids as people write them: `17`, `17_3`, `17_[1-3]`, `17.batch`; and who may touch which job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["is_allowed", "is_operator", "jobs_named", "split_ids"]

_OPERATORS = {"root", "slurm"}

_ID = re.compile(r"(\d+)(?:_(\d+|\*|\[[\d,\-%]+\]))?(?:\.(\w+))?")
_TASKS = re.compile(r"(\d+)(?:-(\d+))?")


def split_ids(text: str) -> list[str]:
    """At commas, but not at those in brackets."""
    return [piece for piece in re.findall(r"(?:[^,\[]|\[[^\]]*\]?)+", text) if piece]


def jobs_named(core: Core, text: str) -> list[Job] | None:
    """The jobs of an id, none if they are unknown; None if it is no id at all."""
    match = _ID.fullmatch(text.strip())
    if match is None or match[1].strip("0") == "":
        return None
    number, task = int(match[1]), match[2]
    if task is None or task == "*":
        return core.find(number)
    if task.isdecimal():
        return core.find(number, int(task))
    matches = [_TASKS.fullmatch(piece) for piece in task.strip("[]").split("%")[0].split(",")]
    ranges = [range(int(match[1]), int(match[2] or match[1]) + 1) for match in matches if match]
    if len(ranges) < len(matches):
        return None
    elements = core.find(number)
    return [job for tasks in ranges for job in elements if job.task_id in tasks]


def is_allowed(call: Call, job: Job) -> bool:
    """Whether the caller may change the job."""
    return call.user == job.user or call.user in _OPERATORS


def is_operator(core: Core, call: Call) -> bool:
    """Whether the caller may do what only Slurm's operators may.

    Whoever starts a cluster is its ordinary user, also on a machine where he is root.
    """
    return call.user in _OPERATORS and call.user not in core.settings.user_ids
