"""Puts pandas objects together again from what `pandas_states` made of them, with the pandas that is here.

By public constructors, with what is only newer or only older than this pandas put in the nearest way that it knows: dates in
nanoseconds before 2.0, the `str` of pandas 3 as objects where there is no such dtype.
"""

import importlib
import sys
from typing import Any, Callable, Dict

__all__ = ["REBUILDERS"]

State = Dict[str, Any]

# A frame of more columns gets them copied together: each by itself would make all that follows slow.
MOST_COLUMNS_APART = 100


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _numpy() -> Any:
    return importlib.import_module("numpy")


def _version() -> Any:
    return tuple(int(part) for part in _pandas().__version__.split(".")[:2])


def _is_of_objects(values: Any) -> bool:
    """Whether pandas would look into these for something better than objects, which was not so on the other side."""
    return type(values).__name__ == "ndarray" and values.dtype == object


def _frame(state: State) -> Any:
    pd, index = _pandas(), state["index"]
    if state["block"] is not None:
        block = state["block"]
        dtype = object if _is_of_objects(block) else None
        frame = pd.DataFrame(block, index=index, dtype=dtype, copy=False)
    else:
        columns = {position: _column(values, index) for position, values in enumerate(state["arrays"])}
        frame = pd.DataFrame(columns, index=index, copy=len(columns) > MOST_COLUMNS_APART)
    frame.columns = state["columns"]
    return _with_more(frame, state["more"])


def _series(state: State) -> Any:
    series = _column(state["values"], state["index"])
    series.name = state["name"]
    return _with_more(series, state["more"])


def _column(values: Any, index: Any) -> Any:
    dtype = object if _is_of_objects(values) else None
    return _pandas().Series(values, index=index, dtype=dtype, copy=False)


def _with_more(value: Any, more: State) -> Any:
    value.attrs.update(more["attrs"])
    if more["is_unique"] and hasattr(value, "flags"):  # 1.2+
        value.flags.allows_duplicate_labels = False
    return value


def _index(state: State) -> Any:
    pd, values = _pandas(), state["values"]
    index = pd.Index(values, dtype=object if _is_of_objects(values) else None, name=state["name"])
    if state["freq"] is not None:
        index.freq = state["freq"]
    return index


def _range_index(state: State) -> Any:
    return _pandas().RangeIndex(*state["range"], name=state["name"])


def _multi_index(state: State) -> Any:
    return _pandas().MultiIndex(
        levels=state["levels"],
        codes=state["codes"],
        names=state["names"],
        sortorder=state["sortorder"],
        verify_integrity=False,
    )


def _timestamp(state: State) -> Any:
    stamp = _pandas().Timestamp(_numpy().datetime64(state["value"], state["unit"]))
    zone = _zone(state["zone"])
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


def _timedelta(state: State) -> Any:
    return _pandas().Timedelta(_numpy().timedelta64(state["value"], state["unit"]))


def _datetimes(state: State) -> Any:
    index = _pandas().DatetimeIndex(state["values"].view("M8[{}]".format(state["unit"])))
    zone = _zone(state["zone"])
    return (index if zone is None else index.tz_localize("UTC").tz_convert(zone)).array


def _timedeltas(state: State) -> Any:
    return _pandas().TimedeltaIndex(state["values"].view("m8[{}]".format(state["unit"]))).array


def _zone(described: Any) -> Any:
    if described is None:
        return None
    kind, value = described
    if kind == "utc":
        return "UTC"
    if kind == "fixed":
        return importlib.import_module("datetime").timezone(value)
    if kind == "zoneinfo" and sys.version_info >= (3, 9) and _version() >= (2, 0):
        return importlib.import_module("zoneinfo").ZoneInfo(value)
    if kind == "pytz" and _version() >= (3, 0):  # up to 2, that is what a name gives
        try:
            return importlib.import_module("pytz").timezone(value)
        except ImportError:
            return value
    return value


def _period(state: State) -> Any:
    return _pandas().Period(ordinal=state["ordinal"], freq=state["freq"])


def _periods(state: State) -> Any:
    pd = _pandas()
    return pd.arrays.PeriodArray(state["ordinals"], dtype=pd.PeriodDtype(state["freq"]))


def _interval(state: State) -> Any:
    return _pandas().Interval(state["left"], state["right"], closed=state["closed"])


def _intervals(state: State) -> Any:
    return _pandas().arrays.IntervalArray.from_arrays(state["left"], state["right"], closed=state["closed"])


