"""What the jobs of test_downlevel_jobs.py run: what Python 3.6 can't read, or can read and not evaluate."""

import math
import sys

from downlevel_package import steps


def annotated(numbers: list[int], other: dict[str, int] | None = None) -> list[int]:
    return [*numbers, sys.version_info[1]]


def through_a_package(numbers):
    return [*steps.steps(numbers, least=2)], sys.version_info[1]


def failing_in_a_package(numbers):
    return steps.quotient(numbers)


def product(numbers):
    return math.prod(numbers)
