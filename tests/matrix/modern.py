"""A local module in the words of newer Pythons."""

from __future__ import annotations


def spread(values: list[int]) -> str | None:
    if (low := min(values)) == (high := max(values)):
        return None
    return f"{low=}, {high=}"
