"""One set of scenarios on emulated, native and containers' Slurm: they agree, but for the differences in known.py."""

from __future__ import annotations

import os

import pytest
from conformance.comparing import SIDES, differences
from conformance.normalising import RULES
from conformance.scenarios import SCENARIOS
from conformance.sites import RECORDED, compare, load, page_of, play_real

from simcluster.errors import BackendUnavailableError


def test_there_are_120_scenarios_and_at_most_10_rules():
    assert len({scenario.directory for scenario in SCENARIOS}) == len(SCENARIOS) >= 120
    assert len(RULES) <= 10


def test_every_scenario_was_recorded_as_it_is_now():
    recorded = load(RECORDED)
    assert recorded.keys() == {scenario.name for scenario in SCENARIOS}
    for scenario in SCENARIOS:
        commands = [entry.command for entry in recorded[scenario.name]]
        assert commands == [step.label for step in scenario.steps], scenario.name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)
def test_slurm_answers_as_the_recorded_one(side):
    try:
        complaint, page = compare(side)
    except BackendUnavailableError as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    if complaint:
        pytest.fail(complaint, pytrace=False)
    assert page_of(side).read_text(encoding="utf-8") == page, (
        f"write it anew: nox -s conformance -- --table {side.backend}"
    )


@pytest.mark.real_world
@pytest.mark.timeout(900)
def test_slurm_in_containers_answers_as_it_was_recorded():
    recorded = load(RECORDED)
    found = differences(recorded, play_real("docker", recorded))
    if found:
        pytest.fail("\n\n".join(map(str, found)), pytrace=False)
