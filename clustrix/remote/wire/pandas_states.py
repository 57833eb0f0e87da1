"""pandas objects as columns of numpy and plain builtins, for their own pickles are read by their own major version only.

What is inside (arrays, indexes, offsets, labels) is left to the pickler, which takes it apart in turn. pandas itself is
only touched where a value of it is; `pandas_rebuilders` puts together again what this file takes apart.
"""

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

__all__ = ["parts", "taker_apart"]

State = Dict[str, Any]
Taker = Callable[[Any], State]


def taker_apart(cls: type) -> Optional[Tuple[str, Taker]]:
    """The name of the rebuilder and the function that gives an instance's state, if `cls` is one of ours.

    Only pandas' own classes: a subclass may hold more.
    """
    module = str(cls.__module__)  # a class may have set it to anything
    if module != "pandas" and not module.startswith("pandas."):
        return None
    if module in OFFSET_MODULES and hasattr(cls, "kwds"):
        return "pandas_offset", _offset
    return TAKERS.get(cls.__name__)


def parts(value: Any) -> Iterator[Tuple[str, Any]]:
    """The columns of a DataFrame and the items of other pandas objects that hold any object, with the way to each."""
    name = type(value).__name__
    if taker_apart(type(value)) is None:
        return
    if name == "DataFrame":
        yield ".attrs", value.attrs
        for position, label in enumerate(value.columns):
            is_unique = isinstance(label, str) and value.columns.get_loc(label) == position
            yield '["{}"]'.format(label) if is_unique else ".iloc[:, {}]".format(position), value.iloc[:, position]
    elif name == "Series":
        yield ".attrs", value.attrs
        for position, item in enumerate(_values(value)):
            yield ".iloc[{}]".format(position), item
    if name in ("DataFrame", "Series"):
        yield ".index", value.index
    elif name == "Index":
        for position, item in enumerate(_values(value)):
            yield "[{}]".format(position), item


def _frame(frame: Any) -> State:
    kinds = list(frame.dtypes)
    # One dtype for all is one block of memory, which is then sent as it lies there.
    is_block = len(kinds) > 1 and all(kind == kinds[0] for kind in kinds) and type(kinds[0]).__module__[:5] == "numpy"
    return {
        "columns": frame.columns,
        "block": _writable(frame.to_numpy()) if is_block else None,
        "arrays": None if is_block else [_values(frame.iloc[:, position]) for position in range(len(kinds))],
        "index": frame.index,
        "more": _more(frame),
    }


def _series(series: Any) -> State:
    return {"values": _values(series), "index": series.index, "name": series.name, "more": _more(series)}


def _more(value: Any) -> State:
    flags = getattr(value, "flags", None)  # 1.2+
    return {
        "attrs": dict(value.attrs),
        "is_unique": flags is not None and not flags.allows_duplicate_labels,
    }


def _values(held: Any) -> Any:
    """What a Series or an Index holds: an extension array, or what numpy has for it."""
    array = held.array
    return _writable(held.to_numpy()) if type(array).__name__ in NUMPY_ARRAYS else array


def _writable(array: Any) -> Any:
    """The same memory, not marked as read-only: what pandas 3 shows of its own is, and would be so on the other side."""
    if array.flags.writeable:
        return array
    view = array.view()
    try:
        view.flags.writeable = True
    except ValueError:  # it belongs to something that is read-only throughout
        return array.copy()
    return view


def _index(index: Any) -> State:
    return {"values": _values(index), "name": index.name, "freq": getattr(index, "freq", None)}


def _period_index(index: Any) -> State:
    return {"values": index.array, "name": index.name, "freq": None}  # the array has it


def _range_index(index: Any) -> State:
    return {"range": (index.start, index.stop, index.step), "name": index.name}


def _multi_index(index: Any) -> State:
    return {
        "levels": list(index.levels),
        "codes": [_writable(codes) for codes in index.codes],
        "names": list(index.names),
        "sortorder": index.sortorder,
    }


def _timestamp(stamp: Any) -> State:
    return dict(_scalar(stamp.asm8), zone=_zone(stamp.tzinfo))


def _timedelta(delta: Any) -> State:
    return _scalar(delta.asm8)


def _scalar(value: Any) -> State:
    """A numpy datetime64 or timedelta64 as a number of units."""
    return {"value": int(value.view("i8")), "unit": _unit(value.dtype)}


def _unit(dtype: Any) -> str:
    return str(dtype).partition("[")[2].rstrip("]") or "ns"


def _datetimes(array: Any) -> State:
    return {"values": _writable(array.asi8), "unit": getattr(array, "unit", "ns"), "zone": _zone(array.tz)}


def _timedeltas(array: Any) -> State:
    return {"values": _writable(array.asi8), "unit": getattr(array, "unit", "ns")}


def _zone(zone: Any) -> Any:
    """A time zone by its name where it has one: which library stands for it depends on pandas' version."""
    module = type(zone).__module__
    if zone is None:
        return None
    if str(zone) == "UTC":
        return "utc", None
    if module.startswith("pytz") and zone.zone is not None:
        return "pytz", str(zone.zone)
    if module.startswith("zoneinfo") and zone.key is not None:
        return "zoneinfo", str(zone.key)
    if module.startswith("pytz") or (module, type(zone).__name__) == ("datetime", "timezone"):
        return "fixed", zone.utcoffset(None)
    return "other", zone


