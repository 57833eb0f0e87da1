"""Which functions of Python and of well-known libraries only read, and how much of what they give is new.

A function that is not listed here is not taken for pure. Left out on purpose: what prints, writes, keeps state (``random``),
reads the clock, tells processes or objects apart (``os.getpid``, ``id``), or runs text (``eval``).
"""

from __future__ import annotations

from typing import NamedTuple

from clustrix.loop_proof import Ownership

__all__ = [
    "ARRAY",
    "FUNCTION",
    "HANDLE",
    "HANDLE_METHODS",
    "ITERATOR",
    "MUTATING_METHODS",
    "NUMBER",
    "PURE_CONTEXTS",
    "ROOTS",
    "Known",
    "Value",
    "known_call",
    "known_method",
]


class Value(NamedTuple):
    """What is known of a value. ``kind`` is one of the constants here, or empty."""

    ownership: Ownership
    kind: str = ""


NUMBER = "number"  # Python's own numbers, truth values and texts: can't be changed, and += makes a new one
ARRAY = "array"  # numpy's, of numbers: it holds copies of what is stored in it
HANDLE = "handle"  # an open file, a generator of random numbers: its methods change nothing else
ITERATOR = "iterator"  # what is taken from it is gone
FUNCTION = "function"


class Known(NamedTuple):
    """What a call gives, and how many positional arguments are inputs: numpy's functions take ``out`` after these."""

    value: Value
    limit: int


_ANY = 1000
_NUMBER, _ARRAY = Value(Ownership.OWNED, NUMBER), Value(Ownership.OWNED, ARRAY)
_OWNED, _SHELL, _SHARED = (Value(item) for item in (Ownership.OWNED, Ownership.SHELL, Ownership.SHARED))
_LAZY = Value(Ownership.SHELL, ITERATOR)
_HANDLE = Value(Ownership.OWNED, HANDLE)

