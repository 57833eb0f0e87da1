"""The PBS dialect: command lines of OpenPBS's programs against the core, in the words of 23.06.06."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Partition, Reply, Settings
from simcluster.emulated.pbs.pbsnodes import pbsnodes
from simcluster.emulated.pbs.qalter import qalter, qmove
from simcluster.emulated.pbs.qdel import qdel
from simcluster.emulated.pbs.qhold import qhold, qrls
from simcluster.emulated.pbs.qrerun import qrerun
from simcluster.emulated.pbs.qselect import qselect
from simcluster.emulated.pbs.qsig import qsig
from simcluster.emulated.pbs.qstat import qstat
from simcluster.emulated.pbs.qsub import qsub
from simcluster.emulated.pbs.words import SERVER, VERSION

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.spec import ClusterSpec

__all__ = ["answer", "site"]

_PROGRAMS = {
    "pbsnodes": pbsnodes,
    "qalter": qalter,
    "qdel": qdel,
    "qhold": qhold,
    "qmove": qmove,
    "qrerun": qrerun,
    "qrls": qrls,
    "qselect": qselect,
    "qsig": qsig,
    "qstat": qstat,
}
_HISTORY = 14 * 86400
"""job_history_duration, in seconds."""
_KILL_DELAY = 10
"""A queue's kill_delay where none is set, in seconds."""


def site(spec: ClusterSpec, user: str) -> tuple[list[Partition], Settings]:
    """The queues, workq first, and a server that keeps its history."""
    queues = {
        each.name: Partition(
            each.name,
            each.nodes,
            each.max_seconds,
            is_up=each.state in {"UP", "DRAIN"},
            accepts=each.state in {"UP", "DOWN"},
            max_cpus=each.max_cpus,
        )
        for each in spec.partitions
    }
    workq = queues.pop("workq", Partition("workq"))
    default = Partition(**{**vars(workq), "is_default": True})
    settings = Settings(
        min_job_age=_HISTORY,
        kill_wait=_KILL_DELAY,
        max_array_size=1 << 31,
        requeue_delay=0,
        first_number=0,
        has_numbered_elements=False,
        takes_impossible=True,
        controller=SERVER,
        version=VERSION,
        user_ids={user: os.getuid()},
    )
    return [default, *queues.values()], settings


async def answer(core: Core, call: Call) -> Reply:
    """What `call` prints and how it ends, as on a login host of a real cluster."""
    if (server := call.environment.get("PBS_SERVER", SERVER)) != SERVER:
        return _elsewhere(core, call, server)
    if call.program == "qsub":
        return await qsub(core, call)
    program = _PROGRAMS.get(call.program)
    if program is None:
        return Reply(stderr=f"bash: {call.program}: command not found\n", code=127)
    return program(core, call)


def _elsewhere(core: Core, call: Call, server: str) -> Reply:
    """What is said of another server: nodes refuse, and other hosts are unknown."""
    is_host = server in core.nodes.position
    reason, number = ("Connection refused", 15010) if is_host else ("Unknown Host.", 15008)
    text = f"{call.program}: cannot connect to server {server} (errno={number})"
    if call.program == "qdel":
        text = f"Couldn't connect to cluster: {server}"
    code = {"qstat": 255, "pbsnodes": 1}.get(call.program, number & 0xFF)
    return Reply(stderr=f"{reason}\n{text}\n", code=code)
