"""How soon a death is told: seconds from the end of a killed function, and from when the scheduler knows that a node is lost.

python benchmarks/deaths.py [BACKEND] [ROUNDS]        BACKEND: emulated (Slurm), or docker

The jobs have run for a while before they die, so that the scheduler is asked as rarely as it ever is.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

from identity import dies_after

import clustrix
import simcluster

WHILE = 40.0  # seconds; from then on the scheduler is asked every 15 s


def main(backend: str, rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        simcluster.start("slurm", backend=backend, nodes=2, pythons=["3.6"]) as site,
    ):
        os.environ["XDG_STATE_HOME"] = directory
        config = clustrix.ClusterConfig(
            cluster_host=site.ssh.host, cluster_port=site.ssh.port, username=site.ssh.username, key_file=str(site.ssh.key_file),
            known_hosts_file=str(site.ssh.known_hosts_file), local_cache_dir=directory,
            default_cores=1, default_memory="200MB", default_time="00:10:00",
        )  # fmt: skip
        with clustrix.ClusterExecutor(config) as executor:
            for _ in range(rounds):
                print(f"killed, and its script lived:       {killed(executor):5.1f} s", flush=True)
                print(f"lost with its node, as Slurm knows: {lost(site, executor):5.1f} s", flush=True)


def killed(executor: clustrix.ClusterExecutor) -> float:
    future = executor.submit(clustrix.cluster(python="3.6")(dies_after), WHILE)
    future.exception(300)
    return time.time() - float(future.stdout())


def lost(site: simcluster.Cluster, executor: clustrix.ClusterExecutor) -> float:
    future = executor.submit(clustrix.cluster(python="3.6")(dies_after), 600.0)
    while not future.running():
        time.sleep(0.1)
    time.sleep(WHILE)
    number = future.scheduler_id
    node = site.run(f"squeue -h -j {number} -o %N", check=True).stdout.strip()
    with site.faults.node.kill(node):
        ended: list[float] = []
        future.add_done_callback(lambda _: ended.append(time.time()))
        known = site.run(
            f"until squeue -h -t NODE_FAIL -j {number} | grep -q .; do sleep 0.1; done; date +%s.%N", timeout=120
        )
        future.exception(300)
    return ended[0] - float(known.stdout)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "emulated", int(sys.argv[2]) if len(sys.argv) > 2 else 2)
