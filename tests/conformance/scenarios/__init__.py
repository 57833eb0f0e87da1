"""All scenarios that are played on every Slurm cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.scenarios import (
    arrays,
    asking,
    cancelling,
    controlling,
    dependencies,
    ends,
    losses,
    options,
    refusals,
    submitting,
)
from conformance.scenarios import steps as job_steps

if TYPE_CHECKING:
    from conformance.stage import Scenario

__all__ = ["SCENARIOS"]

_ROOMS = (
    ends,  # time limits take a minute
    submitting,
    options,
    refusals,
    arrays,
    dependencies,
    cancelling,
    controlling,
    asking,
    job_steps,
    losses,
)

SCENARIOS: tuple[Scenario, ...] = tuple(scenario for room in _ROOMS for scenario in room.SCENARIOS)
