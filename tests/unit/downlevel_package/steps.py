from __future__ import annotations

from collections.abc import Iterator  # noqa: TC003 - as users write it


def steps(numbers: list[int], /, *, least: int | None = None) -> Iterator[str]:
    for number in numbers:
        if (double := 2 * number) > (least or 0):
            yield f"{double=}"


def quotient(numbers: list[int]) -> float:
    # The lines of this comment
    # are the user's, too.
    if (count := len(numbers)) and numbers:
        return numbers[0] / (divisor := count - count)  # nothing by nothing
    return divisor
