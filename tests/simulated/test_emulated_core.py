"""The emulated scheduler's core, with a clock that the test moves."""

from __future__ import annotations

import pytest

from simcluster.emulated.conditions import Condition, Dependency
from simcluster.emulated.core import Core
from simcluster.emulated.interface import Machine, Partition, Request, Settings, State
from simcluster.emulated.jobs import StepRequest, Target
from simcluster.emulated.refusals import RefusedError


class Clock:
    now = 1000.0

    def time(self):
        return self.now


class Launcher:
    def __init__(self):
        self.launched, self.signals = [], []

    def launch(self, job):
        self.launched.append(job)

    def signal(self, job, number, everything):
        self.signals.append(number)

    def signal_step(self, job, step, number):
        self.signals.append((step.number, number))

    def read_script(self, path, cwd):
        raise FileNotFoundError(path)


class Plain:
    def job_id(self, job):
        return str(job.id)

    def environment(self, job):
        return dict(job.request.environment)

    def path(self, pattern, job):
        return pattern

    def notice(self, job, what, why):
        return ""


class Site:
    def __init__(self, nodes=2, cpus=4, gpus=0, **settings):
        self.clock, self.launcher = Clock(), Launcher()
        self.core = Core(
            [Machine(f"node{number}", cpus, 1000 * cpus, gpus) for number in range(1, nodes + 1)],
            [Partition("debug", is_default=True, max_time=7200)],
            cluster_name="cluster",
            clock=self.clock,
            launcher=self.launcher,
            accounting=True,
            settings=Settings(**settings),
        )

    def submit(self, **fields):
        request = {"name": "job", "user": "user", "script": b"#!/bin/sh\n", "cwd": "/", "dialect": Plain(), **fields}
        return self.core.submit(Request(**request))

    def at(self, seconds):
        self.clock.now = 1000.0 + seconds
        return self.core.tick()

    def drain(self):
        """Go from one event to the next until nothing runs."""
        while self.core.running:
            self.clock.now = self.core.tick() or self.clock.now


def after(kind, job, **more):
    return Dependency((Condition(kind, job.array_id or job.id, **more),))


def test_a_job_takes_the_first_node_that_has_room():
    site = Site()
    jobs = [site.submit(tasks=3), site.submit(tasks=2), site.submit()]
    assert [job.nodes for job in jobs] == [("node1",), ("node2",), ("node1",)]


def test_tasks_are_spread_where_no_node_has_room_for_all():
    job = Site().submit(tasks=6)
    assert (job.nodes, job.cpus_by_node) == (("node1", "node2"), (4, 2))


def test_gpus_and_memory_are_counted():
    site = Site(gpus=1)
    assert site.submit(gpus=1).nodes == ("node1",)
    assert site.submit(gpus=1, memory_mb=4000).nodes == ("node2",)
    assert site.submit(gpus=1).state is State.PENDING
    assert site.submit(memory_mb=3500).state is State.PENDING


def test_what_could_never_run_is_refused():
    with pytest.raises(RefusedError):
        Site().submit(cpus_per_task=5)


def test_a_short_job_may_pass_one_that_waits_and_a_long_one_may_not():
    site = Site()
    site.submit(tasks=3, time_limit=600)
    first = site.submit(min_nodes=2, tasks=8, time_limit=600)
    assert (first.state, first.reason) == (State.PENDING, "Resources")
    assert site.submit(time_limit=600).state is State.RUNNING
    late = site.submit(time_limit=1200)
    assert (late.state, late.reason) == (State.PENDING, "Priority")


def test_the_time_limit_is_term_and_then_kill():
    site = Site()
    job = site.submit(time_limit=60)
    site.at(60)
    assert (job.state, job.is_completing, site.launcher.signals[0]) == (State.TIMEOUT, True, 15)
    site.at(90)
    assert site.launcher.signals[-1] == 9
    site.core.ended(job, None, 9)
    assert job.has_ended


def test_a_job_that_is_cancelled_and_could_not_even_start_gives_its_node_back():
    site = Site()
    job = site.submit(tasks=4)
    site.core.cancel(job, "user")
    assert job.is_completing
    site.core.launch_failed(job)
    assert (job.state, job.has_ended) == (State.CANCELLED, True)
    assert site.submit(tasks=4).nodes == job.nodes


