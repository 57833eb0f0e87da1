"""Measures clustrix side by side with what people would use otherwise, in one run, and prints ratios.

    nox -s bench                all tables (most need a Docker engine)
    nox -s bench -- imports     some of them: calls, maps, environments, imports, packaging, runner, values, files, cores
    nox -s bench -- --to docs   all, or those that are named, into docs/benchmarks.json, its picture and docs/comparison.md

Each figure is a median; each ratio is of two medians that were measured in turns, so that what disturbs one disturbs
the other.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from identity import identity
from record import Row, keep, measured_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import simcluster
    from clustrix import ClusterConfig

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples" / "iris"))


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def in_turns(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, float]:
    """The medians of both, measured alternately; the first round of each warms up and does not count."""
    pairs = [(first(), second()) for _ in range(rounds + 1)][1:]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def imports() -> list[Row]:
    """What ``import`` costs in a fresh interpreter."""

    def cost(module: str) -> float:
        program = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return float(answer.stdout) * 1000

    rows = []
    for name, ours, goal in (
        ("import clustrix", "clustrix", 0.5),
        ("from clustrix import cluster", "clustrix.decorator", 0),
    ):
        medians = in_turns(lambda ours=ours: cost(ours), lambda: cost("submitit"), 15)  # type: ignore[misc]
        rows.append(Row(name, medians[0], "import submitit", medians[1], goal, metadata.version("submitit")))
    return rows


def packaging() -> list[Row]:
    """What it costs to find and pack what a function needs; cloudpickle finds less, and packs bytecode."""
    with tempfile.TemporaryDirectory() as directory:
        write_modules(Path(directory), 12)
        return [
            *packed("the example", HERE.parent / "examples" / "iris", "run.species_statistics.undecorated"),
            *packed("12 local modules", Path(directory), "start.function"),
        ]


def packed(what: str, directory: Path, function: str) -> list[Row]:
    """Rows of a function that is an attribute of a module in ``directory``: in a fresh process, and once more there."""
    program = f"""
import sys, tempfile, time
sys.path.insert(0, {str(directory)!r})
import {function.partition(".")[0]}, cloudpickle
from clustrix.config import ClusterConfig
from clustrix.file_packaging import package_function_for_execution as pack
config = ClusterConfig(local_cache_dir=tempfile.mkdtemp())
function = {function}
def once(action):
    started = time.perf_counter(); action(); return (time.perf_counter() - started) * 1000
cold = once(lambda: pack(function, config))
warm = sorted(once(lambda: pack(function, config)) for _ in range(51))[25]
first = once(lambda: cloudpickle.dumps(function))
peer = sorted(once(lambda: cloudpickle.dumps(function)) for _ in range(51))[25]
import shutil; shutil.rmtree(config.local_cache_dir)
print(cold, warm, first, peer)
"""
    runs = []
    for _ in range(9):
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        runs.append([float(word) for word in answer.stdout.split()])
    cold, warm, first, peer = (statistics.median(column) for column in zip(*runs, strict=True))
    return [
        Row(
            f"pack {what}, first time",
            cold,
            "cloudpickle.dumps, first time",
            first,
            version=metadata.version("cloudpickle"),
        ),
        Row(f"pack {what}, again", warm, "cloudpickle.dumps, again", peer, version=metadata.version("cloudpickle")),
    ]


def write_modules(directory: Path, count: int) -> None:
    """A chain of modules of a hundred lines each, and ``start``, which begins it."""
    body = "".join(
        f"\n\ndef step{number}(values, weight={number}):\n"
        '    """One of many."""\n'
        "    total = 0\n"
        "    for index, value in enumerate(values):\n"
        "        if index % 2:\n"
        "            total += value * weight\n"
        "        else:\n"
        "            total -= value\n"
        "    return total\n"
        for number in range(10)
    )
    for number in range(count):
        link = f"import link{number + 1}\n" if number + 1 < count else ""
        (directory / f"link{number}.py").write_text(f"import math\n{link}{body}", encoding="utf-8")
    text = "import link0\n\n\ndef function(values):\n    return link0.step1(values)\n"
    (directory / "start.py").write_text(text, encoding="utf-8")


def values(rounds: int = 9) -> list[Row]:
    """Values to a file and back, as a job's arguments and results go, against pickle; without signing."""
    import wire_and_runner as wr

    rows = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        for what, value in (("100,000 small objects", wr.small_objects()), ("an array of 200 MB", wr.large_array())):
            for protocol in (4, 5):
                ours, theirs = wr.by_wire(value, protocol, path), wr.by_pickle(value, protocol, path)
                medians = in_turns(lambda a=ours: milliseconds(a), lambda a=theirs: milliseconds(a), rounds)  # type: ignore[misc]
                rows.append(
                    Row(
                        f"{what}, protocol {protocol}", medians[0], "pickle", medians[1], 1.1, platform.python_version()
                    )
                )
    return rows


