"""One set of scenarios on emulated and real Slurm: they agree, but for the differences in known.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance.comparing import differences, judge, table
from conformance.normalising import RULES
from conformance.scenarios import SCENARIOS
from conformance.sites import RECORDED, load, play

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


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
def test_emulated_slurm_answers_as_the_recorded_one():
    real = load(RECORDED)
    found = differences(real, play("emulated", SCENARIOS))
    if complaint := judge(found, real):
        pytest.fail(complaint, pytrace=False)
    assert PAGE.read_text(encoding="utf-8") == table(real, found), "write it anew: nox -s conformance -- --table"


@pytest.mark.real_world
@pytest.mark.timeout(900)
def test_real_slurm_in_containers_answers_as_it_was_recorded():
    found = differences(load(RECORDED), play("docker", SCENARIOS))
    if found:
        pytest.fail("\n\n".join(map(str, found)), pytrace=False)
