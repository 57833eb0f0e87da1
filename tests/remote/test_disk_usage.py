"""Measuring a large tree: whoever helps, and however that ends, the answer is the same."""

import os
import select
import signal

import pytest
from clustrix_remote import disk_usage as measured
from clustrix_remote.disk_usage import disk_usage
from clustrix_remote.measuring import measure

DIRECTORIES = 120


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """More entries than are measured alone: files of their own, names of shared ones in every directory, and links."""
    top = tmp_path_factory.mktemp("tree")
    shared = [top / ("shared%d" % number) for number in range(4)]
    for path in shared:
        path.write_bytes(b"x" * 1000)
    for number in range(DIRECTORIES):
        directory = top / ("%d" % (number // 10)) / ("%d" % (number % 10))
        directory.mkdir(parents=True)
        (directory / "own").write_bytes(b"x" * number)
        (directory / "link").symlink_to("own")
        for name in range(80):
            os.link(str(shared[name % 4]), str(directory / ("%d" % name)))
    return os.fsencode(str(top))


EXPECTED = (4 * 1000 + sum(range(DIRECTORIES)), 4 + DIRECTORIES, [])


@pytest.fixture
def crew():
    """Helpers who are there and wait to be handed something."""
    with measured._crew(2) as helpers:
        poll = select.poll()
        for helper in helpers:
            poll.register(helper.number, select.POLLIN)
            assert poll.poll(60000)
            poll.unregister(helper.number)
        yield helpers


def together(top, crew, on_error="raise"):
    usage, waiting = measured._Usage(top, on_error), [top]
    measured._measure_together(waiting, usage, crew)
    return usage.total, usage.count, sorted(usage.skipped.paths)


def test_a_large_tree_is_measured_as_one_process_measures_it(tree):
    assert disk_usage(tree, "raise", helpers=0) == disk_usage(tree, "raise", helpers=2) == EXPECTED
    assert disk_usage(tree, "raise") == EXPECTED


def test_a_helper_finds_what_is_found_here_and_gives_back_what_it_did_not_come_to(tree, crew):
    helper = crew[0]
    assert helper.answer() == (measure([], 0), [])
    helper.give([tree])
    sums, left = helper.answer()
    waiting = [tree]
    assert (sums, left) == (measure(waiting, measured.HANDED), waiting)
    assert left


def test_names_of_one_file_count_once_whoever_meets_them(tree, crew):
    assert together(tree, crew) == EXPECTED


def test_what_a_helper_had_that_died_is_measured_here(tree, crew):
    os.kill(crew[0]._process.pid, signal.SIGKILL)  # after it said that it is there
    assert together(tree, crew) == EXPECTED


def test_what_a_helper_cant_read_is_raised_or_skipped_here(tree, crew):
    """A name that is longer than any may be is no directory that vanished, for root neither."""
    strange, vanished = os.path.join(tree, b"x" * 300), os.path.join(tree, b"vanished")
    crew[0].answer()
    crew[0].give([vanished, strange])
    sums, _ = crew[0].answer()
    with pytest.raises(OSError, match="File name too long") as caught:
        measured._Usage(tree, "raise").add(sums)
    assert caught.value.filename == strange
    usage = measured._Usage(tree, "skip")
    usage.add(sums)
    assert usage.skipped.paths == [os.fsdecode(strange)]
