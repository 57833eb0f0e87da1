"""One native cluster in one process: `python -m simcluster.native.daemon DIRECTORY`; see `simcluster.emulated.daemon`."""

from __future__ import annotations

import sys

from simcluster.emulated.daemon import serve
from simcluster.native.controller import SlurmController

if __name__ == "__main__":
    # The commands are those of the installed Slurm.
    serve(sys.argv[1], {"slurm": ()}, SlurmController)