def _period(period: Any) -> State:
    return {"ordinal": period.ordinal, "freq": period.freq}


def _periods(array: Any) -> State:
    return {"ordinals": _writable(array.asi8), "freq": array.freq}


def _interval(interval: Any) -> State:
    return {"left": interval.left, "right": interval.right, "closed": interval.closed}


def _categorical(array: Any) -> State:
    return {"codes": _writable(array.codes), "categories": array.categories, "is_ordered": array.ordered}


def _masked(array: Any) -> State:
    return {"data": _writable(array._data), "mask": _writable(array._mask)}  # noqa: SLF001 - there is no other way to both


def _strings(array: Any) -> State:
    values: List[Optional[str]] = array.to_numpy(dtype=object, na_value=None).tolist()
    return {"values": values, "dtype": array.dtype}


def _numpy_array(array: Any) -> State:
    return {"values": _writable(array.to_numpy())}


def _arrow(array: Any) -> State:
    return {"values": array.__arrow_array__()}


def _sparse(array: Any) -> State:
    return {
        "values": _writable(array.sp_values),
        "indices": _writable(array.sp_index.to_int_index().indices),
        "length": len(array),
        "fill_value": array.fill_value,
        "subtype": array.dtype.subtype,
    }


def _offset(offset: Any) -> State:
    # `calendar` is made of the weekmask and the holidays, which are among the others.
    keywords = {name: value for name, value in offset.kwds.items() if name != "calendar"}
    return {"class": type(offset).__name__, "n": offset.n, "normalize": offset.normalize, "keywords": keywords}


def _dtype(dtype: Any) -> State:
    name = type(dtype).__name__
    state: State = {"class": name}
    if name == "CategoricalDtype":
        state.update(categories=dtype.categories, is_ordered=dtype.ordered)
    elif name == "DatetimeTZDtype":
        state.update(unit=dtype.unit, zone=_zone(dtype.tz))
    elif name == "PeriodDtype":
        state.update(freq=dtype.freq)
    elif name == "IntervalDtype":
        state.update(subtype=dtype.subtype, closed=getattr(dtype, "closed", None))
    elif name == "StringDtype":
        na_value = getattr(dtype, "na_value", None)
        state.update(storage=getattr(dtype, "storage", "python"), is_nan=isinstance(na_value, float))
    else:
        state.update(name=str(dtype))
    return state


def _nothing(_value: Any) -> State:
    return {}


OFFSET_MODULES = frozenset(
    ["pandas._libs.tslibs.offsets", "pandas.tseries.offsets", "pandas.offsets", "pandas.api.typing"]
)
NUMPY_ARRAYS = frozenset(["NumpyExtensionArray", "PandasArray"])
MASKED_DTYPES = [
    *("{}Int{}Dtype".format(sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)),
    "Float32Dtype",
    "Float64Dtype",
    "BooleanDtype",
]
STRING_ARRAYS = [
    "ArrowStringArray",
    "ArrowStringArrayNumpySemantics",
    "StringArray",
    "StringArrayNumpySemantics",
]

TAKERS: Dict[str, Tuple[str, Taker]] = {
    "DataFrame": ("pandas_frame", _frame),
    "Series": ("pandas_series", _series),
    "RangeIndex": ("pandas_range_index", _range_index),
    "MultiIndex": ("pandas_multi_index", _multi_index),
    "PeriodIndex": ("pandas_index", _period_index),
    "Timestamp": ("pandas_timestamp", _timestamp),
    "Timedelta": ("pandas_timedelta", _timedelta),
    "NaTType": ("pandas_nat", _nothing),
    "NAType": ("pandas_na", _nothing),
    "Period": ("pandas_period", _period),
    "Interval": ("pandas_interval", _interval),
    "DatetimeArray": ("pandas_datetimes", _datetimes),
    "TimedeltaArray": ("pandas_timedeltas", _timedeltas),
    "PeriodArray": ("pandas_periods", _periods),
    "IntervalArray": ("pandas_intervals", _interval),
    "Categorical": ("pandas_categorical", _categorical),
    "ArrowExtensionArray": ("pandas_arrow", _arrow),
    "SparseArray": ("pandas_sparse", _sparse),
}
for _name in ("Index", "Int64Index", "UInt64Index", "Float64Index", "DatetimeIndex", "TimedeltaIndex"):
    TAKERS[_name] = ("pandas_index", _index)
for _name in ("CategoricalIndex", "IntervalIndex"):
    TAKERS[_name] = ("pandas_index", _index)
for _name in ("IntegerArray", "FloatingArray", "BooleanArray"):
    TAKERS[_name] = ("pandas_masked", _masked)
for _name in NUMPY_ARRAYS:
    TAKERS[_name] = ("pandas_numpy_array", _numpy_array)
for _name in STRING_ARRAYS:
    TAKERS[_name] = ("pandas_strings", _strings)
for _name in ("CategoricalDtype", "DatetimeTZDtype", "PeriodDtype", "IntervalDtype", "StringDtype", *MASKED_DTYPES):
    TAKERS[_name] = ("pandas_dtype", _dtype)
