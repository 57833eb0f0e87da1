"""Grid Engine in containers: `docker/sge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.docker.recipe import ImageRecipe
from simcluster.docker.schedulers.sge_records import alive, directories, ended
from simcluster.docker.schedulers.site import Breakdown, Root, Site, as_jobs, history_of, said
from simcluster.errors import SpecError

if TYPE_CHECKING:
    from simcluster.cluster import Job
    from simcluster.history import JobHistory
    from simcluster.spec import ClusterSpec

__all__ = ["SITE"]

_ACCOUNTING = "/var/lib/gridengine/default/common/accounting"
# A node that has not been heard of has no load, and its queues an "u" among their states.
_READY = """\
until [ "$(qstat -f 2> /dev/null | grep -c '^all.q@[^ ]*  *[BIP]* *[0-9/]* *[0-9.]* *[a-z0-9-]* *$')" = {nodes} ]; do
    sleep 0.05
done
"""
_GO_ON = """\
(SGE_ROOT=/var/lib/gridengine SGE_ND=1 exec setsid /usr/sbin/sge_qmaster < /dev/null > /proc/1/fd/1 2>&1) &
for _ in {1..1000}; do qconf -sconf > /dev/null 2>&1 && exit; sleep 0.02; done; exit 1
"""
_COMMANDS = ("qsub", "qstat", "qdel", "qhold", "qrls", "qhost", "qalter")
_SILENT = 'unable to send message to qmaster using port 6444 on host "login": got send error'


def _settings(spec: ClusterSpec) -> dict[str, str]:
    if spec.gpus_per_node:
        raise SpecError('gpus_per_node: the Grid Engine in containers counts none; backend="emulated" does')
    lines = ["all.q INFINITY @allhosts"]
    for queue in spec.partitions:
        h_rt = "INFINITY" if queue.max_seconds is None else _hours(queue.max_seconds)
        lines.append(f"{queue.name} {h_rt} {' '.join(queue.nodes or ('@allhosts',))}")
    return {"slots": f"{spec.cpus_per_node}\n", "queues": "\n".join([*lines, ""])}


def _hours(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _records(root: Root) -> list[JobHistory]:
    """Who is in both is still leaving: the accounting is written once, at the end."""
    log = root(["cat", _ACCOUNTING])
    over = ended(log)
    known = {job.id for job in over}
    still = [job for job in alive(root(["qstat", "-u", "*", "-g", "d", "-r", "-xml"])) if job.id not in known]
    return sorted([*over, *still], key=lambda job: [int(part) for part in job.id.split(".")])


def _jobs(_spec: ClusterSpec, root: Root) -> list[Job]:
    submitted_in = directories(root(["qstat", "-u", "*", "-j", "*"]))
    return as_jobs(_records(root), lambda id_: submitted_in.get(id_.partition(".")[0]))


SITE = Site(
    name="sge",
    recipe=lambda _spec: ImageRecipe("sge"),
    settings=_settings,
    ready=lambda spec: _READY.format(nodes=spec.nodes),
    jobs=_jobs,
    # There is none of a waiting job that was deleted.
    history=history_of(_records),
    needs_hosts=True,
    breakdown=Breakdown(
        stop="pkill -TERM -x sge_qmaster; while pgrep -x sge_qmaster > /dev/null; do sleep 0.02; done",
        go_on=_GO_ON,
        commands=_COMMANDS,
        reject=lambda message: (
            f'if [ "$name" = qsub ]; then {said(f"Unable to run job: {message}", "Exiting.", code=1)}; fi\n'
        ),
        unreachable=said("error: commlib error: got select error (Connection refused)", f"error: {_SILENT}", code=1),
        refusals={
            "scheduler.forget": "the real Grid Engine does what it does",
            "job.preempt": "Grid Engine preempts for the sake of another queue, which would have to be subordinated",
            "job.oom": "Grid Engine limits the memory that a job really takes",
            "job.timeout": "Grid Engine ends a job when its time is really over",
        },
    ),
)
