"""`-W depend=`: which jobs a job waits for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from simcluster.emulated.conditions import FAILED, Condition, Dependency
from simcluster.emulated.pbs.getopt import log_refusal
from simcluster.emulated.pbs.words import SERVER

if TYPE_CHECKING:
    from simcluster.emulated.core import Core

__all__ = ["parse_depend"]

_KINDS = ("after", "afterok", "afternotok", "afterany")
_REAL = {"before", "beforeok", "beforenotok", "beforeany", "on", "runone"}
_TARGET = re.compile(r"(\d+)(\[\])?(?:\.([\w-]+))?(?:@[\w.-]+)?")


def parse_depend(core: Core, text: str) -> Dependency | None:
    """`afterok:1.pbs:2.pbs,afterany:3[].pbs`; None if it makes no sense. What waits for an unknown job never starts."""
    conditions: list[Condition] = []
    for piece in text.split(","):
        kind, *targets = piece.strip().split(":")
        if kind not in _KINDS or not targets:
            if kind in _REAL:
                log_refusal("qsub", f"-W depend={kind}")
            return None
        for target in targets:
            match = _TARGET.fullmatch(target)
            if match is None or match[3] not in {None, SERVER}:
                return None
            condition = Condition(kind, int(match[1]), is_array=match[2] is not None)
            is_known = bool(core.find(int(match[1])))
            conditions.append(condition if is_known else replace(condition, state=FAILED))
    return Dependency(tuple(conditions))
