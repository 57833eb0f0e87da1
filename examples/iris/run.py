"""Statistics of Fisher's irises, computed here and on a cluster whose Python is 3.6.

    python examples/iris/run.py --profile my-cluster.yml

Read it from top to bottom. What the decorated function needs goes with it to the cluster: the constant, the helper and
the local package. These have to be valid Python 3.6; the rest of the script stays here.
"""

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import clustrix
import numpy as np

from irisstats import FEATURES, correlation, describe, read_measurements

# 1. A constant and a helper. Nothing marks them: the function below uses them, so they come along.

STANDARD_ERRORS = 1.96  # half the width of a 95 % interval


def interval_of_mean(statistics: Dict[str, Any]) -> np.ndarray:
    """The 95 % interval of the mean, shape (2, features), lower bounds first; in cm."""
    margin = STANDARD_ERRORS * statistics["std"] / np.sqrt(statistics["n"])
    return np.stack([statistics["mean"] - margin, statistics["mean"] + margin])


# 2. The function. It gets arrays and lists, and returns dictionaries of arrays, as it would without the decorator.


@clustrix.cluster(cores=2, memory="500MB", time="00:05:00", python="3.6")
def species_statistics(measurements: np.ndarray, species: List[str]) -> Dict[str, Any]:
    """Describe each species. ``measurements`` is of shape (flowers, 4), in cm; ``species`` has a name for each row."""
    names = np.array(species)
    by_species = {}
    for name in sorted(set(species)):
        sample = measurements[names == name]
        statistics = describe(sample)
        statistics["interval_of_mean"] = interval_of_mean(statistics)
        statistics["petal_correlation"] = correlation(sample, "petal_length", "petal_width")
        by_species[name] = statistics
    return {
        "species": by_species,
        "provenance": {"node": platform.node(), "python": sys.version_info[:3], "numpy": np.__version__},
    }


# 3. The calls. All of this runs here.


def main(arguments: Optional[List[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Statistics of Fisher's irises, here and on a cluster.")
    parser.add_argument("--profile", metavar="FILE.yml", help="which cluster; default: the clustrix configuration")
    parser.add_argument("--python", metavar="VERSION", default="3.6", help="the job's Python; default: %(default)s")
    options = parser.parse_args(arguments)
    if options.profile:
        clustrix.load_config(options.profile)

    measurements, species = read_measurements(Path(__file__).with_name("iris.csv"))

    expected = species_statistics.local(measurements, species)

    # `value = species_statistics(measurements, species)` would do; the future also knows where and how fast it ran.
    started = time.perf_counter()
    future = species_statistics.options(python=options.python).submit(measurements, species)
    value = future.result()
    elapsed = time.perf_counter() - started

    check_same(value["species"], expected["species"])
    print(f"{len(species)} flowers, {measurements.shape[1]} measurements each")
    print(f"here:    {described(expected['provenance'])}")
    print(f"the job: {described(value['provenance'])}")
    print("both gave the same statistics\n")
    print_statistics(value["species"])
    # A call that ran here, because no cluster is configured, has no stages.
    print_timings(getattr(future, "timings", {}), elapsed)


def check_same(value: Dict[str, Any], expected: Dict[str, Any]) -> None:
    """Raise AssertionError unless all numbers agree; another numpy may sum in another order, hence the last bits may differ."""
    np.testing.assert_equal(sorted(value), sorted(expected))
    for name, statistics in expected.items():
        np.testing.assert_equal(sorted(value[name]), sorted(statistics))
        for quantity, numbers in statistics.items():
            np.testing.assert_allclose(value[name][quantity], numbers, rtol=1e-12, err_msg=f"{quantity} of {name}")


def described(provenance: Dict[str, Any]) -> str:
    version = ".".join(map(str, provenance["python"]))
    return f"{provenance['node']}, Python {version}, numpy {provenance['numpy']}"


def print_statistics(by_species: Dict[str, Any]) -> None:
    print("mean ± standard deviation in cm, and how petal length and width correlate")
    print(f"{'species':<12}{'n':>3}", *(f"{feature.replace('_', ' '):>13}" for feature in FEATURES), f"{'r':>6}")
    for name, statistics in by_species.items():
        cells = [f"{mean:6.3f} ± {std:.2f}" for mean, std in zip(statistics["mean"], statistics["std"])]
        columns = (f"{cell:>13}" for cell in cells)
        print(f"{name:<12}{statistics['n']:>3}", *columns, f"{statistics['petal_correlation']:6.3f}")
    print()


def print_timings(timings: Dict[str, float], elapsed: float) -> None:
    for stage, seconds in timings.items():
        print(f"{stage:<28}{seconds:>8.3f} s")
    print(f"{'from call to value':<28}{elapsed:>8.3f} s")


if __name__ == "__main__":
    main()
