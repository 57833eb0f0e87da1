"""Decorated functions that are called inside a job of another; any Python from 3.6 on runs them."""

import os

from clustrix import cluster


@cluster
def where(name):
    return (
        name,
        os.environ["CLUSTRIX_JOB_ID"],
        os.environ.get("SLURM_JOB_ID"),
        os.environ.get("SLURM_NTASKS_OF_THE_OUTER"),
        os.environ["CLUSTRIX_JOB_DEPTH"],
    )


@cluster(nested="submit", cores=1)
def elsewhere(name):
    return where(name)


@cluster
def outer_plain(name):
    return where("outer"), where(name), where.local(name)


@cluster
def outer_submitting(name):
    os.environ["SLURM_NTASKS_OF_THE_OUTER"] = "7"
    future = elsewhere.submit(name)
    return where("outer"), elsewhere(name), future.result()
