"""What users of parsl do: apps whose workers are started by SlurmProvider."""

from __future__ import annotations

import socket
import sys

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider


@parsl.python_app
def square(number: int) -> int:
    return number * number


@parsl.python_app
def node() -> str:
    import os  # parsl sends the function alone

    return os.environ["SLURMD_NODENAME"]


@parsl.bash_app
def say(word: str, stdout: str = "said.txt") -> str:
    return f"echo {word}"


def main() -> None:
    provider = SlurmProvider(
        partition="debug",
        nodes_per_block=1,
        cores_per_node=2,
        init_blocks=1,
        max_blocks=1,
        walltime="00:10:00",
        worker_init=f"export PATH={sys.prefix}/bin:$PATH",
        launcher=SrunLauncher(),
    )
    executor = HighThroughputExecutor(
        address=socket.gethostbyname(socket.gethostname()), max_workers_per_node=2, provider=provider
    )
    with parsl.load(Config(executors=[executor], strategy="none")):
        print("squares", [future.result() for future in [square(number) for number in range(5)]])
        print("node", node().result().startswith("node"))
        say("hello").result()
        print("said", open("said.txt").read().strip())  # noqa: PTH123, SIM115
    print("end")


if __name__ == "__main__":
    sys.exit(main())