_FUNCTIONS: list[tuple[str, Value, int, str]] = [
    ("builtins", _NUMBER, _ANY, "len int float bool ord complex isinstance issubclass callable any all str repr format chr hex bin oct ascii"),
    ("builtins", _OWNED, _ANY, "range bytes bytearray slice"),
    ("builtins", _SHELL, _ANY, "list tuple dict set frozenset sorted enumerate zip reversed abs round divmod pow"),
    ("builtins", _SHELL, 1, "sum"),
    ("builtins", _LAZY, _ANY, "map filter iter"),
    ("builtins", _SHARED, _ANY, "max min sum"),
    ("builtins", _SHARED, 1, "type"),
    ("builtins", _SHELL, _ANY, ("Exception ValueError TypeError KeyError IndexError RuntimeError ArithmeticError ZeroDivisionError "
     "AssertionError NotImplementedError LookupError OSError FileNotFoundError StopIteration OverflowError AttributeError")),
    ("builtins", _OWNED, _ANY, "int.from_bytes float.fromhex bytes.fromhex str.maketrans str.join str.lower str.upper str.strip str.split"),
    ("builtins", _SHELL, _ANY, "dict.fromkeys"),
    ("math", _NUMBER, _ANY, ("acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist erf erfc exp exp2 expm1 "
     "fabs factorial floor fma fmod frexp fsum gamma gcd hypot isclose isfinite isinf isnan isqrt lcm ldexp lgamma log log10 log1p "
     "log2 modf nextafter perm prod radians remainder sin sinh sqrt sumprod tan tanh trunc ulp")),
    ("cmath", _NUMBER, _ANY, "acos asin atan cos exp isclose isfinite isinf isnan log log10 phase polar rect sin sqrt tan cosh sinh tanh"),
    ("statistics", _SHELL, _ANY, ("mean fmean geometric_mean harmonic_mean median median_low median_high stdev pstdev variance pvariance "
     "quantiles multimode correlation covariance linear_regression")),
    ("statistics", _SHARED, _ANY, "mode"),
    ("itertools", _LAZY, _ANY, ("accumulate chain chain.from_iterable combinations combinations_with_replacement compress dropwhile "
     "filterfalse groupby islice pairwise permutations product repeat starmap takewhile zip_longest count cycle batched")),
    ("operator", _SHELL, _ANY, "add sub mul truediv floordiv mod neg and_ or_ xor concat abs pow lt le gt ge eq ne not_ truth contains countOf indexOf"),
    ("_operator", _SHELL, _ANY, "add sub mul truediv floordiv mod neg and_ or_ xor concat abs pow lt le gt ge eq ne not_ truth contains countOf indexOf"),
    ("operator", _SHARED, _ANY, "getitem"),
    ("functools", _SHARED, _ANY, "reduce"),
    ("_functools", _SHARED, _ANY, "reduce"),
    ("copy", _SHELL, _ANY, "copy"),
    ("copy", _OWNED, 1, "deepcopy"),
    ("json", _OWNED, _ANY, "loads dumps load"),
    ("re", _OWNED, _ANY, "compile match search fullmatch findall finditer split sub subn escape"),
    ("collections", _SHELL, _ANY, "Counter OrderedDict defaultdict deque"),
    ("string", _OWNED, _ANY, "capwords"),
    ("textwrap", _OWNED, _ANY, "dedent indent fill wrap shorten"),
    ("bisect", _NUMBER, _ANY, "bisect bisect_left bisect_right"),
    ("_bisect", _NUMBER, _ANY, "bisect bisect_left bisect_right"),
    ("heapq", _SHELL, _ANY, "nlargest nsmallest"),
    ("datetime", _OWNED, _ANY, ("datetime date time timedelta datetime.strptime datetime.fromisoformat date.fromisoformat "
     "datetime.fromtimestamp date.fromtimestamp datetime.combine")),
    ("time", _OWNED, _ANY, "sleep strptime mktime"),
    ("decimal", _OWNED, _ANY, "Decimal"),
    ("fractions", _OWNED, _ANY, "Fraction"),
    ("hashlib", _HANDLE, _ANY, "md5 sha1 sha224 sha256 sha384 sha512 blake2b blake2s sha3_256 sha3_512"),
    ("_hashlib", _HANDLE, _ANY, "openssl_md5 openssl_sha1 openssl_sha256 openssl_sha384 openssl_sha512"),
    ("zlib", _OWNED, _ANY, "crc32 adler32 compress decompress"),
    ("binascii", _OWNED, _ANY, "hexlify unhexlify crc32"),
    ("base64", _OWNED, _ANY, "b64encode b64decode b32encode b32decode b16encode b16decode"),
    ("struct", _OWNED, _ANY, "unpack pack calcsize unpack_from"),
    ("_struct", _OWNED, _ANY, "unpack pack calcsize unpack_from"),
    ("io", _HANDLE, _ANY, "StringIO BytesIO"),
    ("_io", _HANDLE, _ANY, "StringIO BytesIO"),
    ("random", _HANDLE, _ANY, "Random"),
    ("csv", _LAZY, _ANY, "reader DictReader"),
    ("_csv", _LAZY, _ANY, "reader"),
    ("os", _OWNED, _ANY, "listdir stat getenv environ.get fspath"),
    ("os.path", _NUMBER, _ANY, ("join basename dirname exists isfile isdir getsize getmtime splitext split abspath realpath relpath "
     "normpath expanduser isabs commonprefix")),
    ("posix", _OWNED, _ANY, "listdir stat fspath"),
    ("nt", _OWNED, _ANY, "listdir stat fspath"),
    ("glob", _OWNED, _ANY, "glob"),
    ("fnmatch", _OWNED, _ANY, "fnmatch filter fnmatchcase"),
    ("pathlib", _OWNED, _ANY, "Path PurePath PosixPath PurePosixPath Path.cwd Path.home"),
    ("clustrix.filesystem", _OWNED, _ANY, ("cluster_ls cluster_find cluster_stat cluster_exists cluster_isdir cluster_isfile cluster_glob "
     "cluster_du cluster_count_files cluster_read")),
    ("numpy", _ARRAY, 2, ("zeros ones empty arange linspace logspace geomspace eye identity bincount histogram digitize searchsorted "
     "argsort argmin argmax argwhere nonzero flatnonzero count_nonzero indices tri")),
    ("numpy", _OWNED, 1, "zeros_like ones_like empty_like"),
    ("numpy", _NUMBER, _ANY, "allclose isclose array_equal isscalar"),
    ("numpy", _SHELL, 1, ("abs absolute sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh exp exp2 expm1 log log2 log10 log1p "
     "sqrt cbrt square sign floor ceil rint trunc negative reciprocal isnan isinf isfinite logical_not degrees radians deg2rad rad2deg fabs "
     "conj conjugate invert signbit min max amin amax any all ptp round")),
    ("numpy", _SHELL, 2, ("add subtract multiply divide true_divide floor_divide power mod remainder fmod maximum minimum fmax fmin arctan2 hypot "
     "logaddexp logical_and logical_or logical_xor greater greater_equal less less_equal equal not_equal bitwise_and bitwise_or bitwise_xor "
     "left_shift right_shift copysign gcd lcm dot matmul inner outer kron cross vdot sum prod mean std var median average percentile "
     "quantile nansum nanmean nanstd nanvar nanmin nanmax nanmedian nanpercentile cumsum cumprod diff gradient trapz trapezoid convolve correlate sort "
     "unique concatenate stack vstack hstack dstack column_stack array copy tile repeat roll flip "
     "full_like corrcoef cov polyfit polyval interp isin in1d intersect1d union1d setdiff1d histogram2d meshgrid pad append delete insert cbrt "
     "float64 float32 int64 int32 int16 int8 uint8 uint16 uint32 uint64 complex128 complex64 bool_ asfortranarray around")),
    ("numpy", _SHELL, 3, "full where clip interp tensordot loadtxt genfromtxt fromstring"),
    ("numpy", _SHARED, 2, ("asarray atleast_1d atleast_2d ravel reshape squeeze transpose swapaxes moveaxis expand_dims broadcast_to real imag diag "
     "diagonal triu tril split array_split nan_to_num ascontiguousarray apply_along_axis")),
    ("numpy", _SHELL, 1, "load"),
    ("numpy.linalg", _SHELL, 2, "norm det inv pinv solve eig eigh eigvals eigvalsh svd qr cholesky matrix_rank lstsq matrix_power slogdet cond"),
    ("numpy.fft", _SHELL, 3, "fft ifft rfft irfft fft2 ifft2 fftn ifftn fftfreq rfftfreq fftshift ifftshift"),
    ("numpy.random", _HANDLE, _ANY, "default_rng RandomState"),
    ("scipy.special", _SHELL, 1, "erf erfc gamma gammaln expit logit factorial digamma j0 j1"),
    ("scipy.linalg", _SHELL, 2, "norm det inv solve eig eigh svd qr cholesky expm"),
    ("scipy.integrate", _SHELL, 3, "quad dblquad simpson trapezoid solve_ivp odeint"),
    ("scipy.optimize", _SHELL, 3, "minimize minimize_scalar brentq newton root curve_fit least_squares linprog fsolve"),
    ("scipy.interpolate", _SHELL, 3, "interp1d"),
    ("scipy.signal", _SHELL, 2, "find_peaks welch periodogram detrend"),
    ("scipy.stats", _SHELL, 2, ("ttest_ind ttest_rel ttest_1samp pearsonr spearmanr linregress ks_2samp mannwhitneyu zscore skew kurtosis entropy sem iqr "
     "norm.pdf norm.cdf norm.ppf norm.sf")),
    ("pandas", _SHELL, 2, ("read_csv read_table read_json read_parquet read_excel read_hdf read_feather concat merge to_datetime to_numeric "
     "to_timedelta isna isnull notna notnull date_range cut qcut crosstab pivot_table get_dummies Timestamp Timedelta")),
    ("pandas", _SHARED, 2, "DataFrame Series Index"),
]  # fmt: skip

