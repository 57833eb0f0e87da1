"""PSI/J, as released, on the login host: https://exaworks.org/psij-python."""

from __future__ import annotations

import pytest


# Real PBS also gives 271 to a job that was cancelled while it ran, and PSI/J takes 265 alone for that.
@pytest.mark.parametrize(("scheduler", "cancelled"), [("slurm", "CANCELED"), ("pbs", "FAILED")])
def test_psij_follows_jobs_to_their_ends(site_of, scheduler, cancelled):
    site = site_of(scheduler)
    environment = site.install("psij-python")

    done = site.start(environment, "with_psij.py", scheduler)

    assert done.stdout.splitlines() == ["COMPLETED", "said True", "FAILED 3", cancelled], done.stderr
