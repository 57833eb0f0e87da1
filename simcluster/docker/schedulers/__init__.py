"""What a cluster in containers has of its scheduler: one module each, with a `SITE`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from simcluster.docker.schedulers.site import Site
    from simcluster.spec import ClusterSpec

__all__ = ["site_of"]


def site_of(spec: ClusterSpec) -> Site:
    """The site of the spec's scheduler."""
    return cast("Site", import_module(f"{__name__}.{spec.scheduler}").SITE)