_METHODS: list[tuple[Value, int, str]] = [
    (_NUMBER, _ANY, ("lower upper strip lstrip rstrip title capitalize casefold swapcase startswith endswith isdigit isalpha isalnum isspace "
     "isupper islower isnumeric isdecimal isidentifier zfill ljust rjust center removeprefix removesuffix expandtabs find rfind rindex encode "
     "decode format format_map join hexdigest isoformat strftime timestamp total_seconds toordinal weekday isoweekday bit_length is_integer "
     "as_posix is_absolute exists is_file is_dir read_text read_bytes span start end translate hex issubset issuperset isdisjoint")),
    (_OWNED, _ANY, ("split rsplit splitlines rpartition finditer findall fullmatch match search sub subn stat with_suffix with_name with_stem "
     "relative_to joinpath resolve absolute expanduser digest as_integer_ratio date time as_tuple quantize glob rglob iterdir")),
    (_NUMBER, _ANY, "index count"),
    (_SHARED, _ANY, "get keys values items group groups groupdict"),
    (_SHELL, _ANY, "union intersection difference symmetric_difference most_common tolist item"),
    (_SHELL, 1, "copy dot min max argmin argmax any all ptp round nonzero argsort"),
    (_SHELL, 2, ("sum mean std var prod cumsum cumprod conj conjugate astype clip flatten searchsorted median quantile nunique isna isnull notna notnull "
     "corr cov skew kurt describe value_counts cummax cummin abs mode idxmax idxmin diff sem rank")),
    (_SHARED, 2, ("reshape ravel squeeze transpose swapaxes diagonal view to_numpy groupby head tail isin unique dropna fillna drop sort_values sort_index "
     "reset_index set_index merge apply agg aggregate pivot pivot_table melt stack unstack rolling resample expanding "
     "assign nlargest nsmallest drop_duplicates duplicated get_group size shift pct_change between equals to_dict iterrows itertuples map take repeat")),
]  # fmt: skip

