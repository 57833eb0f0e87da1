"""sinfo: partitions and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.slurm.formats import parse_fields, parse_format, render
from simcluster.emulated.slurm.hostlists import compress, expand
from simcluster.emulated.slurm.json_records import nodes_as_json
from simcluster.emulated.slurm.options import UsageError, table
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.surroundings import user_id
from simcluster.emulated.slurm.times import clock_text, stamp, time_used
from simcluster.emulated.slurm.words import node_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcluster.emulated.allocation import Node
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call, Partition

__all__ = ["sinfo"]

_TABLE = table(
    "sinfo",
    flags="all/a dead/d json list-reasons/R long/l Node/N noheader/h responding/r summarize/s version/V",
    valued="format/o Format/O nodes/n partition/p states/t",
    refused="""clusters/M= cluster= exact/e federation future/F help hide iterate/i= local noconvert
    reservation/T sort/S= usage verbose/v yaml""",
)
_REASONS = "%20E %9u %19H %N"
_LONG_REASONS = "%20E %12U %19H %6t %N"
_SHORT = {
    "idle": "idle",
    "mixed": "mix",
    "allocated": "alloc",
    "completing": "comp",
    "down": "down",
    "draining": "drng",
    "drained": "drain",
}


@dataclass(frozen=True)
class _Group:
    """Nodes of a partition that a line stands for."""

    partition: Partition
    nodes: tuple[Node, ...]


def sinfo(core: Core, call: Call) -> Reply:
    """An unknown partition is no error, but an empty table."""
    try:
        line = _TABLE.parse(call.arguments)
        if line.has("json") and release_of(core).json_parser:
            _TABLE.refuse("json")
    except UsageError as error:
        return Reply(stderr=str(error), code=1)
    if line.has("version"):
        return Reply(f"slurm-wlm {core.settings.version}\n")
    if line.has("json"):
        return Reply(nodes_as_json(core))
    kind, form = _form(line)
    groups = (
        _reasons(core)
        if line.has("list-reasons")
        else _groups(core, line, is_fine=any(f"%{letter}" in form for letter in "OefnGwd") or line.has("Node"))
    )
    fields = _fields(core)
    letters = {letter: (title, value) for letter, _, title, value in fields}
    names = {name: (title, value) for _, name, title, value in fields}
    columns, unknown = parse_fields(form, names) if kind == "O" else parse_format(form, letters)
    notes = "".join(f"Invalid node format specification: {one}\n" for one in unknown)
    above = f"{clock_text(core.clock.time())}\n" if line.has("long") and not line.has("noheader") else ""
    return Reply(above + render(columns, groups, with_header=not line.has("noheader")), notes)


def _form(line: CommandLine) -> tuple[str, str]:
    for name, value in reversed(line.options):
        if name in {"format", "Format"}:
            return ("o" if name == "format" else "O"), value
    if line.has("list-reasons"):
        return "o", _LONG_REASONS if line.has("long") else _REASONS
    if line.has("summarize"):
        return "o", "%9P %.5a %.10l %.16F %N"
    if line.has("Node"):
        form = "%10N %.5D %.9P %.11T %.4c %.8z %.6m %.8d %.6w %.8f %20E" if line.has("long") else "%10N %.5D %.9P %6t"
        return "o", form.replace("%.4c", "%4c") if line.has("long") else form
    return "o", "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N" if line.has(
        "long"
    ) else "%9P %.5a %.10l %.6D %.6t %N"


def _groups(core: Core, line: CommandLine, *, is_fine: bool) -> list[_Group]:
    wanted = set(filter(None, line.last("partition").split(",")))
    only = set(expand(line.last("nodes"))) if line.has("nodes") else None
    states = {state.strip().lower().rstrip("*") for state in line.last("states").split(",") if state}
    groups = []
    for partition in core.partitions.values():
        if wanted and partition.name not in wanted:
            continue
        nodes = [core.nodes[name] for name in (partition.nodes or core.nodes.position)]
        nodes = [node for node in nodes if only is None or node.machine.name in only]
        if line.has("dead") or line.has("responding"):
            nodes = [node for node in nodes if node.is_responding == line.has("responding")]
        if states:
            nodes = [
                node for node in nodes if states & {node_state(node).rstrip("*"), _SHORT[node_state(node).rstrip("*")]}
            ]
        kinds: dict[object, list[Node]] = {}
        for number, node in enumerate(nodes):
            key = number if is_fine else ("" if line.has("summarize") else node_state(node))
            kinds.setdefault(key, []).append(node)
        groups += [_Group(partition, tuple(kind)) for kind in kinds.values()] or [_Group(partition, ())]
    if line.has("Node"):
        groups.sort(key=lambda group: core.nodes.position[group.nodes[0].machine.name] if group.nodes else -1)
    return groups


def _fields(core: Core) -> list[tuple[str, str, str, Callable[[_Group], str]]]:
    """Each as letter, name for `-O`, title, value."""
    return [
        ("P", "partition", "PARTITION", lambda g: g.partition.name + "*" * g.partition.is_default),
        ("R", "partitionname", "PARTITION", lambda g: g.partition.name),
        ("a", "available", "AVAIL", lambda g: "up" if g.partition.is_up else "down"),
        (
            "l",
            "time",
            "TIMELIMIT",
            lambda g: "infinite" if g.partition.max_time is None else time_used(g.partition.max_time),
        ),
        ("D", "nodes", "NODES", lambda g: str(len(g.nodes))),
        ("t", "statecompact", "STATE", lambda g: _state(g, _SHORT)),
        ("T", "statelong", "STATE", lambda g: _state(g, None)),
        ("N", "nodelist", "NODELIST", lambda g: compress([node.machine.name for node in g.nodes])),
        ("n", "nodehost", "HOSTNAMES", lambda g: compress([node.machine.name for node in g.nodes])),
        ("c", "cpus", "CPUS", lambda g: _same(g, lambda node: str(node.machine.cpus))),
        ("m", "memory", "MEMORY", lambda g: _same(g, lambda node: str(node.machine.memory_mb))),
        ("e", "freemem", "FREE_MEM", lambda g: _same(g, lambda node: str(node.free_memory))),
        ("d", "disk", "TMP_DISK", lambda _: "0"),
        ("w", "weight", "WEIGHT", lambda _: "1"),
        (
            "f",
            "features",
            "AVAIL_FEATURES",
            lambda g: _same(g, lambda node: ",".join(node.machine.features) or "(null)"),
        ),
        (
            "G",
            "gres",
            "GRES",
            lambda g: _same(g, lambda node: f"gpu:{node.machine.gpus}" if node.machine.gpus else "(null)"),
        ),
        ("z", "socketcorethread", "S:C:T", lambda g: _same(g, lambda node: f"{node.machine.cpus}:1:1")),
        ("O", "cpusload", "CPU_LOAD", lambda _: "0.00"),
        ("E", "reason", "REASON", lambda g: _same(g, lambda node: node.reason or "none")),
        ("u", "user", "USER", lambda g: _same(g, lambda node: node.reason_user or "Unknown")),
        ("U", "userlong", "USER", lambda g: _same(g, lambda node: _user_with_id(core, node.reason_user))),
        ("H", "timestamp", "TIMESTAMP", lambda g: _same(g, lambda node: stamp(node.reason_time))),
        ("C", "cpusstate", "CPUS(A/I/O/T)", _cpus),
        ("F", "nodeaiot", "NODES(A/I/O/T)", _counts),
        ("s", "size", "JOB_SIZE", lambda _: "1-infinite"),
        ("r", "root", "ROOT", lambda _: "no"),
        ("h", "oversubscribe", "OVERSUBSCRIBE", lambda _: "NO"),
        ("g", "groups", "GROUPS", lambda _: "all"),
        ("A", "nodeai", "NODES(A/I)", lambda g: "/".join(_counts(g).split("/")[:2])),
        ("B", "maxcpuspernode", "MAX_CPUS_PER_NODE", lambda _: "UNLIMITED"),
        ("I", "priorityjobfactor", "PRIO_JOB_FACTOR", lambda _: "1"),
        ("L", "defaulttime", "DEFAULTTIME", lambda _: "n/a"),
        ("M", "preemptmode", "PREEMPT_MODE", lambda _: "OFF"),
        ("p", "prioritytier", "PRIO_TIER", lambda _: "1"),
        ("S", "allocnodes", "ALLOCNODES", lambda _: "all"),
        ("v", "version", "VERSION", lambda _: core.settings.version),
        ("X", "sockets", "SOCKETS", lambda g: _same(g, lambda node: str(node.machine.cpus))),
        ("Y", "cores", "CORES", lambda _: "1"),
        ("Z", "threads", "THREADS", lambda _: "1"),
    ]


def _reasons(core: Core) -> list[_Group]:
    """Nodes that somebody has said something about, together where it was the same."""
    found: dict[object, list[Node]] = {}
    for node in core.nodes.all:
        if node.reason:
            found.setdefault((node.reason, node.reason_user, node.reason_time), []).append(node)
    partition = next(iter(core.partitions.values()))
    return [_Group(partition, tuple(nodes)) for nodes in found.values()]


def _user_with_id(core: Core, user: str | None) -> str:
    return f"{user}({user_id(core, user)})" if user else "Unknown"


def _state(group: _Group, names: dict[str, str] | None) -> str:
    if not group.nodes:
        return "n/a"
    state = node_state(group.nodes[0])
    return state if names is None else names[state.rstrip("*")] + "*" * state.endswith("*")


def _same(group: _Group, value: Callable[[Node], str]) -> str:
    return value(group.nodes[0]) if group.nodes else ""


def _cpus(group: _Group) -> str:
    counts = [0, 0, 0]
    for node in group.nodes:
        busy = node.machine.cpus - node.free_cpus
        counts[0] += busy
        counts[1 if node.is_available else 2] += node.free_cpus
    return "/".join(map(str, [*counts, sum(counts)]))


def _counts(group: _Group) -> str:
    counts = [0, 0, 0]
    for node in group.nodes:
        counts[0 if node.jobs else (1 if node.is_available else 2)] += 1
    return "/".join(map(str, [*counts, len(group.nodes)]))
