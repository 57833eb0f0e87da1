"""What a job waits for before it may start."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAILED", "FULFILLED", "KINDS", "UNFULFILLED", "Condition", "Dependency"]

KINDS = ("after", "afterok", "afternotok", "afterany", "aftercorr", "singleton")
UNFULFILLED, FULFILLED, FAILED = "unfulfilled", "fulfilled", "failed"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on another job. `kind` is one of KINDS.

    `task_id` is the element of an array, None for the whole of it (then `is_array`); `delay` is in seconds and counts for `after`.
    """

    kind: str
    job_id: int = 0
    task_id: int | None = None
    delay: int = 0
    state: str = UNFULFILLED
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class Dependency:
    """Conditions, of which all must be met, or any."""

    conditions: tuple[Condition, ...]
    is_any: bool = False

    @property
    def verdict(self) -> str:
        """Whether the job may start, may not yet, or never will."""
        states = [condition.state for condition in self.conditions]
        decisive, other = (FULFILLED, FAILED) if self.is_any else (FAILED, FULFILLED)
        if decisive in states:
            return decisive
        return other if all(state == other for state in states) else UNFULFILLED
