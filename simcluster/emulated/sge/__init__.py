"""The Grid Engine dialect: command lines of its programs against the core, in the words of 8.1.9."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Partition, Reply, Settings
from simcluster.emulated.sge.changes import qdel, qhold, qrls
from simcluster.emulated.sge.hosts import qhost
from simcluster.emulated.sge.qacct import qacct
from simcluster.emulated.sge.qconf import qconf
from simcluster.emulated.sge.qstat import qstat
from simcluster.emulated.sge.qsub import qsub

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.spec import ClusterSpec

__all__ = ["answer", "site"]

_PROGRAMS = {"qacct": qacct, "qconf": qconf, "qdel": qdel, "qhold": qhold, "qhost": qhost, "qrls": qrls, "qstat": qstat}


def site(spec: ClusterSpec, user: str) -> tuple[list[Partition], Settings]:
    """The queues, all.q first; exit codes 99 and 100 are those of sge_diagnostics(1), "JOB EXIT STATUS"."""
    queues = [Partition("all.q", is_default=True)]
    queues += [Partition(each.name, each.nodes, each.max_seconds) for each in spec.partitions]
    settings = Settings(
        kill_wait=0,
        end_signal=int(signal.SIGKILL),
        max_array_size=75001,
        is_requeued_by_default=False,
        requeue_delay=0,
        requeue_exits=(99,),
        hold_exits=(100,),
        holds_unlaunchable=True,
        has_numbered_elements=False,
        takes_impossible=True,
        version="8.1.9",
        user_ids={user: os.getuid()},
    )
    return queues, settings


async def answer(core: Core, call: Call) -> Reply:
    """What `call` prints and how it ends, as on a login host of a real cluster."""
    if call.program == "qsub":
        return await qsub(core, call)
    program = _PROGRAMS.get(call.program)
    if program is None:
        return Reply(stderr=f"bash: {call.program}: command not found\n", code=127)
    return program(core, call)
