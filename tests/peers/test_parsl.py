"""parsl, as released, on the login host: https://parsl.readthedocs.io."""

from __future__ import annotations


def test_parsl_runs_apps_on_workers_that_slurm_starts(site_of):
    site = site_of("slurm")
    environment = site.install("parsl")

    done = site.start(environment, "with_parsl.py")

    assert done.stdout.splitlines() == ["squares [0, 1, 4, 9, 16]", "node True", "said hello", "end"], done.stderr


def test_parsl_runs_apps_on_workers_that_pbs_starts(site_of):
    site = site_of("pbs")
    environment = site.install("parsl")

    done = site.start(environment, "with_parsl_pbs.py")

    assert done.stdout.splitlines() == ["squares [0, 1, 4, 9, 16]", "node True", "end"], done.stderr
