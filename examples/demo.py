"""The whole way at once: start a small Slurm cluster, and run examples/iris on it, cold and warm.

    python examples/demo.py

Needs Python 3.6 and 3.12 on this machine, and nothing else. Nothing is left behind: neither processes nor files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import clustrix
import simcluster

sys.path.insert(0, str(Path(__file__).with_name("iris")))

import run


def main() -> int:
    print("Starting a Slurm cluster: a login node, and two compute nodes with Python 3.6 and 3.12.")
    print("Its scheduler is emulated, its jobs are processes of this machine.", flush=True)
    try:
        cluster = simcluster.start("slurm", nodes=2, pythons=["3.6", "3.12"])
    except simcluster.SimclusterError as problem:
        print(problem)
        return 1
    with cluster, tempfile.TemporaryDirectory(prefix="clustrix-demo-") as directory:
        print(f"It is up: {cluster.ssh.username}@{cluster.ssh.host}, port {cluster.ssh.port}.")
        use(cluster.ssh, Path(directory))
        print("\nThe first call builds an environment with numpy for Python 3.6 on the cluster.\n", flush=True)
        run.main([])
        print("\nThe second call finds package and environment there.\n", flush=True)
        run.main([])
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
