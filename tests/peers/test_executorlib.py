"""executorlib with pysqa, as released, on the login host: https://github.com/pyiron/executorlib."""

from __future__ import annotations


def test_executorlib_submits_through_pysqa(site_of):
    site = site_of("slurm")
    environment = site.install("executorlib[cluster]", "h5py")

    done = site.start(environment, "with_executorlib.py")

    assert done.stdout.splitlines() == ["sum 42", "node True", "kept 3"], done.stderr
