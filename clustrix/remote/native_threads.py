"""How many threads the native libraries of a worker use: OpenBLAS, MKL, BLIS and OpenMP would each take all cores.

A variable tells those that are loaded later. Those that are there, which a forked worker inherits, are told by their own
functions, found as threadpoolctl finds them. Only Linux shows what is loaded; elsewhere workers start with nothing loaded.
"""

import contextlib
import os
import re
from typing import Set

__all__ = ["limit_native_threads"]

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# numpy's and scipy's own builds of OpenBLAS have other prefixes and suffixes.
_FUNCTIONS = (
    *(prefix + "openblas_set_num_threads" + suffix for prefix in ("", "scipy_") for suffix in ("", "64_")),
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
    "omp_set_num_threads",
)
_LIBRARY = re.compile(r"/[^/]*(openblas|mkl_rt|blis|gomp|iomp|libomp)[^/]*\.so[^/]*$")


def limit_native_threads(count: int) -> None:
    """Have each of them use at most ``count``; call it again when more may have been loaded."""
    for name in _VARIABLES:
        os.environ[name] = str(count)
    libraries = _loaded()
    if libraries:
        import ctypes  # noqa: PLC0415 - few processes have any

        for path in libraries:
            # A file that was replaced since can't be opened as what is loaded.
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(path)
                for name in _FUNCTIONS:
                    set_count = getattr(library, name, None)
                    if set_count is not None:
                        set_count(count)


def _loaded() -> Set[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
            return {"/" + line.rstrip("\n").partition("/")[2] for line in stream if _LIBRARY.search(line.rstrip("\n"))}
    except OSError:
        return set()