@pytest.mark.parametrize(("target", "signals"), [(Target.SCRIPT, [10]), (Target.STEPS, [(0, 10)])])
def test_before_its_limit_the_script_or_the_steps_are_warned_and_never_both(target, signals):
    site = Site()
    job = site.submit(time_limit=60, warning=(10, 40, target))
    site.core.create_step(job, StepRequest("step", 1))
    site.at(19)
    assert site.launcher.signals == []
    site.at(20)
    assert site.launcher.signals == signals


def test_dependencies_decide():
    site = Site()
    good, bad = site.submit(), site.submit()
    kinds = ("afterok", "afternotok", "afterany")
    waiting = [site.submit(dependency=after(kind, job)) for job in (good, bad) for kind in kinds]
    assert {job.reason for job in waiting} == {"Dependency"}
    site.core.ended(good, 0, None)
    site.core.ended(bad, 1, None)
    assert [job.state is State.RUNNING for job in waiting] == [True, False, True, False, True, True]
    assert waiting[3].reason == "DependencyNeverSatisfied"


def test_singletons_run_one_after_the_other():
    site = Site()
    first = site.submit()
    second = site.submit(dependency=Dependency((Condition("singleton"),)))
    assert second.state is State.PENDING
    site.core.ended(first, 0, None)
    assert second.state is State.RUNNING


def test_a_lost_node_fails_its_jobs_or_puts_them_back():
    site = Site()
    fails, returns = site.submit(is_requeueable=False), site.submit()
    site.core.node_down("node1")
    assert (fails.state, fails.reason) == (State.NODE_FAIL, "NodeDown")
    assert (returns.state, returns.reason, returns.restarts) == (State.PENDING, "BeginTime", 1)
    site.at(120)
    assert (returns.state, returns.nodes) == (State.RUNNING, ("node2",))


def test_news_of_an_earlier_run_are_passed_over():
    site = Site()
    job = site.submit()
    site.core.node_down("node1")
    site.at(120)
    site.core.ended(job, 0, None, restart=0)
    assert job.state is State.RUNNING


def test_a_requeued_job_starts_again_after_a_while():
    site = Site()
    job = site.submit()
    site.core.requeue(job)
    site.core.ended(job, None, 15)
    assert (job.state, job.reason) == (State.PENDING, "BeginTime")
    site.at(120)
    assert (job.state, len(site.launcher.launched)) == (State.RUNNING, 2)


def test_memory_over_the_limit_ends_the_job():
    site = Site()
    job = site.submit()
    site.core.over_memory(job)
    site.core.ended(job, None, 9)
    assert (job.state, job.exit_code, job.signal) == (State.OUT_OF_MEMORY, 0, 125)


def test_an_ended_job_is_forgotten_after_a_while_but_not_by_accounting():
    site = Site(min_job_age=300)
    job = site.submit()
    site.core.ended(job, 0, None)
    site.at(299)
    assert site.core.find(job.id) == [job]
    site.at(300)
    assert site.core.find(job.id) == []
    assert site.core.jobs == [job]


def test_a_virtual_load_is_drained_without_processes():
    site = Site(nodes=100)
    site.submit(array=tuple(range(1000)), virtual_seconds=10)
    site.submit(array=tuple(range(500)), array_limit=7, virtual_seconds=3, tasks=2)
    site.drain()
    assert {job.state for job in site.core.jobs} == {State.COMPLETED}
    assert site.launcher.launched == []
    assert all(node.free_cpus == 4 and not node.jobs for node in site.core.nodes.all)


def test_a_contiguous_job_waits_for_nodes_next_to_each_other():
    site = Site(nodes=4)
    between = site.submit(tasks=4, nodelist=("node2",))
    job = site.submit(tasks=8, min_nodes=2, is_contiguous=True)
    assert job.nodes == ("node3", "node4")
    wide = site.submit(tasks=12, min_nodes=3, is_contiguous=True)
    site.core.ended(job, 0, None)
    assert wide.nodes == ()
    site.core.ended(between, 0, None)
    assert wide.nodes == ("node1", "node2", "node3")
