"""What a job waits for before it may start."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Condition", "Dependency"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on another job. `kind` is after, afterok, afternotok, afterany, aftercorr or singleton.

    `task_id` is the element of an array, None for the whole of it; `delay` is in seconds and counts for `after`.
    """

    kind: str
    job_id: int = 0
    task_id: int | None = None
    delay: int = 0
    state: str = "unfulfilled"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Conditions, of which all must be met, or any."""

    conditions: tuple[Condition, ...]
    is_any: bool = False
