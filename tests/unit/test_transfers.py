"""Of large messages the user hears how far they are."""

from clustrix.connection.transfers import LEAST_TOLD, MIB, Transfer


def told(total, part=MIB):
    lines = []
    transfer = Transfer("sending", lines.append)
    for done in range(part, total + part, part):
        transfer(min(done, total), total)
    return lines


def test_nothing_is_said_of_what_is_quick():
    assert told(LEAST_TOLD - 1) == []


def test_a_large_message_is_told_in_steps_to_its_end():
    assert told(100 * MIB) == [f"sending {done} of 100 MB" for done in (16, 32, 48, 64, 80, 96, 100)]


def test_a_very_large_message_is_told_in_ten_lines_or_eleven():
    assert 10 <= len(told(100_000 * MIB + 7)) <= 11
    assert told(100_000 * MIB)[-1] == "sending 100000 of 100000 MB"
