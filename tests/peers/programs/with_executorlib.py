"""What users of executorlib with pysqa do: an executor whose calls are jobs, and whose results outlive the program."""

from __future__ import annotations

import socket
import sys

from executorlib import SlurmClusterExecutor


def add(a: int, b: int) -> int:
    return a + b


def where() -> str:
    return socket.gethostname()


def main() -> None:
    resources = {"cores": 1, "run_time_max": 600, "partition": "debug"}
    with SlurmClusterExecutor(cache_directory="cache", resource_dict=resources) as executor:
        first = executor.submit(add, 1, 2)
        second = executor.submit(add, first, 39)  # waits for the first, as a job of its own
        print("sum", second.result())
        print("node", executor.submit(where).result() in {"node1", "node2"})
    with SlurmClusterExecutor(cache_directory="cache", resource_dict=resources) as executor:
        print("kept", executor.submit(add, 1, 2).result())


if __name__ == "__main__":
    sys.exit(main())
