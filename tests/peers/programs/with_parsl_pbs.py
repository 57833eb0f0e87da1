"""What users of parsl do: apps whose workers are started by PBSProProvider."""

from __future__ import annotations

import socket
import sys

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import PBSProProvider


@parsl.python_app
def square(number: int) -> int:
    return number * number


@parsl.python_app
def node() -> str:
    import socket  # parsl sends the function alone

    return socket.gethostname()


def main() -> None:
    provider = PBSProProvider(
        queue="workq",
        cpus_per_node=2,
        init_blocks=1,
        max_blocks=1,
        walltime="00:10:00",
        worker_init=f"export PATH={sys.prefix}/bin:$PATH",
    )
    executor = HighThroughputExecutor(
        address=socket.gethostbyname(socket.gethostname()), max_workers_per_node=2, provider=provider
    )
    with parsl.load(Config(executors=[executor], strategy="none")):
        print("squares", [future.result() for future in [square(number) for number in range(5)]])
        print("node", node().result().startswith("node"))
    print("end")


if __name__ == "__main__":
    sys.exit(main())
