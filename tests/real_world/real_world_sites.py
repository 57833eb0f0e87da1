"""The kinds of site that the same calls are tried on, and the table of what worked where."""

import json
from collections import defaultdict
from pathlib import Path

import simcluster
from simcluster.docker.schedulers import site_of

SITES = {
    "slurm-accounting": {"scheduler": "slurm", "backend": "docker", "accounting": True},
    "slurm": {"scheduler": "slurm", "backend": "docker", "accounting": False},
    "sge": {"scheduler": "sge", "backend": "docker"},
    "pbs": {"scheduler": "pbs", "backend": "docker"},
    "ssh": {"scheduler": "ssh", "backend": "docker"},
}
ALL = ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
CORNERS = [ALL[0], ALL[-1]]
ANY = "any"


def add_options(parser):
    group = parser.getgroup("real world")
    group.addoption("--sites", default=",".join(SITES), help=f"which kinds of site: of {','.join(SITES)}")
    group.addoption("--cluster-pythons", default=",".join(CORNERS), help="which of the cluster's Pythons, or all")
    group.addoption("--outcomes", help="a file for what became of each site and Python, as JSON")


def wanted_sites(config):
    names = config.getoption("--sites").split(",")
    if unknown := set(names) - set(SITES):
        raise SystemExit(f"--sites: {', '.join(sorted(unknown))} unknown; there are {', '.join(SITES)}")
    return names


def wanted_pythons(config):
    named = config.getoption("--cluster-pythons")
    return list(simcluster.ClusterSpec(pythons=named.split(",")).pythons) if named != "all" else ALL


def started(name, config):
    """The site's cluster, to be used in a `with` block."""
    return simcluster.start(**SITES[name], nodes=2, pythons=wanted_pythons(config))


def outcomes(reports):
    """By site and Python, what became of each test; what a site does whatever the Python is stands under ANY."""
    cells = defaultdict(dict)
    for report in reports:
        told = dict(report.user_properties)
        if "site" in told and (report.when == "call" or not report.passed):
            cells[told["site"], told["python"]][told["what"]] = "ok" if report.passed else report.outcome
    return dict(sorted(cells.items(), key=lambda cell: (cell[0][0], [*ALL, ANY].index(cell[0][1]))))


def write_outcomes(path, cells):
    """{"slurm 3.6": true}: whether all went well there; a site's own tests count for each of its Pythons."""
    names = {shown_name(name): name for name in SITES}
    well = {(names[site], python): set(row.values()) == {"ok"} for (site, python), row in cells.items()}
    whole = {f"{site} {python}": each and well.get((site, ANY), False) for (site, python), each in well.items()}
    Path(path).write_text(json.dumps(whole), encoding="utf-8")


def table(cells):
    """The lines of the table: a row for each site and Python, a column for each test."""
    lines = []
    for are_of_sites, title in ((False, "site and Python"), (True, "site")):
        part = {cell: row for cell, row in cells.items() if (cell[1] == ANY) == are_of_sites}
        columns = list(dict.fromkeys(what for row in part.values() for what in row))
        widths = [max(len(column), 6) for column in columns]
        if part:
            lines.append(f"{title:<26}" + "  ".join(map(str.ljust, columns, widths)))
        for (site, python), row in part.items():
            marks = (row.get(column, "-").ljust(width) for column, width in zip(columns, widths, strict=True))
            lines.append(f"{site:<18}{'' if are_of_sites else python:<8}" + "  ".join(marks))
    return lines


def shown_name(name):
    """PBS is called so where it is one."""
    called = site_of(simcluster.ClusterSpec(**SITES[name])).name
    return called if called.startswith("emulated") else name
