"""dask-jobqueue, as released, on the login host: https://jobqueue.dask.org."""

from __future__ import annotations

import time

import pytest


@pytest.mark.parametrize(
    ("scheduler", "name"), [("slurm", "SLURMCluster"), ("pbs", "PBSCluster"), ("sge", "SGECluster")]
)
def test_dask_jobqueue_scales_computes_and_leaves_nothing(site_of, scheduler, name):
    site = site_of(scheduler)
    environment = site.install("dask-jobqueue")

    done = site.start(environment, "with_dask.py", name)

    assert done.stdout.splitlines()[1:] == ["sum 2470", "workers 2", "on nodes True", "end"], done.stderr
    deadline = time.monotonic() + 60
    while left := [job for job in site.cluster.jobs() if job.name == "dask-worker" and job.state in _LIVE]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


_LIVE = {"PENDING", "RUNNING"}