def runner(rounds: int = 31) -> list[Row]:
    """From the start of a job's Python to the first line of its function, against the start of that Python; at most 60 ms on 3.6."""
    import wire_and_runner as wr

    rows = []
    for version in ("3.6", "3.12"):
        python = wr.python_of(version)
        if python is None:
            print(f"there is no Python {version} here", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as directory:
            job = wr.first_line_of_a_job(python, Path(directory))
            medians = in_turns(job, wr.first_line_of_a_script(python), rounds)
        rows.append(Row(f"first line of a job, {version}", medians[0], "first line of a script", medians[1], 0))
    return rows


# On the login node: submit, wait for the file the job writes, print the seconds. The same limits as the call beside it.
BARE = """
import os, subprocess, sys, tempfile, time
directory = tempfile.mkdtemp(dir=os.path.expanduser("~"))
script, mark = os.path.join(directory, "job.sh"), os.path.join(directory, "mark")
open(script, "w").write("#!/bin/bash\\n#SBATCH --mem=300M\\n#SBATCH -c 1\\n#SBATCH -t 5\\n#SBATCH -o /dev/null\\necho > " + mark + "\\n")
started = time.time()
subprocess.check_output(["sbatch", script])
while not os.path.exists(mark):
    time.sleep(0.005)
print(time.time() - started)
import shutil
shutil.rmtree(directory)
"""


def calls(rounds: int = 40) -> Iterator[Row]:
    """A warm call from submission to value, against the least that anybody could do on the same cluster, and against peers there."""
    import many_calls

    import clustrix
    import simcluster

    with simcluster.start("slurm", backend="docker", nodes=2, pythons=["3.12"]) as cluster:
        ssh = cluster.ssh
        clustrix.configure(
            cluster_host=ssh.host, cluster_port=ssh.port, username=ssh.username,
            key_file=str(ssh.key_file), known_hosts_file=str(ssh.known_hosts_file),
        )  # fmt: skip
        remote = clustrix.cluster(cores=1, memory="300MB", time="00:05:00")(identity)
        cluster.run("cat > bare.py", input=BARE, check=True)

        def pause() -> None:
            # The scheduler works in ticks: without this, both would always meet the same moment of one.
            time.sleep(random.uniform(0, 1.5))

        def ours() -> float:
            pause()
            return milliseconds(lambda: remote(1))

        def bare() -> float:
            pause()
            return float(cluster.run("python3 bare.py", check=True).stdout) * 1000

        what = "warm call, submission to value"
        medians = in_turns(ours, bare, rounds)
        yield Row(what, medians[0], "bare sbatch, wait for its file", medians[1], 1.1)
        versions = many_calls.prepare(cluster)
        for name, program in (("submitit", many_calls.SUBMITIT), ("executorlib", many_calls.EXECUTORLIB)):

            def theirs(name: str = name, program: str = program) -> float:
                return many_calls.by_program(cluster, program, name, 1, 0.0).milliseconds

            medians = in_turns(ours, theirs, rounds // 8)
            yield Row(what, medians[0], name, medians[1], version=versions[name])


def maps() -> Iterator[Row]:
    """Many calls at once against a raw array of as many elements, and against submitit and executorlib, all on the login node."""
    import many_calls
    from identity import pause

    import clustrix
    import simcluster

    with simcluster.start("slurm", backend="docker", nodes=2, cpus_per_node=4, pythons=["3.12"]) as cluster:
        versions = many_calls.prepare(cluster)
        ssh = cluster.ssh
        clustrix.configure(
            cluster_host=ssh.host, cluster_port=ssh.port, username=ssh.username,
            key_file=str(ssh.key_file), known_hosts_file=str(ssh.known_hosts_file),
        )  # fmt: skip
        remote = clustrix.cluster(cores=1, memory="100MB", time="00:05:00", python="3.12")(pause)
        remote(0)
        programs = {
            "a raw array": (many_calls.RAW, "none"),
            "submitit's map_array": (many_calls.SUBMITIT, "submitit"),
            "executorlib": (many_calls.EXECUTORLIB, "executorlib"),
        }
        for count, seconds, names, goal in (
            (100, 0.0, list(programs), 0.5),
            (100, 1.0, list(programs)[:2], 1.05),
            (1000, 0.0, list(programs)[:1], 0.5),
        ):
            ours = many_calls.by_map(cluster, remote, count, seconds)
            for name in names:
                theirs = many_calls.by_program(cluster, *programs[name], count, seconds)
                counts = f"{count} calls of {seconds:g} s ({ours.calls}/{theirs.calls} commands, {ours.files}/{theirs.files} files left)"
                aim = goal if name == "a raw array" else 0.5
                yield Row(
                    counts, ours.milliseconds, name, theirs.milliseconds, aim, versions.get(programs[name][1], "")
                )


def environments(rounds: int = 3) -> Iterator[Row]:
    """The first call that needs numpy and pandas, against an environment made by hand on the login node; ten clients against one."""
    import simcluster

    # A CPU for each of ten jobs: how long Slurm has them wait for one another is not what is measured.
    with simcluster.start("slurm", backend="docker", nodes=1, cpus_per_node=10, pythons=["3.6", "3.12"]) as cluster:
        for python in ("3.6", "3.12"):
            # The bundled pip of 3.6 takes no wheels of today's, so that is the first thing that anybody does.
            by_hand = f"rm -rf ~/.cache e && {cluster.pythons[python]} -m venv e && e/bin/pip install -qU pip && e/bin/pip install -q numpy pandas"
            with tempfile.TemporaryDirectory() as cache:

                def ours(python: str = python, cache: str = cache) -> float:
                    cluster.run("rm -rf ~/.clustrix ~/.cache", check=True)
                    return first_calls(cluster, python, cache, clients=1)

                def theirs(by_hand: str = by_hand) -> float:
                    return milliseconds(lambda: cluster.run(by_hand, check=True, timeout=300))

                medians = in_turns(ours, theirs, rounds)
                yield Row(
                    f"first call with numpy and pandas, {python}", medians[0], "venv and pip, by hand", medians[1], 0.5
                )
                warm = in_turns(
                    lambda python=python, cache=cache: first_calls(cluster, python, cache, clients=1),  # type: ignore[misc]
                    ours, rounds,
                )  # fmt: skip
                yield Row(f"another client's call, {python}", warm[0], "first call", warm[1], 0)

                def cleared(
                    measure: Callable[..., float], clients: int, python: str = python, cache: str = cache
                ) -> Callable[[], float]:
                    def cleared_first() -> float:
                        cluster.run("rm -rf ~/.clustrix ~/.cache", check=True)
                        return measure(cluster, python, cache, clients)

                    return cleared_first

                # Connecting is ten times the work of one, and so are the jobs, whatever they need.
                both = in_turns(cleared(builds, 10), cleared(builds, 1), rounds)
                yield Row(f"ten clients build one environment, {python}", both[0], "one client does", both[1], 1.1)
                both = in_turns(cleared(connected_calls, 10), cleared(connected_calls, 1), rounds)
                yield Row(f"ten connected clients' first calls, {python}", both[0], "one client's", both[1], 0)


PACKAGES = ["numpy<=2.3.5", "pandas<=2.3.3"]


def config_of(cluster: simcluster.Cluster, cache: str) -> ClusterConfig:
    from clustrix import ClusterConfig

    return ClusterConfig(
        cluster_host=cluster.ssh.host, cluster_port=cluster.ssh.port, username=cluster.ssh.username,
        key_file=str(cluster.ssh.key_file), known_hosts_file=str(cluster.ssh.known_hosts_file), local_cache_dir=cache,
        default_cores=1, default_memory="100MB", default_time="00:10:00",
    )  # fmt: skip


def builds(cluster: simcluster.Cluster, python: str, cache: str, clients: int) -> float:
    """As many clients, connected already, ask for the environment of a job at once: milliseconds until all have it."""
    from concurrent.futures import ThreadPoolExecutor

    from clustrix.environment_inventory import EnvironmentInventory

    inventories = [EnvironmentInventory(config_of(cluster, cache)) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(EnvironmentInventory.environments, inventories))
        spent = milliseconds(
            lambda: list(pool.map(lambda inventory: inventory.build(PACKAGES, python=python), inventories))
        )
    for inventory in inventories:
        inventory.close()
    return spent


def connected_calls(cluster: simcluster.Cluster, python: str, cache: str, clients: int) -> float:
    return first_calls(cluster, python, cache, clients=clients, is_connected=True)


def first_calls(
    cluster: simcluster.Cluster, python: str, cache: str, *, clients: int, is_connected: bool = False
) -> float:
    """As many clients, each with a connection of its own, call a function that needs pandas: milliseconds until all have the
    value."""
    from concurrent.futures import ThreadPoolExecutor

    from clustrix import ClusterExecutor
    from clustrix import cluster as decorate

    wanted = decorate(python=python, requirements=PACKAGES)(identity)
    executors = [ClusterExecutor(config_of(cluster, cache)) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        if is_connected:
            list(pool.map(ClusterExecutor.connect, executors))
        spent = milliseconds(lambda: list(pool.map(lambda executor: executor.submit(wanted, 1).result(), executors)))
    for executor in executors:
        executor.shutdown()
    return spent


def files() -> Iterator[Row]:
    """Files of a cluster, beside what people type, and beside SFTP."""
    import cluster_files

    return cluster_files.files()


def cores(rounds: int = 7) -> Iterator[Row]:
    """The cores of this machine, beside what else shares work out among them."""
    import cores as by_cores

    for what, ours, peer, theirs, goal in by_cores.comparisons():
        medians = in_turns(lambda a=ours: milliseconds(a), lambda a=theirs: milliseconds(a), rounds)  # type: ignore[misc]
        yield Row(what, medians[0], peer, medians[1], goal, metadata.version("joblib") if peer == "joblib" else "")


TABLES = {
    "imports": imports,
    "packaging": packaging,
    "values": values,
    "runner": runner,
    "calls": calls,
    "maps": maps,
    "environments": environments,
    "files": files,
    "cores": cores,
}


def main() -> None:
    chosen = arguments()
    load = os.getloadavg()[0]
    print(f"{'clustrix':44} {'median':>12}  {'beside':32} {'median':>12}  {'ratio':>6}  {'goal':>5}")
    for name in chosen.tables or TABLES:
        rows = []
        for row in TABLES[name]():
            print(row, flush=True)
            rows.append(row)
        if chosen.to:
            about = " ".join((TABLES[name].__doc__ or "").split())
            # At once: what comes after it may fail.
            keep(chosen.to, {name: measured_now(about, load, rows)}, list(TABLES))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ratios of clustrix and others, measured side by side.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all of them if none is named")
    parser.add_argument("--to", type=Path, metavar="DIR", help="keep what is measured: docs is the record")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.tables if name not in TABLES]:
        parser.error(f"no table {unknown[0]!r}; there are: {', '.join(TABLES)}")
    return chosen


if __name__ == "__main__":
    main()
