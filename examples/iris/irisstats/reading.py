"""Reads the table of measurements."""

import csv
from pathlib import Path
from typing import List, Tuple, Union

import numpy as np

__all__ = ["FEATURES", "read_measurements"]

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def read_measurements(path: Union[str, Path]) -> Tuple[np.ndarray, List[str]]:
    """The measurements, an array of shape (flowers, 4) in cm with columns as in FEATURES, and each flower's species."""
    with Path(path).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    measurements = np.array([[float(row[feature]) for feature in FEATURES] for row in rows], dtype=np.float64)
    return measurements.reshape(len(rows), len(FEATURES)), [row["species"] for row in rows]
