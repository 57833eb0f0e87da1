"""The whole way at once: start a small Slurm cluster, and run examples/iris on it, cold and warm.

    python examples/demo.py                     # an emulated Slurm: jobs are processes of this machine, under its oldest Python
    python examples/demo.py --backend native    # the Slurm that is installed on this machine (Debian: slurm-wlm)
    python examples/demo.py --backend docker    # a real Slurm in containers, jobs under Python 3.6

Nothing is left behind: neither processes nor containers nor files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import clustrix
import simcluster

sys.path.insert(0, str(Path(__file__).with_name("iris")))

import run


def main() -> int:
    parser = argparse.ArgumentParser(description="Run examples/iris on a Slurm cluster that is made for it.")
    parser.add_argument("--backend", choices=["emulated", "native", "docker"], default="emulated")
    backend = parser.parse_args().backend
    print(f"Starting a Slurm cluster ({backend}): a login node and two compute nodes.", flush=True)
    try:
        cluster = simcluster.start("slurm", backend=backend, nodes=2)
    except simcluster.SimclusterError as problem:
        print(problem)
        return 1
    with cluster, tempfile.TemporaryDirectory(prefix="clustrix-demo-") as directory:
        print(f"It is up: {cluster.ssh.username}@{cluster.ssh.host}, port {cluster.ssh.port}.")
        print(f"Its Pythons: {', '.join(cluster.pythons)}. The job runs under the oldest.")
        use(cluster.ssh, Path(directory))
        oldest = min(cluster.pythons, key=lambda version: [int(part) for part in version.split(".")])
        print(f"\nThe first call builds an environment with numpy for Python {oldest} on the cluster.\n", flush=True)
        run.main(["--python", oldest])
        print("\nThe second call finds package and environment there.\n", flush=True)
        run.main(["--python", oldest])
    return 0


def use(ssh: simcluster.SSHEndpoint, directory: Path) -> None:
    """Tell clustrix of the cluster, and to keep in `directory` what it remembers."""
    os.environ["XDG_STATE_HOME"] = str(directory / "state")
    config = clustrix.ClusterConfig(
        cluster_host=ssh.host,
        cluster_port=ssh.port,
        username=ssh.username,
        key_file=str(ssh.key_file),
        known_hosts_file=str(ssh.known_hosts_file),
        local_cache_dir=str(directory / "cache"),
    )
    # Every field is set, so that nothing of the user's own configuration mixes in.
    clustrix.configure(**config.public_dict(), password=None)


if __name__ == "__main__":
    sys.exit(main())