def _categorical(state: State) -> Any:
    return _pandas().Categorical.from_codes(state["codes"], categories=state["categories"], ordered=state["is_ordered"])


def _masked(state: State) -> Any:
    arrays, kind = _pandas().arrays, state["data"].dtype.kind
    if kind == "f" and not hasattr(arrays, "FloatingArray"):  # before 1.2 a float that is missing is not a number
        return _numpy().where(state["mask"], _numpy().nan, state["data"])
    name = {"b": "BooleanArray", "f": "FloatingArray"}.get(kind, "IntegerArray")
    return getattr(arrays, name)(state["data"], state["mask"])


def _known(module: Any, name: str) -> Any:
    """Something that not every pandas has."""
    found = getattr(module, name, None)
    if found is None:
        raise TypeError("pandas {} has no {}".format(_pandas().__version__, name))
    return found


def _strings(state: State) -> Any:
    np, dtype = _numpy(), state["dtype"]
    is_known = isinstance(dtype, _pandas().api.extensions.ExtensionDtype)
    missing = None if is_known else np.nan
    values = np.empty(len(state["values"]), dtype=object)
    values[:] = [missing if value is None else value for value in state["values"]]
    return _pandas().array(values, dtype=dtype) if is_known else values


def _numpy_array(state: State) -> Any:
    arrays = _pandas().arrays
    name = "NumpyExtensionArray" if hasattr(arrays, "NumpyExtensionArray") else "PandasArray"
    return getattr(arrays, name)(state["values"])


def _arrow(state: State) -> Any:
    return _known(_pandas().arrays, "ArrowExtensionArray")(state["values"])


def _sparse(state: State) -> Any:
    pd = _pandas()
    int_index = importlib.import_module("pandas._libs.sparse").IntIndex
    return pd.arrays.SparseArray(
        state["values"],
        sparse_index=int_index(state["length"], state["indices"]),
        fill_value=state["fill_value"],
        dtype=pd.SparseDtype(state["subtype"], state["fill_value"]),
    )


def _offset(state: State) -> Any:
    cls = _known(_pandas().offsets, state["class"])
    return cls(state["n"], normalize=state["normalize"], **state["keywords"])


def _dtype(state: State) -> Any:
    pd, name = _pandas(), state["class"]
    if name == "CategoricalDtype":
        return pd.CategoricalDtype(state["categories"], ordered=state["is_ordered"])
    if name == "DatetimeTZDtype":
        unit = state["unit"] if _version() >= (2, 0) else "ns"
        return pd.DatetimeTZDtype(unit=unit, tz=_zone(state["zone"]))
    if name == "PeriodDtype":
        return pd.PeriodDtype(state["freq"])
    if name == "IntervalDtype":
        has_closed = state["closed"] is not None and _version() >= (1, 3)
        return pd.IntervalDtype(state["subtype"], **({"closed": state["closed"]} if has_closed else {}))
    if name == "StringDtype":
        return _string_dtype(state["storage"], state["is_nan"])
    return pd.api.types.pandas_dtype(state["name"])


def _string_dtype(storage: str, is_nan: bool) -> Any:
    pd = _pandas()
    if is_nan:  # the `str` of pandas 3: kept in whatever pandas has for it here
        return pd.StringDtype(na_value=_numpy().nan) if _version() >= (2, 3) else _numpy().dtype(object)
    try:
        return pd.StringDtype(storage)
    except (ImportError, TypeError):  # there is no pyarrow here, or only one way to keep them (before 1.3)
        return pd.StringDtype("python") if _version() >= (1, 3) else pd.StringDtype()


REBUILDERS: Dict[str, Callable[[State], Any]] = {
    "pandas_frame": _frame,
    "pandas_series": _series,
    "pandas_index": _index,
    "pandas_range_index": _range_index,
    "pandas_multi_index": _multi_index,
    "pandas_timestamp": _timestamp,
    "pandas_timedelta": _timedelta,
    "pandas_nat": lambda _state: _pandas().NaT,
    "pandas_na": lambda _state: _known(_pandas(), "NA"),
    "pandas_period": _period,
    "pandas_interval": _interval,
    "pandas_datetimes": _datetimes,
    "pandas_timedeltas": _timedeltas,
    "pandas_periods": _periods,
    "pandas_intervals": _intervals,
    "pandas_categorical": _categorical,
    "pandas_masked": _masked,
    "pandas_strings": _strings,
    "pandas_numpy_array": _numpy_array,
    "pandas_arrow": _arrow,
    "pandas_sparse": _sparse,
    "pandas_offset": _offset,
    "pandas_dtype": _dtype,
}
