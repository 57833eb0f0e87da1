"""What two clusters can't have in common: the only differences that are not compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.transcript import Rule

if TYPE_CHECKING:
    from simcluster.cluster import Cluster

__all__ = ["NODE_RULE", "RULES", "job_rule", "rules_for"]

RULES = {
    "jobs": ("Ids become the scenario's names for its jobs.", "they are counted up"),
    "home": ("The home directory becomes `<home>`.", "it has the user's name in it"),
    "user": ("User and group become `<user>`, without the blanks around them.", "names have different lengths"),
    "date": ("Dates with times become `<date>`.", "clocks go on"),
    "elapsed": ("Durations below a minute become `<elapsed>`.", "machines differ in speed"),
    "priority": ("Ten-digit priorities become `<priority>`.", "each job has one less than the job before it"),
    "process": ("Numbers of processes, sessions and ports become `<process>`.", "kernels choose them"),
    "scheduler": ("`Main` and `Backfill` become `<scheduler>`.", "a job is started by whichever looks at it first"),
    "node": (
        "In scenarios that share the cluster, the one node of a job becomes `<node>`.",
        "which one is free depends on the others",
    ),
    "machine": ("A node's kernel, load and free memory become `<machine>`.", "they are the machine's"),
}
"""Each rule's effect and its reason."""


def job_rule(name: str, number: str) -> Rule:
    """One job's id, also with zeros before it as in the spool directory's name."""
    return _rule("jobs", rf"(?<!\d)(?<!\d[.:])0*{number}(?!\d)", f"<{name}>")


def rules_for(cluster: Cluster) -> tuple[Rule, ...]:
    """All rules but that for ids, with the names that this cluster has."""
    user, uid = cluster.run("echo $(id -un) $(id -u)", check=True).stdout.split()
    return (
        _rule("home", rf"{re.escape(cluster.home)}\b", "<home>"),
        _rule(
            "user",
            rf" *\b{re.escape(user)}(\({uid}\))?(?![\w-]) *|(?<=_[UG]ID=)\d+|(?<=CANCELLED by ){uid}\b",
            "<user>",
        ),
        _rule("date", r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b", "<date>"),
        _rule("elapsed", r"\b00:00:[0-5]\d\b|(?<= )0:[0-5]\d(?= +\d+ )", "<elapsed>"),
        _rule("priority", r"\b4294[89]\d{5}\b", "<priority>"),
        _rule(
            "process",
            r"(?<=Sid=login:)\d+|(?<=Sid=localhost:)\d+|(?<=: line \d: ) *\d+ (?=[A-Z])|(?<=_PID=)\d+|(?<= Port=)\d+"
            r"|(?<=_CLUSTER=simcluster:login:)\d+|(?<=_CLUSTER=simcluster:127\.0\.0\.1:)\d+",
            "<process>",
        ),
        _rule("scheduler", r"(?<=Scheduler=)(Main|Backfill)", "<scheduler>"),
        _rule("machine", r"(?<=OS=)Linux.*(?=\n| Real)|(?<=CPULoad=)[\d.]+|(?<=FreeMem=)\d+", "<machine>"),
    )


def _rule(name: str, pattern: str, replacement: str) -> Rule:
    return Rule(name, re.compile(pattern), replacement, RULES[name][1])


NODE_RULE = _rule("node", r"\bnode[12]\b", "<node>")
"""For scenarios beside which others are played."""
