"""simcluster's own PBS in containers, where there is no real one: `docker/emulated-pbs`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.docker.recipe import EMULATED_PBS, ImageRecipe

if TYPE_CHECKING:
    from simcluster.docker.schedulers.site import Site
    from simcluster.spec import ClusterSpec

__all__ = ["emulated"]

_CONTAINED = "setpriv --reuid=alice --regid=alice --init-groups /opt/simcluster/bin/contained"
_REFUSED = ("scheduler.forget", "job.preempt", "job.oom", "job.timeout")


def emulated(real: Site) -> Site:
    """The same for the emulated one, which answers the same commands."""
    breakdown = replace(
        real.breakdown,
        stop=f"{_CONTAINED} down",
        go_on=f"{_CONTAINED} up",
        refusals=dict.fromkeys(_REFUSED, 'in containers the emulated PBS has it not; backend="emulated" has'),
    )
    return replace(
        real,
        name=EMULATED_PBS,
        recipe=lambda _spec: ImageRecipe(EMULATED_PBS),
        settings=lambda spec: {"spec.json": json.dumps(_without_backend(spec))},
        breakdown=breakdown,
        needs_hosts=False,
    )


def _without_backend(spec: ClusterSpec) -> dict[str, object]:
    return {**spec.to_dict(), "backend": "emulated", "internet": True}
