"""How many threads the native libraries of a worker use: OpenBLAS, MKL, BLIS and OpenMP would each take all cores.

A variable tells those that are loaded later. Those that are there are told by their own functions, found as threadpoolctl finds
them: for a forked worker before the fork. In the worker itself OpenBLAS would first start the threads that the fork has ended,
which wait for work by computing, for tens of milliseconds. Only Linux shows what is loaded; elsewhere workers start with nothing
loaded.
"""

import contextlib
import os
import re
import threading
from typing import Any, Callable, Iterator, List, Tuple

__all__ = ["limit_native_threads", "limited_native_threads", "say_native_threads"]

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# What sets the number, and what tells it. numpy's and scipy's own builds of OpenBLAS have other prefixes and suffixes.
_FUNCTIONS = (
    *(
        (prefix + "openblas_set_num_threads" + suffix, prefix + "openblas_get_num_threads" + suffix)
        for prefix in ("", "scipy_")
        for suffix in ("", "64_")
    ),
    ("MKL_Set_Num_Threads", "MKL_Get_Max_Threads"),
    ("bli_thread_set_num_threads", "bli_thread_get_num_threads"),
    ("omp_set_num_threads", "omp_get_max_threads"),
)
_LIBRARY = re.compile(r"(openblas|mkl_rt|blis|gomp|iomp|libomp).*\.so")

_lock = threading.Lock()
_limits = 0
_before: List[Tuple[Callable[[int], None], int]] = []


def limit_native_threads(count: int) -> None:
    """Have each of them use at most ``count``; call it again when more may have been loaded."""
    say_native_threads(count)
    for set_count, _ in _found():
        set_count(count)


def say_native_threads(count: int) -> None:
    """Have those that are loaded from now on use at most ``count``."""
    for name in _VARIABLES:
        os.environ[name] = str(count)


@contextlib.contextmanager
def limited_native_threads(count: int) -> Iterator[None]:
    """Have those that are there use at most ``count``, here and in processes that are forked meanwhile.

    Where there are several such times at once, the first one's ``count`` holds until the last of them is over.
    """
    global _limits  # noqa: PLW0603
    with _lock:
        _limits += 1
        if _limits == 1:
            for set_count, get_count in _found():
                _before.append((set_count, get_count()))
                set_count(count)
    try:
        yield
    finally:
        with _lock:
            _limits -= 1
            while not _limits and _before:
                set_count, former = _before.pop()
                set_count(former)


def _found() -> Iterator[Tuple[Any, Any]]:
    paths = _loaded()
    if paths:
        import ctypes  # noqa: PLC0415 - few processes have any

        for path in paths:
            # A file that was replaced since can't be opened as what is loaded.
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(path)
                for setter, getter in _FUNCTIONS:
                    if hasattr(library, setter) and hasattr(library, getter):
                        yield getattr(library, setter), getattr(library, getter)


def _loaded() -> List[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
            mapped = {line.partition("/")[2] for line in stream if ".so" in line}
    except OSError:
        return []
    return ["/" + path.rstrip("\n") for path in sorted(mapped) if _LIBRARY.search(path.rpartition("/")[2])]
