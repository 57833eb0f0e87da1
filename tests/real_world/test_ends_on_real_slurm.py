"""The ends of jobs that any Slurm has, on a real one."""

import pytest
from cluster_ends import *  # noqa: F403 - its tests, on this cluster
from cluster_ends import runs
from counted_workload import grabs_at_first

import simcluster
from clustrix import cluster

pytestmark = pytest.mark.real_world


@pytest.fixture(scope="module")
def site():
    """One of its own, for its nodes and its scheduler are killed."""
    with simcluster.start("slurm", backend="docker", nodes=2, pythons=["3.6"]) as started:
        yield started


def test_too_little_memory_is_retried_with_more_where_the_policy_says_so(site):
    options = {"retries": 1, "retry_policy": {"memory": 8}}
    future = cluster(python="3.6", **options)(grabs_at_first).submit("~/runs", 400)
    assert future.result(120) == 2
    assert runs(site) == 2
    assert "had too little memory; attempt 2 of 2" in future.notice
