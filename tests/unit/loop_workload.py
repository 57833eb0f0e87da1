"""Loops as users write them, for the tests that run them in parallel."""

import math
import resource
import sys

OFFSET = 3


def wave(n, bad):
    """Its last value says whether this process had children."""
    taken, total, last = [], 0.0, {}
    for i in range(n):
        x = math.sin(i) + OFFSET
        taken.append(f"{x=}")
        total += 1 / (x if i != bad else 0)
        last[i % 7] = x
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
    return (taken, total, list(last.items()), i), sys.version_info[:2], children


def steps(n):
    value = 0.5
    for i in range(n):
        value = math.sin(value) + i
    return value


def summed(n):
    total = 0
    for i in range(n):
        total += i * i
    return total
