"""Statistics of a sample: every array has one entry, row or column for each of FEATURES."""

from typing import Any, Dict

import numpy as np

from .reading import FEATURES

__all__ = ["correlation", "describe"]


def describe(sample: np.ndarray) -> Dict[str, Any]:
    """Size, mean, standard deviation and covariance (both with n - 1), least and greatest value; in cm, and cm² for the covariance."""
    return {
        "n": len(sample),
        "mean": sample.mean(axis=0),
        "std": sample.std(axis=0, ddof=1),
        "min": sample.min(axis=0),
        "max": sample.max(axis=0),
        "covariance": np.cov(sample, rowvar=False),
    }


def correlation(sample: np.ndarray, one: str, other: str) -> float:
    """Pearson's correlation of two of the FEATURES."""
    columns = sample[:, FEATURES.index(one)], sample[:, FEATURES.index(other)]
    return float(np.corrcoef(*columns)[0, 1])
