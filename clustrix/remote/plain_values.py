"""Which values are plain data: what can be read without running any code of the user's, and copied without a difference.

A loop's iterations are computed in other processes only on such values (clustrix/loop_proof.py says what depends on it).
"""

import datetime as dt
import decimal
import fractions
import pathlib
import re
import sys
from typing import Any, List, Set

__all__ = ["is_detached", "is_plain"]

_ATOMS = {
    bool,
    bytes,
    complex,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    dt.timezone,
    decimal.Decimal,
    float,
    fractions.Fraction,
    int,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    range,
    str,
    type(None),
    type(Ellipsis),
    type(re.compile("")),
}
_TIME_ZONES = (type(None), dt.timezone)
_SEQUENCES = (list, tuple)
_MAY_BE_NAN = (float, complex, decimal.Decimal)
_KEY, _SHARED, _SHELL, _OWNED = -1, 0, 1, 2


def is_plain(value: Any) -> bool:
    """Whether ``value`` is data through and through, of exactly the known types. Iterators, open files and functions are none.

    A number that is not equal to itself is none, for ``in`` finds the same object of it, and not a copy.
    """
    seen: Set[int] = set()
    pending: List[Any] = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind in _ATOMS:
            if type(getattr(item, "tzinfo", None)) not in _TIME_ZONES or (kind in _MAY_BE_NAN and _is_nan(item)):
                return False
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        if kind in _SEQUENCES:
            pending.extend(item)
        elif kind is dict:
            pending.extend(item)
            pending.extend(item.values())
        elif kind is set or kind is frozenset:
            # Another order would be another order of a sum.
            if list(kind(list(item))) != list(item):
                return False
            pending.extend(item)
        elif not _is_array(item):
            return False
    return True


def is_detached(value: Any, ownership: int) -> bool:
    """Whether a copy of ``value`` does for it, given how much of it the iteration made itself (clustrix.loop_proof.Ownership)."""
    if ownership == _OWNED:
        return True
    kind = type(value)
    if kind in _ATOMS or _is_number_of_numpy(value):
        return ownership != _KEY or not _is_nan(value)
    if kind is tuple or kind is frozenset:
        return all(is_detached(item, min(ownership, _SHARED)) for item in value)
    if ownership <= _SHARED:
        return False
    if kind is list:
        return all(is_detached(item, _SHARED) for item in value)
    if kind is set:
        return all(is_detached(item, _KEY) for item in value)
    if kind is dict:
        return all(is_detached(key, _KEY) and is_detached(item, _SHARED) for key, item in value.items())
    return _is_array(value)


def _is_array(value: Any) -> bool:
    """Numpy's arrays and numbers, and pandas' tables, without Python objects in them but texts."""
    kind = type(value)
    root = str(kind.__module__).partition(".")[0]  # compiled functions have something else there than a text
    if root == "numpy":
        numpy = sys.modules["numpy"]
        return (kind is numpy.ndarray or isinstance(value, numpy.generic)) and not value.dtype.hasobject
    if root == "pandas":
        pandas = sys.modules["pandas"]
        if kind is pandas.DataFrame:
            columns = [value.iloc[:, number] for number in range(value.shape[1])]
            return all(_is_column(column, pandas) for column in [*columns, value.index, value.columns])
        if kind is pandas.Series:
            return _is_column(value, pandas) and _is_column(value.index, pandas)
        return kind in (pandas.Timestamp, pandas.Timedelta)
    return False


def _is_number_of_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return False
    return not value.dtype.hasobject and not isinstance(value, numpy.void)  # which looks into its array


def _is_nan(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return bool(value != value)  # noqa: PLR0124 - that is what there is to know


def _is_column(column: Any, pandas: Any) -> bool:
    if isinstance(column, pandas.MultiIndex):
        return False
    return column.dtype != object or all(type(item) in _ATOMS for item in column)
