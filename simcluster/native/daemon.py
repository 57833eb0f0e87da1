"""One native cluster in one process: `python -m simcluster.native.daemon DIRECTORY`; see `simcluster.emulated.daemon`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from simcluster.emulated.daemon import serve
from simcluster.native.controller import SlurmController
from simcluster.native.faults import SlurmFaults

if TYPE_CHECKING:
    from simcluster.emulated.breakage import Breakable
    from simcluster.emulated.daemon import Controller
    from simcluster.emulated.machines import Machines


def _native(machines: Machines) -> tuple[Controller, Breakable]:
    controller = SlurmController(machines)
    return controller, SlurmFaults(controller, machines)


if __name__ == "__main__":
    # The commands are those of the installed Slurm.
    serve(sys.argv[1], {"slurm": ()}, _native)