HANDLE_METHODS = frozenset(
    [
        "read",
        "readline",
        "readlines",
        "seek",
        "tell",
        "close",
        "getvalue",
        "update",
        "hexdigest",
        "digest",
        "random",
        "uniform",
        "randint",
        "choice",
        "sample",
        "shuffle",
        "gauss",
        "randrange",
        "normalvariate",
        "expovariate",
        "betavariate",
        "gammavariate",
        "triangular",
        "choices",
        "getrandbits",
        "rand",
        "randn",
        "normal",
        "standard_normal",
        "integers",
        "exponential",
        "poisson",
        "binomial",
        "permutation",
        "lognormal",
        "beta",
        "gamma",
        "multivariate_normal",
        "random_sample",
        "write",
    ]
)

MUTATING_METHODS = frozenset(
    [
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "clear",
        "sort",
        "reverse",
        "add",
        "discard",
        "update",
        "setdefault",
        "popitem",
        "appendleft",
        "extendleft",
        "popleft",
        "rotate",
        "fill",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
        "move_to_end",
        "subtract",
    ]
)

PURE_CONTEXTS = frozenset(
    ("builtins.open", "contextlib.suppress", "numpy.errstate", "decimal.localcontext", "warnings.catch_warnings")
)

# Modules of which a function may import while the loop runs: they are known here.
ROOTS = frozenset(module.partition(".")[0] for module, *_ in _FUNCTIONS) - {"builtins", "clustrix"}

_ALIASES = {"posixpath": "os.path", "ntpath": "os.path", "genericpath": "os.path", "pathlib._local": "pathlib"}
_KNOWN_CALLS: dict[str, list[Known]] = {}
for _module, _value, _limit, _names in _FUNCTIONS:
    for _name in _names.split():
        _KNOWN_CALLS.setdefault(f"{_module}.{_name}", []).append(Known(_value, _limit))
_KNOWN_METHODS = {name: Known(value, limit) for value, limit, names in _METHODS for name in names.split()}


def known_call(path: str, count: int) -> Known | None:
    """What the function of that dotted name gives for so many positional arguments; None if it is not known to be pure."""
    module, _, name = path.rpartition(".")
    for known in _KNOWN_CALLS.get(f"{_ALIASES.get(module, module)}.{name}", ()):
        if count <= known.limit:
            return known
    return None


def known_method(name: str, count: int) -> Known | None:
    """The same of a method that does nothing but read, whatever plain data it is of."""
    if name == "replace":  # with one argument it is a path's, which renames a file
        return Known(_SHELL, 3) if 2 <= count <= 3 else None
    known = _KNOWN_METHODS.get(name)
    return known if known is not None and count <= known.limit else None
