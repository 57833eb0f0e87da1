"""A host without a scheduler: `docker/host`."""

from __future__ import annotations

from simcluster.docker.recipe import HOST, ImageRecipe
from simcluster.docker.schedulers.site import Breakdown, Site

__all__ = ["SITE"]

_NONE = "this host has no scheduler"

SITE = Site(
    name="ssh",
    recipe=lambda _spec: ImageRecipe(HOST),
    settings=lambda _spec: {},
    ready=lambda _spec: "",
    jobs=lambda _spec, _root: [],
    history=lambda _spec, _root, _log: ((), ()),
    breakdown=Breakdown(
        refusals=dict.fromkeys(
            (
                "scheduler.down",
                "scheduler.slow",
                "scheduler.reject_submits",
                "scheduler.flaky",
                "scheduler.forget",
                "job.preempt",
                "job.oom",
                "job.timeout",
            ),
            _NONE,
        )
    ),
)
