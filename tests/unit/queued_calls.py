"""As scheduler_calls, where there is ``qdel``."""

import pytest
from scheduler_calls import running

import clustrix


def test_a_job_that_somebody_deletes_is_cancelled(site, submit):
    future = running(submit)
    site.run(f"qdel {future.scheduler_id}", check=True)
    with pytest.raises(clustrix.JobCancelledError):
        future.result(60)
