"""Hostlists, times and option tables of the emulated Slurm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcluster.emulated.arrays import in_ranges
from simcluster.emulated.slurm.hostlists import compress, expand
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.times import long_limit_text, parse_limit


@given(st.lists(st.integers(0, 300), unique=True, min_size=1))
def test_a_hostlist_expands_to_what_was_compressed(numbers):
    names = [f"node{number}" for number in sorted(numbers)]
    assert expand(compress(names)) == names


@given(st.sets(st.integers(0, 300)))
def test_ranges_name_every_number(numbers):
    text = in_ranges(sorted(numbers))
    assert set(map(int, (name.removeprefix("n") for name in expand(f"n[{text}]")))) == numbers if text else not numbers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5", "00:05:00"),
        ("5:30", "00:06:00"),
        ("1:05:30", "01:06:00"),
        ("1-2", "1-02:00:00"),
        ("1-2:3", "1-02:03:00"),
        ("0-1:2:3", "01:03:00"),
        ("-5", "2982611-04:17:00"),
    ],
)
def test_time_limits_are_whole_minutes(text, shown):
    assert long_limit_text(parse_limit(text)) == shown


@pytest.mark.parametrize("text", ["30s", "1h", "abc", ""])
def test_what_is_no_time_limit(text):
    assert parse_limit(text) is None


def test_options_are_read_as_getopt_does():
    options = table("x", flags="hold/H", valued="time/t time-min", refused="tmp=")
    assert options.parse(["-Ht5", "rest", "--time-m=1"]).options == (("hold", ""), ("time", "5"), ("time-min", "1"))
    assert options.parse(["--", "-t"]).rest == ("-t",)


def test_a_real_option_that_is_not_emulated_is_refused_and_logged(caplog):
    with pytest.raises(UsageError, match="unrecognized option '--tmp=1G'"):
        table("x", refused="tmp=").parse(["--tmp=1G"])
    assert "x --tmp" in caplog.text
