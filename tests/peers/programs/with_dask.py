"""What users of dask-jobqueue do: scale a cluster of workers, compute, scale down."""

from __future__ import annotations

import sys

import dask
import dask_jobqueue
from distributed import Client


def main(name: str) -> None:
    kind = getattr(dask_jobqueue, name)
    options = {"cores": 2, "processes": 1, "memory": "500MB", "walltime": "00:10:00", "death_timeout": 60}
    with kind(**options) as cluster, Client(cluster) as client:
        print("script", cluster.job_script().splitlines()[0])
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=120)
        values = [dask.delayed(pow)(number, 2) for number in range(20)]
        print("sum", dask.delayed(sum)(values).compute())
        names = client.run(lambda: __import__("socket").gethostname())
        print("workers", len(names))
        print("on nodes", set(names.values()) <= {"node1", "node2"})
    print("end")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
