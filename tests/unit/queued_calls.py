"""As scheduler_calls, where there are job arrays and ``qdel``."""

import ends_workload
import pytest
from scheduler_calls import OLD, running

import clustrix
from clustrix import cluster


def test_a_map_is_one_array_of_which_one_task_fails_alone(executor):
    assert list(executor.map(cluster(**OLD)(ends_workload.doubled), range(20))) == [2 * number for number in range(20)]
    results = executor.map(cluster(**OLD)(ends_workload.survives), [1, 7])
    assert next(results) == 1
    with pytest.raises(clustrix.JobFailedError) as caught:
        next(results)
    assert caught.value.exit_code == 7


def test_a_job_that_somebody_deletes_is_cancelled(site, submit):
    future = running(submit)
    site.run(f"qdel {future.scheduler_id}", check=True)
    with pytest.raises(clustrix.JobCancelledError):
        future.result(60)
