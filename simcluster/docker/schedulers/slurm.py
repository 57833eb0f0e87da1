"""Slurm in containers: `docker/slurm`."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING

from simcluster.docker.recipe import ImageRecipe
from simcluster.docker.schedulers.site import Breakdown, Root, Site
from simcluster.slurm import conf
from simcluster.slurm.conf import render_conf_files
from simcluster.slurm.history import parse_history, parse_nodes
from simcluster.slurm.jobs import parse_jobs
from simcluster.slurm.words import COMMANDS, UNREACHABLE, reject

if TYPE_CHECKING:
    from simcluster.cluster import Job
    from simcluster.history import JobHistory, NodeHistory
    from simcluster.spec import ClusterSpec

__all__ = ["SITE", "image_recipe"]

_BASES = {"22.05": "debian:bookworm-slim", "24.11": "debian:trixie-slim"}
_SHOW_JOBS = ["scontrol", "--all", "--oneliner", "show", "job"]
_CONTAINER_ZONE = timezone.utc

# Slurm's commands sleep for a second when the controller does not listen yet, so its port is asked first.
_READY = """\
until (: > /dev/tcp/login/6817) 2>/dev/null; do
    sleep 0.02
done
until [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | sort -u | wc -l)" = {nodes} ]; do
    sleep 0.02
done
"""
_ACCOUNTING_READY = """\
until sacct --allocations --noheader >/dev/null 2>&1; do
    sleep 0.02
done
"""
# It logs where it did before.
_GO_ON = """\
(exec setsid setpriv --reuid=slurm --regid=slurm --init-groups /usr/sbin/slurmctld -D < /dev/null > /proc/1/fd/1 2>&1) &
for _ in {1..1000}; do (: > /dev/tcp/login/6817) && exit; sleep 0.02; done 2> /dev/null; exit 1
"""
_REAL = "the real Slurm does what it does"


def image_recipe(spec: ClusterSpec) -> ImageRecipe:
    """The image that such a cluster runs on."""
    return ImageRecipe(base=_BASES[_site(spec).version], accounting=bool(spec.accounting))


def _settings(spec: ClusterSpec) -> dict[str, str]:
    return {**render_conf_files(spec, _site(spec)), "munge.key": secrets.token_hex(64)}


def _ready(spec: ClusterSpec) -> str:
    return _READY.format(nodes=spec.nodes) + (_ACCOUNTING_READY if spec.accounting else "")


def _jobs(spec: ClusterSpec, root: Root) -> list[Job]:
    log = root(["cat", _site(spec).completion_log])
    return parse_jobs(log, root(_SHOW_JOBS))


def _history(spec: ClusterSpec, root: Root, login_log: str) -> tuple[tuple[NodeHistory, ...], tuple[JobHistory, ...]]:
    """As far as Slurm remembers it: see `simcluster.slurm.history`."""
    completed, shown = root(["cat", _site(spec).completion_log]), root(_SHOW_JOBS)
    return (
        parse_nodes(spec, login_log),
        parse_history(completed, shown, _CONTAINER_ZONE, controller_log=login_log),
    )


def _site(spec: ClusterSpec) -> conf.Site:
    site = conf.Site(version=spec.version or min(_BASES))
    # 24.11's slurmd would log in by a clone(2) that a container forbids, and end: entrypoint.sh has written down a login.
    return site if site.is_old else replace(site, settings=(*site.settings, "GetEnvTimeout=0"))


SITE = Site(
    name="slurm",
    recipe=image_recipe,
    settings=_settings,
    login_arguments=lambda spec: ["accounting"] if spec.accounting else [],
    ready=_ready,
    jobs=_jobs,
    history=_history,
    # Without it slurmstepd can't read its job's memory, and limits would silently not be enforced.
    node_capabilities=("SYS_PTRACE",),
    breakdown=Breakdown(
        stop="pkill -TERM -x slurmctld; while pgrep -x slurmctld > /dev/null; do sleep 0.02; done",
        go_on=_GO_ON,
        commands=COMMANDS,
        reject=reject,
        unreachable=UNREACHABLE,
        timeout=lambda job: f"scontrol update JobId={shlex.quote(job)} EndTime=now",
        refusals={
            "scheduler.forget": _REAL,
            "job.preempt": "Slurm preempts for the sake of a better partition or QOS, of which there is none here",
            "job.oom": "slurmd looks at the memory that a job really takes",
        },
    ),
)
