"""Every recorded command of OpenPBS 23.06.06, typed again on an emulated cluster."""

import difflib

import pytest
from conformance.pbs_differences import DIFFERENT, NOT_REPLAYED, OTHER_RECORDS, UNRECORDED
from conformance.pbs_replay import RECORDED, SESSIONS, entries, play


@pytest.mark.timeout(900)
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: f"{session[0]} to {session[-1]}")
def test_recorded_commands_are_answered_as_they_were(session):
    wrong = [played for played in play(session) if not played.agrees and played.place not in DIFFERENT]
    assert not wrong, "\n\n".join(described(played) for played in wrong)


def test_each_file_is_replayed_or_listed():
    replayed = {name for session in SESSIONS for name in session}
    assert {path.stem for path in RECORDED.glob("*.txt")} == replayed | set(OTHER_RECORDS)


@pytest.mark.parametrize(
    "table", [DIFFERENT, NOT_REPLAYED, UNRECORDED], ids=["different", "not replayed", "unrecorded"]
)
def test_the_tables_name_entries_that_there_are(table):
    places = {place for session in SESSIONS for name in session for place, _ in entries(name)}
    assert set(table) <= places


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
