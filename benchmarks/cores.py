"""LocalExecutor beside two bare processes, joblib (loky) and ProcessPoolExecutor, by two workers each.

Tasks use up processor time, not time: what else runs on the machine slows both sides alike. joblib's processes are there already when its
turn comes; the others start theirs each time.
"""

from __future__ import annotations

import functools
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 2


def compute(seconds: float) -> float:
    """Use up so many seconds of processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return seconds


def part_sum(array: Any, number: int, parts: int) -> float:
    size = len(array) // parts
    return float(array[number * size : (number + 1) * size].sum())


def made(size: int) -> Any:
    import numpy as np

    return np.ones(size)


def bare(work: Callable[[Any], object], items: list[Any]) -> None:
    """Two forked processes, each of which does every second item: what no pool can beat by more than chance."""
    children = []
    for number in range(WORKERS):
        child = os.fork()
        if child == 0:
            for item in items[number::WORKERS]:
                work(item)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def step(first: int) -> int:
    """About 100 ms of work in a form that is seen to be independent of all else."""
    total = 0
    for number in range(first, first + 1_000_000):
        total += number * number
    return total


def loop(count: int) -> list[int]:
    taken = []
    for i in range(count):
        taken.append(step(i))  # noqa: PERF401 - it is about such loops
    return taken


def by_us(function: Any, variable: str, items: Any) -> list[Any]:
    from clustrix import LocalExecutor

    with LocalExecutor(WORKERS) as executor:
        return executor.execute_loop_parallel(function, variable, items)


def by_joblib(function: Any, items: Any) -> list[Any]:
    import joblib

    return list(joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(function)(item) for item in items))


def by_process_pool(function: Any, items: Any) -> list[Any]:
    with ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, items))


def by_us_with_array(array: Any, parts: int) -> list[Any]:
    from clustrix import LocalExecutor

    with LocalExecutor(WORKERS) as executor:
        return executor.execute_loop_parallel(part_sum, "number", range(parts), (array,), {"parts": parts})


def by_joblib_with_array(array: Any, parts: int) -> list[Any]:
    import joblib

    return list(joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(part_sum)(array, item, parts) for item in range(parts)))


def by_process_pool_with_array(array: Any, parts: int) -> list[Any]:
    with ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(part_sum, [array] * parts, range(parts), [parts] * parts))


def comparisons() -> Iterator[tuple[str, Callable[[], object], str, Callable[[], object], float]]:
    """What is measured, by us, the other's name, by the other, and the ratio that is aimed at (0: none)."""
    for count, seconds in ((1000, 0.001), (20, 0.1)):
        what, items = f"{count} tasks of {seconds * 1000:g} ms", [seconds] * count
        ours = functools.partial(by_us, compute, "seconds", items)
        yield what, ours, "two bare processes", functools.partial(bare, compute, items), 1.03
        yield what, ours, "joblib", functools.partial(by_joblib, compute, items), 0
        yield what, ours, "ProcessPoolExecutor", functools.partial(by_process_pool, compute, items), 0
    from clustrix import cluster

    ours = functools.partial(cluster(parallel=True, local_parallel_threshold=0)(loop), 40)
    yield (
        "a loop of 40 iterations of 100 ms",
        ours,
        "two bare processes",
        functools.partial(bare, step, list(range(40))),
        1 / 0.95,
    )
    what, items = "10,000 tasks of 10 us", [1e-5] * 10000
    ours = functools.partial(by_us, compute, "seconds", items)
    yield what, ours, "joblib", functools.partial(by_joblib, compute, items), 0.9
    yield what, ours, "ProcessPoolExecutor", functools.partial(by_process_pool, compute, items), 0

    array, parts = made(25_000_000), 8
    what = "an array of 200 MB, summed in 8 parts"
    ours = functools.partial(by_us_with_array, array, parts)
    yield what, ours, "joblib", functools.partial(by_joblib_with_array, array, parts), 0.9
    yield what, ours, "ProcessPoolExecutor", functools.partial(by_process_pool_with_array, array, parts), 0
    what, sizes = "two arrays of 100 MB as results", [12_500_000] * 2
    ours = functools.partial(by_us, made, "size", sizes)
    yield what, ours, "joblib", functools.partial(by_joblib, made, sizes), 0.9
    yield what, ours, "ProcessPoolExecutor", functools.partial(by_process_pool, made, sizes), 0
