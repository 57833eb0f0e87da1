"""Every recorded command of OpenPBS 23.06.06, typed again on an emulated cluster."""

import difflib

import pytest
from conformance.pbs_differences import DIFFERENT
from conformance.pbs_replay import SESSIONS, play


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: f"{session[0]} to {session[-1]}")
def test_recorded_commands_are_answered_as_they_were(session):
    wrong = [played for played in play(session) if not played.agrees and played.place not in DIFFERENT]
    assert not wrong, "\n\n".join(described(played) for played in wrong)


def described(played):
    pairs = ((played.recorded.stdout, played.answered.stdout), (played.recorded.stderr, played.answered.stderr))
    lines = [f"--- {played.place} $ {played.recorded.command}"]
    for recorded, answered in pairs:
        lines += difflib.unified_diff(
            recorded.splitlines(), answered.splitlines(), "recorded", "answered", "", "", 0, ""
        )
    if played.recorded.code != played.answered.code:
        lines.append(f"exit {played.answered.code} instead of {played.recorded.code}")
    return "\n".join(lines)
