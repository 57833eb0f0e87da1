"""The Slurm dialect: command lines of its programs against the core, in the words of 22.05.8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["answer"]


async def answer(core: Core, call: Call) -> Reply:  # noqa: ARG001
    """What `call` prints and how it ends, as on a login host of a real cluster."""
    return Reply(stderr=f"bash: {call.program}: command not found\n", code=127)
