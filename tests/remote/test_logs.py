"""What is read of a job's logs for somebody who follows it."""

import os

import pytest
from clustrix_remote import logs
from clustrix_remote.paths import JobPaths


@pytest.fixture
def job(tmp_path):
    (tmp_path / "log").mkdir()
    return JobPaths(str(tmp_path))


def write(job, name, content):
    with open(job.file("log", name), "ab") as stream:
        stream.write(content)


def test_nothing_is_news_of_a_job_that_has_no_log_or_is_gone(job, tmp_path):
    assert logs.news(job, {}, True) == ([], b"")
    assert logs.news(JobPaths(str(tmp_path / "gone")), {}, True) == ([], b"")


def test_only_what_lies_behind_the_offsets_is_read(job):
    write(job, "stdout", b"one")
    write(job, "stderr", b"oops")
    parts, body = logs.news(job, {"stdout": 1}, False)
    assert [(part["name"], part["offset"], part["size"], part["left_out"]) for part in parts] == [
        ("stderr", 4, 4, 0),
        ("stdout", 3, 2, 0),
    ]
    assert body == b"oopsne"
    assert logs.news(job, {"stdout": 3, "stderr": 4}, True) == ([], b"")
    assert sorted(os.listdir(job.file("log"))) == ["stderr", "stdout"]


def test_a_backlog_is_cut_to_its_end_at_the_begin_of_a_line(job):
    lines = [b"%09d\n" % number for number in range(logs.LONGEST_BACKLOG // 10 + 2)]
    write(job, "stdout", b"".join(lines))
    (part,), body = logs.news(job, {}, False)
    assert part["left_out"] % 10 == 0
    assert logs.KEPT_OF_BACKLOG - 10 <= len(lines) * 10 - part["left_out"] <= logs.KEPT_OF_BACKLOG
    assert len(body) == part["size"] == logs.LARGEST_NEWS
    assert body.startswith(lines[part["left_out"] // 10])
    assert part["offset"] == part["left_out"] + part["size"]


def test_a_line_longer_than_what_is_kept_is_cut_anywhere(job):
    write(job, "stdout", b"x" * (logs.LONGEST_BACKLOG + 1))
    (part,), body = logs.news(job, {}, False)
    assert part["left_out"] == logs.LONGEST_BACKLOG + 1 - logs.KEPT_OF_BACKLOG
    assert body == b"x" * logs.LARGEST_NEWS


def test_of_many_elements_the_one_that_was_read_least_comes_first(job):
    for element in range(3):
        write(job, "stdout.%d" % element, b"x" * logs.LARGEST_NEWS)
    offsets = {}
    for element in range(3):
        (part,), _ = logs.news(job, offsets, False)
        assert part["name"] == "stdout.%d" % element
        offsets[part["name"]] = part["offset"]
