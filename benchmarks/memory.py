"""Bytes that the client keeps of each awaited call: of single jobs, and of the tasks of one map.

    python benchmarks/memory.py [CALLS]

Nothing is sent: what is measured is all that `submit` and `map` leave in the executor and the session, arguments and values apart.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import tracemalloc

from identity import identity

from clustrix import ClusterConfig, ClusterExecutor
from clustrix.arrays import MapFuture
from clustrix.awaited_job import AwaitedJob
from clustrix.future import ClusterFuture
from clustrix.progress import Track
from clustrix.resources import JobOptions
from clustrix.submission import prepare


def main(calls: int) -> None:
    with tempfile.TemporaryDirectory() as cache:
        config = ClusterConfig(cluster_host="nowhere", local_cache_dir=cache)
        executor = ClusterExecutor(config)
        call = prepare(identity, JobOptions(), config)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        jobs, changed = {}, threading.Condition()
        for _ in range(calls):
            entry = call.new_entry()
            track = Track("identity", is_shown=True)
            jobs[entry.job_id] = AwaitedJob(ClusterFuture(entry.job_id, executor, track), entry, track, changed)
        after = tracemalloc.get_traced_memory()[0]
        print(f"a job and its future: {(after - before) / calls:7.0f} bytes, at {calls:,}")
        del jobs
        before = tracemalloc.get_traced_memory()[0]
        future = MapFuture("cx", executor, Track("identity", is_shown=True), calls)
        after = tracemalloc.get_traced_memory()[0]
        print(f"a task of a map:      {(after - before) / calls:7.0f} bytes, at {future.tasks:,}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
