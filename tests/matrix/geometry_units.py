"""What the local module imports in turn."""

METRES = {"m": 1, "km": 1000}


def to_metres(length, unit):
    return length * METRES[unit]
