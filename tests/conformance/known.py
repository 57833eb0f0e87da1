"""Where the emulated Slurm is known to differ from the real one, and why it may."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KNOWN", "Known"]


@dataclass(frozen=True)
class Known:
    """The answer to one command of a scenario differs, for a reason that its user would accept."""

    scenario: str
    command: str
    reason: str


KNOWN: tuple[Known, ...] = ()
