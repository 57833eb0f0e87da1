"""PBS in containers: `docker/pbs` on a base with OpenPBS, which SIMCLUSTER_PBS_BASE names; without one the emulated PBS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simcluster.docker.recipe import ImageRecipe
from simcluster.docker.schedulers.emulated_pbs import emulated
from simcluster.docker.schedulers.pbs_records import directories, jobs
from simcluster.docker.schedulers.site import Breakdown, Root, Site, as_jobs, history_of, said

if TYPE_CHECKING:
    from simcluster.cluster import Job
    from simcluster.spec import ClusterSpec

__all__ = ["PBS_BASE", "SITE"]

PBS_BASE = "SIMCLUSTER_PBS_BASE"
"""The variable that names an image with an installed OpenPBS under /opt/pbs."""

_QSTAT = ["qstat", "-x", "-f", "-t", "-F", "json"]
_READY = 'until [ "$(pbsnodes -a 2> /dev/null | grep -c "state = free")" = {nodes} ]; do sleep 0.1; done\n'
# With the system's libpython, and not the cluster's own of the same version.
_GO_ON = """\
LD_LIBRARY_PATH=/usr/lib/$(uname -m)-linux-gnu /opt/pbs/sbin/pbs_server
for _ in {1..600}; do qstat -B > /dev/null 2>&1 && exit; sleep 0.1; done; exit 1
"""
_COMMANDS = ("qsub", "qstat", "qdel", "qhold", "qrls", "qrerun", "qsig", "qselect", "qalter", "qmove", "pbsnodes")


def _settings(spec: ClusterSpec) -> dict[str, str]:
    resources = {"ncpus": spec.cpus_per_node, "mem": f"{spec.memory_mb}mb"}
    if spec.gpus_per_node:
        resources["ngpus"] = spec.gpus_per_node
    commands = [
        "set server job_history_enable=True",
        "set server flatuid=True",
        "set server scheduler_iteration=1",
        "set server node_fail_requeue=5",
    ]
    if spec.gpus_per_node:
        commands.insert(0, "create resource ngpus type=long,flag=nh")
    for queue in spec.partitions:
        commands += _queue(queue.name, is_new=queue.name != "workq")
        is_started, is_enabled = queue.state in {"UP", "DRAIN"}, queue.state in {"UP", "DOWN"}
        commands.append(f"set queue {queue.name} started={is_started},enabled={is_enabled}")
        if queue.max_seconds is not None:
            commands.append(f"set queue {queue.name} resources_max.walltime={queue.max_seconds}")
        if queue.max_cpus is not None:
            commands.append(f"set queue {queue.name} resources_max.ncpus={queue.max_cpus}")
        # A node of several queues is nobody's: PBS ties a node to one.
        commands += [f"set node {node} queue={queue.name}" for node in queue.nodes or ()]
    return {
        "resources": "".join(f"resources_available.{name}={value}\n" for name, value in resources.items()),
        "commands": "\n".join([*commands, ""]),
    }


def _queue(name: str, *, is_new: bool) -> list[str]:
    return [f"create queue {name} queue_type=execution"] if is_new else []


def _jobs(_spec: ClusterSpec, root: Root) -> list[Job]:
    listed = root(_QSTAT)
    return as_jobs(jobs(listed), directories(listed).get)


_REAL = Site(
    name="pbs",
    recipe=lambda _spec: ImageRecipe("pbs", pbs_base=os.environ[PBS_BASE]),
    settings=_settings,
    ready=lambda spec: _READY.format(nodes=spec.nodes),
    jobs=_jobs,
    # Of a job's runs PBS knows the last one.
    history=history_of(lambda root: jobs(root(_QSTAT))),
    needs_hosts=True,
    breakdown=Breakdown(
        stop="qterm -t quick; while pgrep -x pbs_server.bin > /dev/null; do sleep 0.05; done",
        go_on=_GO_ON,
        commands=_COMMANDS,
        reject=lambda message: f'if [ "$name" = qsub ]; then {said(f"qsub: {message}", code=1)}; fi\n',
        unreachable='echo "Connection refused" >&2; echo "$name: cannot connect to server login (errno=15010)" >&2; exit 162',
        refusals={
            "scheduler.forget": "the real PBS does what it does",
            "job.preempt": "PBS preempts for the sake of an express queue, of which there is none here",
            "job.oom": "PBS does not look at memory here: that takes cgroups",
            "job.timeout": "PBS ends a job when its time is really over",
        },
    ),
)

SITE = _REAL if os.environ.get(PBS_BASE) else emulated(_REAL)
