"""dask-jobqueue, as released, on the login host: https://jobqueue.dask.org."""

from __future__ import annotations

import time

import pytest


@pytest.mark.parametrize(("scheduler", "name"), [("slurm", "SLURMCluster"), ("pbs", "PBSCluster")])
def test_dask_jobqueue_scales_computes_and_leaves_nothing(site_of, scheduler, name):
    site = site_of(scheduler)
    environment = site.install("dask-jobqueue")

    done = site.start(environment, "with_dask.py", name)

    assert done.stdout.splitlines()[1:] == ["sum 2470", "nodes ['node1', 'node2']", "end"], done.stderr
    deadline = time.monotonic() + 60
    while left := [job for job in site.cluster.jobs() if job.state in {"PENDING", "RUNNING"}]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
