"""Descriptive statistics of flowers: an ordinary local package, installed nowhere."""

from .reading import FEATURES, read_measurements
from .statistics import correlation, describe

__all__ = ["FEATURES", "correlation", "describe", "read_measurements"]
