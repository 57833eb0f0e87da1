"""Tests on one cluster keep out of each other's way, in one process and in xdist's workers."""

import threading

import pytest

from simcluster.cluster import Job
from simcluster.errors import SimclusterError
from simcluster.pytest_plugin.floor import Floor
from simcluster.pytest_plugin.traces import own_jobs
from simcluster.pytest_plugin.visits import Visit

HOME = "/home/alice/simcluster-tests"


def job(number, directory):
    return Job(number, "x", "RUNNING", None, None, None, None, None, directory)


def visit(name, *before):
    return Visit(name, None, f"{HOME}/{name}", frozenset(before))


def own(jobs, one, *others):
    return [job.id for job in own_jobs(jobs, one, others)]


def test_a_job_belongs_to_the_test_in_whose_work_directory_it_is():
    jobs = [job("1", f"{HOME}/a"), job("2", f"{HOME}/a/deep"), job("3", f"{HOME}/ab"), job("4", f"{HOME}/b")]
    assert own(jobs, visit("a")) == ["1", "2"]
    assert own(jobs, visit("a"), visit("b")) == ["1", "2"]


def test_a_job_from_elsewhere_belongs_to_the_only_test_there_was():
    jobs = [job("1", "/home/alice"), job("2_1", "/home/alice"), job("2_[2-9]", "/home/alice"), job("3.pbs", None)]
    assert own(jobs, visit("a", "1")) == ["2_1", "2_[2-9]", "3.pbs"]
    assert own(jobs, visit("a", "2")) == ["1", "3.pbs"]


def test_a_job_from_elsewhere_that_may_be_of_another_test_is_left_to_it():
    jobs = [job("1", "/tmp"), job("2", "/tmp")]
    first, second = visit("a"), visit("b", "1")
    assert own(jobs, first, second) == ["1"]
    assert own(jobs, second, first) == []
    assert own(jobs, second) == ["2"]


def soon(function, *arguments, **named):
    """Run it in a thread; what tells whether it is done."""
    done = threading.Event()

    def run():
        function(*arguments, **named)
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done


def waits(floor, test):
    """Wait until the test waits."""
    for _ in range(10_000):
        with floor._changed:
            if test in floor._waits:
                return
        threading.Event().wait(0.001)
    raise AssertionError(f"{test} does not wait")


def test_who_wants_a_cluster_alone_waits_for_the_others_and_keeps_new_ones_out():
    floor = Floor()
    floor.enter("c", "first", alone=False)
    breaks = soon(floor.enter, "c", "breaks", alone=True)
    waits(floor, "breaks")
    late = soon(floor.enter, "c", "late", alone=False)
    waits(floor, "late")
    floor.leave("c", "first")
    assert breaks.wait(30)
    assert not late.is_set()
    floor.leave("c", "breaks")
    assert late.wait(30)


def test_who_is_on_a_cluster_is_let_onto_others_and_onto_it_again():
    floor = Floor()
    floor.enter("c", "first", alone=False)
    breaks = soon(floor.enter, "c", "breaks", alone=True)
    waits(floor, "breaks")
    floor.enter("c", "first", alone=False)
    floor.stay_alone("c", "first")
    for _ in range(2):
        assert not breaks.is_set()
        floor.leave("c", "first")
    assert breaks.wait(30)


def test_tests_that_would_wait_for_each_other_for_ever_get_an_error():
    floor = Floor()
    floor.enter("c", "one", alone=False)
    floor.enter("c", "two", alone=False)
    alone = soon(floor.stay_alone, "c", "one")
    waits(floor, "one")
    with pytest.raises(SimclusterError, match=r"two and one wait for each other.*exclusive=True"):
        floor.stay_alone("c", "two")
    floor.leave("c", "two")
    assert alone.wait(30)


def test_a_circle_over_two_clusters_is_seen_too():
    floor = Floor()
    floor.enter("c", "one", alone=True)
    floor.enter("d", "two", alone=True)
    entered = soon(floor.enter, "d", "one", alone=True)
    waits(floor, "one")
    with pytest.raises(SimclusterError, match="wait for each other"):
        floor.enter("c", "two", alone=False)
    floor.leave("d", "two")
    assert entered.wait(30)
