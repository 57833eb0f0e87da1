"""What a call costs on a long line: connections, bytes and time at 0, 50 and 150 ms of round trip, by either way of SSH.

python benchmarks/round_trips.py [ROUNDS]        on an emulated Slurm; each figure of a call is a median

How many round trips something waits for is counted where one takes so long that nothing else matters.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "unit"))

import counting_workload
from cut_line import CutLine

import clustrix
import simcluster

if TYPE_CHECKING:
    from collections.abc import Callable

LATENCIES = (0.0, 0.05, 0.15)
COUNTED_AT = 2.0  # seconds of a round trip


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measured(site: simcluster.Cluster, directory: Path, way: str, latency: float, rounds: int) -> list[float]:
    """Seconds to connect, of a bare request, of a first and of a warm call; connections, and bytes to connect and of a warm call."""
    with CutLine(site.ssh.port) as line:
        known = directory / f"known-{line.port}"
        assert site.ssh.known_hosts_file is not None
        known.write_text(re.sub(r"\]:\d+ ", f"]:{line.port} ", site.ssh.known_hosts_file.read_text()))
        config = clustrix.ClusterConfig(
            cluster_host=site.ssh.host, cluster_port=line.port, username=site.ssh.username, key_file=str(site.ssh.key_file),
            known_hosts_file=str(known), connection=way, local_cache_dir=str(directory / "cache"),
            default_cores=1, default_memory="100MB", default_time="00:05:00",
        )  # fmt: skip
        with clustrix.ClusterExecutor(config) as executor:
            runs = f"{site.home}/runs"

            def call() -> object:
                return executor.submit(counting_workload.leaves_a_line, runs, 1).result(120)

            with site.faults.ssh.latency(latency):
                connect = seconds(executor.connect)
                to_connect = line.passed
                first = seconds(call)
                before = line.passed
                warm = statistics.median(seconds(call) for _ in range(rounds))
                per_call = (line.passed - before) / rounds
                bare = statistics.median(seconds(lambda: executor.request("ping", {})) for _ in range(rounds))
        return [connect, bare, first, warm, line.connections, to_connect, per_call]


def main(rounds: int) -> None:
    print(
        f"{'way':9} {'round trip':>10} {'connect':>9} {'request':>9} {'first':>9} {'warm':>9} {'connections':>12} {'to connect':>11} {'per call':>9}"
    )
    with tempfile.TemporaryDirectory() as directory, simcluster.start("slurm", pythons=["3.12"]) as site:
        os.environ["XDG_STATE_HOME"] = directory
        measured(site, Path(directory), "paramiko", 0.0, 1)  # makes the environment, brings agent and package
        for way in ("paramiko", "openssh"):
            near = []
            for latency in (*LATENCIES, COUNTED_AT):
                found = measured(site, Path(directory), way, latency, rounds)
                near = near or found
                connections, to_connect, per_call = found[4:]
                times = " ".join(f"{1000 * value:6.0f} ms" for value in found[:4])
                print(
                    f"{way:9} {1000 * latency:7.0f} ms {times} {connections:12.0f} {to_connect / 1000:8.1f} kB {per_call / 1000:6.1f} kB",
                    flush=True,
                )
            trips = [(far - close) / COUNTED_AT for far, close in zip(found[:4], near[:4], strict=True)]
            print(
                f"{way:9} {'they are':>10} " + " ".join(f"{value:9.2f}" for value in trips), "round trips", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
