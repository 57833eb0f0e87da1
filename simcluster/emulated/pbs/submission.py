"""What a job was submitted with, beyond what the core cares about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from simcluster.emulated.jobs import Job
    from simcluster.emulated.pbs.resources import Resources

__all__ = ["Submission", "submission"]


@dataclass(frozen=True)
class Submission:
    """`variables` are the job's Variable_List; `output` and `error` are absolute paths, for arrays with ^array_index^.

    `name` is the job's first one, which its files keep. `command` is what followed `--`, None for a script. `indices` and `limit` are an array's.
    """

    name: str
    resources: Resources
    variables: tuple[tuple[str, str], ...]
    home: str
    host: str
    output: str | None
    error: str | None
    directory: str
    arguments: tuple[str, ...]
    account: str | None = None
    mail_points: str = "a"
    mail_users: str | None = None
    project: str = "_pbs_project_default"
    priority: int = 0
    keep: str = "n"
    join: str = "n"
    remove: str | None = None
    is_rerunable: bool = True
    umask: int | None = None
    shell: str | None = None
    command: tuple[str, ...] | None = None
    indices: str | None = None
    limit: int = 0
    is_held: bool = False
    blocks: bool = False
    begin: float | None = None


def submission(job: Job) -> Submission:
    """The submission of a job of this dialect."""
    return cast("_Submitted", job.request.dialect).submission


class _Submitted(Protocol):
    """What `surroundings.Surroundings` is to the rest."""

    submission: Submission
