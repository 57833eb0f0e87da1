"""Which cluster a test wants: what its marker says, and for the rest the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simcluster.errors import SpecError
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

__all__ = ["Wish", "wish_of"]


@dataclass(frozen=True)
class Wish:
    """A cluster, and whether the test wants it alone from its begin."""

    spec: ClusterSpec
    alone: bool


def wish_of(item: pytest.Item, *, scheduler: str | None = None, fallback: str | None = None) -> Wish:
    """What the test wants; `scheduler` is the fixture's, which its marker may name too, `fallback` comes after it.

    Of several markers each adds to those further out: function, class, module.
    """
    options = item.config.option
    settings: dict[str, Any] = {"scheduler": fallback or "slurm"}
    if options.simcluster_backend:
        settings["backend"] = options.simcluster_backend
    if options.simcluster_pythons:
        settings["pythons"] = options.simcluster_pythons.split(",")
    marked: str | None = None
    for mark in reversed(list(item.iter_markers("simcluster"))):
        settings |= {**_named(mark.args), **mark.kwargs}
        marked = settings["scheduler"] if mark.args or "scheduler" in mark.kwargs else marked
    if scheduler:
        if marked not in {None, scheduler}:
            raise SpecError(
                f"the marker names {marked!r} and the fixture gives {scheduler!r}: let the marker name no scheduler,"
                " or take sim_cluster"
            )
        settings["scheduler"] = scheduler
    alone = settings.pop("exclusive", False)
    return Wish(ClusterSpec.from_dict(settings), bool(alone))


def _named(arguments: Iterable[Any]) -> dict[str, Any]:
    match tuple(arguments):
        case ():
            return {}
        case (str(scheduler),):
            return {"scheduler": scheduler}
    raise SpecError(f"@pytest.mark.simcluster takes one scheduler and settings by name, not {arguments}")
