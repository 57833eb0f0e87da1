"""The kinds of site that the same calls are tried on, and the table of what worked where."""

from collections import defaultdict

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


def add_options(parser):
    group = parser.getgroup("real world")
    group.addoption("--sites", default=",".join(SITES), help=f"which kinds of site: of {','.join(SITES)}")
    group.addoption("--cluster-pythons", default=",".join(CORNERS), help="which of the cluster's Pythons, or all")


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


def table(reports):
    """The lines of the table: a row for each site and Python, a column for each test."""
    cells = defaultdict(dict)
    for report in reports:
        told = dict(report.user_properties)
        if "site" in told and (report.when == "call" or not report.passed):
            mark = "ok" if report.passed else report.outcome
            cells[told["site"], told["python"]][told["what"]] = mark
    if not cells:
        return []
    columns = list(dict.fromkeys(what for row in cells.values() for what in row))
    widths = [max(len(column), 6) for column in columns]
    lines = [f"{'site':<18}{'Python':<8}" + "  ".join(map(str.ljust, columns, widths))]
    for (site, python), row in sorted(cells.items(), key=lambda item: (item[0][0], ALL.index(item[0][1]))):
        marks = (row.get(column, "-").ljust(width) for column, width in zip(columns, widths, strict=True))
        lines.append(f"{site:<18}{python:<8}" + "  ".join(marks))
    return lines


def shown_name(name):
    """PBS is called so where it is one."""
    called = site_of(simcluster.ClusterSpec(**SITES[name])).name
    return called if called.startswith("emulated") else name
