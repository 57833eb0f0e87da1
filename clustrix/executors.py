"""The executors of this process: one for each host, which all functions share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from clustrix import errors
from clustrix.config import ClusterConfig, get_config
from clustrix.executor import ClusterExecutor
from clustrix.journal import Journal, state_directory
from clustrix.known_jobs import split_task
from clustrix.session import HOST_FIELDS

if TYPE_CHECKING:
    from clustrix.future import ClusterFuture

__all__ = ["attach", "executor_for"]

_executors: dict[tuple[Any, ...], ClusterExecutor] = {}
_executors_guard = threading.Lock()


def executor_for(config: ClusterConfig) -> ClusterExecutor:
    """The executor of this process for the host of ``config``: all functions share one connection to one host."""
    key = (state_directory(), *(getattr(config, name) for name in HOST_FIELDS))
    with _executors_guard:
        if key not in _executors or _executors[key].is_shut_down:
            _executors[key] = ClusterExecutor(config)
        return _executors[key]


def attach(job_id: str | int, *, keep: bool = False) -> ClusterFuture:
    """A future for a job of an earlier process, by its id or the scheduler's number, wherever it was submitted to.

    One that the journal of this machine does not have is looked for on the configured cluster. ``keep`` leaves the result there, to be
    fetched again.
    """
    journal, current = Journal(), get_config()
    name, number = split_task(str(job_id))
    entry = journal.find(name)
    if entry is None:
        if not current.cluster_host and current.connection != "local":
            raise errors.ClustrixError(
                f"{journal} knows no job {job_id}: it was fetched already, or submitted from another machine; configure(cluster_host=...) "
                "says where to look for that"
            )
        return executor_for(current).attach(job_id, keep=keep)
    same_host = current.cluster_host == entry.config.get("cluster_host")
    config = ClusterConfig(**entry.config, password=current.password if same_host else None)
    return executor_for(config).attach(entry.job_id if number is None else f"{entry.job_id}.{number}", keep=keep)
