"""submitit, as released, on the login host: https://github.com/facebookincubator/submitit."""

from __future__ import annotations


def test_submitit_submits_maps_cancels_and_resumes_from_a_checkpoint(site_of):
    site = site_of("slurm")
    environment = site.install("submitit")

    done = site.start(environment, "with_submitit.py")

    assert done.stdout.splitlines() == [
        "result 42",
        "array [0, 1, 2, 3, 4] 5",
        "exception True",
        "cancelled CANCELLED",
        "element 2",
        "other CANCELLED",
        "requeued (7, 2)",
        "log 2",
    ], done.stderr
