"""Which jobs there are whose result was not fetched yet: by the journal here, and by their files on the cluster.

A job's key lies on the cluster too, readable for this account alone, so another machine of the same user can fetch the job.
Its HMAC then proves that the result is whole, of that job, and written by somebody who could read the account's files; that
nobody who can write them changed it, only the key in the journal of the machine that submitted it proves.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from clustrix.errors import ClustrixError
from clustrix.journal import Entry, JobRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clustrix.config import ClusterConfig
    from clustrix.journal import Journal
    from clustrix.session import Session

__all__ = ["cluster_records", "drop_expired", "entry_of", "journal_records", "missing_words", "split_task"]

KEPT = 14 * 86400.0  # seconds that a result waits on the cluster; see remote/expiry.py
# Whose they are and where they lie; how the host is reached may change.
_SAME_PLACE = ("cluster_type", "cluster_host", "cluster_port", "username", "connection", "remote_state_dir")


def journal_records(journal: Journal, config: ClusterConfig) -> list[JobRecord]:
    """The journal's jobs on the cluster of ``config``, the oldest first. Nobody is asked."""
    place = _place(config.public_dict())
    return [
        JobRecord(entry.job_id, entry.scheduler_id, entry.function, _host(config), entry.created)
        for entry in journal.entries()
        if _place(entry.config) == place
    ]


def cluster_records(session: Session, config: ClusterConfig) -> list[JobRecord]:
    """The account's jobs on the cluster, whichever machine submitted them, the oldest first."""
    return [
        JobRecord(job["job_id"], job["scheduler_id"], job["function"], _host(config), job["created"], job["state"])
        for job in session.request("discover")["jobs"]
    ]


def drop_expired(journal: Journal, config: ClusterConfig, found: Iterable[JobRecord]) -> None:
    """Drop the journal's jobs on the cluster that are older than results are kept, and none of all that was ``found`` there."""
    known, now = {record.job_id for record in found}, time.time()
    for record in journal_records(journal, config):
        if record.job_id not in known and now - record.created > KEPT:
            journal.remove(record.job_id)


def entry_of(name: str, journal: Journal, session: Session, config: ClusterConfig) -> Entry:
    """The entry of a job by clustrix's id or the scheduler's number: the journal's, else one made of the job's files there.

    :raises ClustrixError: neither has it
    """
    found = journal.find(name)
    if found is not None:
        return found
    there: dict[str, Any] | None = session.request("job", {"job": name})["entry"]
    if there is None:
        raise ClustrixError(
            f"{journal} knows no job {name}, and neither does {session.host}: it was fetched already, never submitted, or ended "
            "more than 14 days ago"
        )
    known = {field.name for field in dataclasses.fields(Entry)}
    facts = {key: value for key, value in there.items() if key in known}
    return Entry(**facts, config=config.public_dict() | {"environment_variables": {}})


def split_task(name: str) -> tuple[str, str | None]:
    """``cx... .3`` is task 3 of a map; numbers of schedulers may have points of their own."""
    job_id, point, number = name.partition(".")
    return (job_id, number) if point and job_id.startswith("cx") else (name, None)


def missing_words(job_id: str, scheduler_id: str | None, host: str) -> str:
    """Why the cluster has nothing of a job that the journal has."""
    if scheduler_id is not None:
        return (
            f"{host} knows no job {job_id} any more, which was submitted there as {scheduler_id}: its result was fetched from "
            "another machine, was removed there, or nobody fetched it within 14 days of its end"
        )
    return (
        f"{host} knows no job {job_id}: it was never submitted, or its files were removed there. "
        f"If its submission was cut off just now, clustrix.attach({job_id!r}) may find it a little later"
    )


def _place(config: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(config.get(name) for name in _SAME_PLACE)


def _host(config: ClusterConfig) -> str:
    return config.cluster_host or "this machine"
