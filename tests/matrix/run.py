"""Runs every use case from every client Python on every Python of one emulated cluster, and says what works.

    nox -s matrix                                        # all of it
    nox -s matrix -- --client 3.12 --cluster 3.6,3.12    # some of it
    nox -s matrix -- --to docs                           # all of it, as the record that later runs are compared with

Writes matrix.json, matrix.html and matrix.png into .matrix/. Ends with status 1 if a cell is not right, unless the record
(docs/matrix.json) has it as not right.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cells import Cell, Matrix, proven, read_matrix, regressions
from clients import client_python
from page import write_page
from picture import draw
from table import print_reasons, print_table

import simcluster
from simcluster.pythons import find_pythons

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OWN = ROOT / ".matrix"
RECORD = ROOT / "docs" / "matrix.json"
CLIENT_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CLUSTER_PYTHONS = ("3.6", "3.7", "3.8", "3.9", *CLIENT_PYTHONS)


def main() -> int:
    chosen = _arguments()
    clients, clusters = _here(chosen.client), _here(chosen.cluster)
    is_whole = (clients, clusters, chosen.use_case) == (CLIENT_PYTHONS, CLUSTER_PYTHONS, None)
    if chosen.to.resolve() == RECORD.parent and not is_whole:
        sys.exit("the record is of all clients, all of the cluster's Pythons and all use cases: leave the choice out")
    record = read_matrix(RECORD) if RECORD.exists() else None
    matrix = _run(clients, clusters, chosen.use_case)
    chosen.to.mkdir(parents=True, exist_ok=True)
    matrix.write(chosen.to / "matrix.json")
    write_page(matrix, chosen.to / "matrix.html")
    draw(matrix, chosen.to / "matrix.png")
    print_table(matrix)
    print(f"\nwritten to {chosen.to}: matrix.html, matrix.png, matrix.json")
    worse = regressions(matrix, record)
    if worse:
        print(f"\n{len(worse)} cells should be right and are not:")
        print_reasons(worse)
    return 1 if worse else 0


def _run(clients: tuple[str, ...], clusters: tuple[str, ...], use_cases: list[str] | None) -> Matrix:
    pythons = {version: client_python(version, OWN / "clients") for version in clients}
    cells: list[Cell] = []
    with (
        tempfile.TemporaryDirectory(prefix="clustrix-matrix-") as directory,
        simcluster.start("slurm", nodes=2, cpus_per_node=2, pythons=clusters) as site,
    ):
        ssh = {name: str(value) for name, value in asdict(site.ssh).items()}
        orders = {"ssh": ssh, "directory": directory, "pythons": clusters, "use_cases": use_cases}
        for version, python in pythons.items():
            started = time.monotonic()
            found = _calls_of(python, orders, Path(directory))
            print(f"client {version}: {len(found)} calls in {time.monotonic() - started:.0f} s", flush=True)
            cells += found
        cells = proven(cells, {job.id: job.name for job in site.jobs()})
    return Matrix(dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"), list(clients), list(clusters), cells)


def _calls_of(python: Path, orders: dict[str, object], directory: Path) -> list[Cell]:
    said, written = directory / "orders.json", directory / "cells.json"
    said.write_text(json.dumps(orders), encoding="utf-8")
    # The data file is named relative to where the script is started.
    subprocess.run([python, "use_cases.py", said, written], cwd=HERE, check=True)
    return [Cell(**cell) for cell in json.loads(written.read_text(encoding="utf-8"))]


def _here(versions: Iterable[str]) -> tuple[str, ...]:
    """Those that this machine has; in CI a missing one is an error."""
    found = find_pythons()
    missing = [version for version in versions if version not in found]
    if missing:
        print(f"skipped, for this machine has no such Python: {', '.join(missing)}", file=sys.stderr)
        if os.environ.get("CI"):
            sys.exit(1)
    return tuple(version for version in versions if version in found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What works, from which Python to which.")
    parser.add_argument("--client", type=_versions(CLIENT_PYTHONS), default=CLIENT_PYTHONS, metavar="3.12,...")
    parser.add_argument("--cluster", type=_versions(CLUSTER_PYTHONS), default=CLUSTER_PYTHONS, metavar="3.6,...")
    parser.add_argument("--use-case", action="append", metavar="NAME", help="of this name alone; may be given again")
    parser.add_argument("--to", type=Path, default=OWN, metavar="DIR", help="where the results go")
    return parser.parse_args()


def _versions(known: tuple[str, ...]):
    def parse(text: str) -> tuple[str, ...]:
        wanted = text.split(",")
        if unknown := sorted(set(wanted) - set(known)):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return tuple(version for version in known if version in wanted)

    return parse


if __name__ == "__main__":
    sys.exit(main())
