"""What Slurm's commands say when slurmctld does not answer, or refuses a job (22.05.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.troubles import Outage

if TYPE_CHECKING:
    from simcluster.emulated.interface import Call, Settings

__all__ = ["rejection", "unreachable"]

_TIMEOUT = 9.0
_REASON = "Unable to contact slurm controller (connect failure)"
_LOADED = {
    "job": "slurm_load_jobs",
    "node": "slurm_load_node",
    "partition": "slurm_load_partitions",
    "config": "slurm_load_ctl_conf",
}


def unreachable(call: Call, settings: Settings) -> Outage | None:
    """By transcript. What asks slurmdbd, or nobody, is answered as ever."""
    words = call.arguments
    if any(word in {"--version", "-V", "version"} for word in words):
        return None
    match call.program:
        case "sbatch":
            return _outage(f"sbatch: error: Batch job submission failed: {_REASON}")
        case "srun":
            return _outage(f"srun: error: Unable to allocate resources: {_REASON}")
        case "squeue":
            by_id = any(word.startswith(("-j", "--job")) for word in words)
            return _outage(f"slurm_load_jobs error: {_REASON}", tries=2 if by_id else 1)
        case "sinfo":
            return _outage(f"slurm_load_partitions: {_REASON}")
        case "scancel":
            return _scancel(words)
        case "scontrol":
            return _scontrol([word for word in words if not word.startswith("-")], settings.controller)
    return None


def rejection(call: Call, message: str) -> Reply | None:
    """As of a submission that a plugin of the site's refused."""
    match call.program:
        case "sbatch":
            return Reply(stderr=f"sbatch: error: Batch job submission failed: {message}\n", code=1)
        case "srun":
            return Reply(stderr=f"srun: error: Unable to allocate resources: {message}\n", code=1)
    return None


def _outage(text: str, *, code: int = 1, tries: int = 1) -> Outage:
    return Outage(Reply(stderr=f"{text}\n", code=code), tries, _TIMEOUT)


def _scancel(words: tuple[str, ...]) -> Outage:
    ids = [word for word in words if word[:1].isdecimal()]
    if not ids:
        return _outage(f"scancel: error: slurm_load_jobs error: {_REASON}")
    return _outage("\n".join(f"scancel: error: Kill job error on job id {id_}: {_REASON}" for id_ in ids), code=8)


def _scontrol(words: list[str], controller: str) -> Outage | None:
    verb, subject, *_ = *words, "", ""
    match verb:
        case "ping":
            return Outage(Reply(f"Slurmctld(primary) at {controller} is DOWN\n", code=1))
        case "show" if subject in {"hostnames", "hostlist", "hostlistsorted"}:
            return None
        case "show":
            loaded = next(
                (name for kind, name in _LOADED.items() if kind.startswith(subject.rstrip("s"))), "slurm_load"
            )
            return _outage(f"{loaded} error: {_REASON}", tries=2 if loaded == _LOADED["job"] else 1)
        case "hold" | "release":
            unexpected = "Unexpected message received"
            return _outage(f"{unexpected} for job {subject}\nslurm_suspend error: {unexpected}")
    return _outage(f"slurm_{verb} error: {_REASON}")
