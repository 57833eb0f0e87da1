"""qconf: which parallel environments there are, and what they are; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.requests import PARALLEL_ENVIRONMENTS

if TYPE_CHECKING:
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["qconf"]

_TABLE = table(
    "qconf",
    flags="help spl",
    valued="sp",
    refused="""Ae Ap Aq ae am ao ap aq as au de dh dm do dp dq ds du Me Mp Mq me mp mq msconf sc se sel sh shgrp shgrpl sm so sq sql
    ss ssconf su sul""",
)
_USAGE = "SGE 8.1.9\nusage: qconf [options]\n   [-sp pe-name]                            show a parallel environment\n   [-spl]                                   show all parallel environments\n"
_RULES = {"smp": "$pe_slots", "make": "$round_robin"}


def qconf(core: Core, call: Call) -> Reply:  # noqa: ARG001 - every cluster has the same
    """Exit code 1 for what is not there, and for what an administrator would do."""
    try:
        line = _TABLE.parse(call.arguments)
    except (UnknownOptionError, MissingValueError) as error:
        return Reply(stderr=f'error: invalid option argument "{error}"\n{_USAGE}', code=1)
    if line.has("spl"):
        return Reply("".join(f"{name}\n" for name in sorted(PARALLEL_ENVIRONMENTS)))
    if not line.has("sp"):
        return Reply(_USAGE)
    name = line.last("sp")
    if name not in PARALLEL_ENVIRONMENTS:
        return Reply(stderr=f'"{name}" is not a parallel environment\n', code=1)
    fields = {
        "pe_name": name,
        "slots": "999",
        "user_lists": "NONE",
        "xuser_lists": "NONE",
        "start_proc_args": "NONE",
        "stop_proc_args": "NONE",
        "allocation_rule": _RULES[name],
        "control_slaves": "FALSE",
        "job_is_first_task": "TRUE",
        "urgency_slots": "min",
        "accounting_summary": "FALSE",
        "qsort_args": "NONE",
    }
    return Reply("".join(f"{field:<18} {value}\n" for field, value in fields.items()))
