"""pbsnodes: what nodes there are, and for an operator which of them take jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.formats import json_document
from simcluster.emulated.pbs.getopt import Options
from simcluster.emulated.pbs.identifiers import is_operator, job_id
from simcluster.emulated.pbs.words import SERVER, UNAUTHORIZED, VERSION, usage

if TYPE_CHECKING:
    from simcluster.emulated.allocation import Node
    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.pbs.attributes import Attribute

__all__ = ["pbsnodes"]

_OPTIONS = Options("pbsnodes", "acC:dD:F:HjlLoqrs:Sv", refused="cdL")
_USAGE = """\
usage:	pbsnodes [-{o|r}][-C comment][-s server] host host ...
	pbsnodes -l [-s server]
	pbsnodes [-s server] -v vnode vnode ...
	pbsnodes -a[v][S[j][L]][-F format][-D delim][-s server]
	pbsnodes -[H][S[j][L]][-F format][-D delim] host host ...
	pbsnodes --version

"""
_JOB_SUMMARY = """\
                                                        mem       ncpus   nmics   ngpus
vnode           state           njobs   run   susp      f/t        f/t     f/t     f/t   jobs
--------------- --------------- ------ ----- ------ ------------ ------- ------- ------- -------
"""
_SUMMARY = """\
vnode           state           OS       hardware host            queue        mem     ncpus   nmics   ngpus  comment
--------------- --------------- -------- -------- --------------- ---------- -------- ------- ------- ------- ---------
"""


def pbsnodes(core: Core, call: Call) -> Reply:
    """Exit code 1 for anything that went wrong."""
    if call.arguments == ("--version",):
        return Reply(f"pbs_version = {VERSION}\n")
    line = _OPTIONS.parse(call.arguments)
    shapes = [option for option, _ in line.options if option in "aHlor"]
    wants_names = not line.has("a", "l")
    if line.errors or len(set(shapes)) > 1 or bool(line.rest) != wants_names:
        return usage("pbsnodes", "" if line.has("q") else _USAGE, line.errors)
    if line.last("F", "default").lower() not in {"default", "json", "dsv"}:
        return usage("pbsnodes", _USAGE)
    if line.has("s") and line.last("s") != SERVER:
        text = f"Unknown Host.\npbsnodes: cannot connect to server {line.last('s')}, error=15008\n"
        return Reply(stderr=text, code=1)
    if line.has("o", "r", "C"):
        return _mark(core, call, line)
    if line.has("l"):
        absent = [node for node in core.nodes.all if not node.is_available]
        return Reply("".join(f"{node.machine.name:20} {_state(node)} {_comment(node) or ''}\n" for node in absent))
    known = [name for name in line.rest if name in core.nodes.position]
    names = [node.machine.name for node in core.nodes.all] if line.has("a") else known
    errors = "".join(f"Node: {name},  Error: Unknown node \n" for name in line.rest if name not in known)
    return Reply(_report(core, line, names), errors, 1 if errors else 0)


def _report(core: Core, line: CommandLine, names: list[str]) -> str:
    style = line.last("F", "default").lower()
    if line.has("S"):
        return _summary(core, line, names)
    shown = {name: _attributes(core, core.nodes[name]) for name in names}
    if style == "json":
        return json_document("nodes", {name: _nested(attributes) for name, attributes in shown.items()})
    if style == "dsv":
        delimiter = line.last("D", "|")
        rows = []
        for name, attributes in shown.items():
            pieces = (
                f"{_label(one)}={_moment(one).replace(' ', '') if one[0] == 'jobs' else _moment(one)}"
                for one in attributes
            )
            rows.append(delimiter.join([f"Name={name}", *pieces]) + "\n")
        return "".join(rows)
    return "".join(
        f"{name}\n{''.join(f'     {_label(one)} = {_moment(one)}{chr(10)}' for one in attributes)}\n"
        for name, attributes in shown.items()
    )


def _attributes(core: Core, node: Node) -> list[Attribute]:
    machine = node.machine
    found: list[Attribute] = [
        ("Mom", None, machine.name),
        ("ntype", None, "PBS"),
        ("state", None, _state(node)),
        ("pcpus", None, str(machine.cpus)),
    ]
    if jobs := _job_slots(node):
        found.append(("jobs", None, ", ".join(jobs)))
    available = {"arch": "linux", "host": machine.name, "mem": _size(machine.memory_mb), "ncpus": str(machine.cpus)}
    if machine.gpus:
        available["ngpus"] = str(machine.gpus)
    available["vnode"] = machine.name
    found += [("resources_available", name, value) for name, value in available.items()]
    found += [("resources_assigned", name, value) for name, value in _assigned(node).items()]
    if remark := _comment(node):
        found.append(("comment", None, remark))
    found += [
        ("resv_enable", None, "True"),
        ("sharing", None, "default_shared"),
        ("license", None, "l"),
        ("last_state_change_time", None, str(int(node.reason_time or core.booted))),
    ]
    if last := [job.started for job in core.jobs if machine.name in job.nodes and job.started is not None]:
        found.append(("last_used_time", None, str(int(max(last)))))
    return found


def _assigned(node: Node) -> dict[str, str]:
    machine = node.machine
    assigned = {
        "accelerator_memory": "0kb",
        "hbmem": "0kb",
        "mem": f"{(machine.memory_mb - node.free_memory) * 1024}kb",
        "naccelerators": "0",
        "ncpus": str(machine.cpus - node.free_cpus),
    }
    if machine.gpus:
        assigned["ngpus"] = str(machine.gpus - node.free_gpus)
    return {**assigned, "vmem": "0kb"}


def _nested(attributes: list[Attribute]) -> dict[str, object]:
    """In JSON, jobs are a list, and what is not assigned is left out."""
    found: dict[str, object] = {}
    for name, resource, value in attributes:
        scalar: object = int(value) if value.isdecimal() else value
        if name == "jobs":
            found[name] = list(dict.fromkeys(slot.partition("/")[0] for slot in value.split(", ")))
        elif resource is None:
            found[name] = scalar
        else:
            inner = found.setdefault(name, {})
            assert isinstance(inner, dict)  # noqa: S101
            if name != "resources_assigned" or value not in {"0", "0kb"}:
                inner[resource] = scalar
    return found


def _summary(core: Core, line: CommandLine, names: list[str]) -> str:
    with_jobs = line.has("j")
    rows = [_JOB_SUMMARY if with_jobs else _SUMMARY]
    for name in names:
        node = core.nodes[name]
        machine = node.machine
        total, free = _size(machine.memory_mb), _size(node.free_memory)
        gpus = f"{node.free_gpus}/{machine.gpus}" if with_jobs else str(machine.gpus)
        if with_jobs:
            ids = list(dict.fromkeys(job_id(job).removesuffix(f".{SERVER}") for job in node.jobs))
            counts = f"{len(ids):6} {len(ids):5} {0:6}"
            sizes = f"{f'{free}/{total}':>12} {f'{node.free_cpus}/{machine.cpus}':>7} {'0/0':>7} {gpus:>7}"
            rows.append(f"{name:15} {_state(node):15} {counts} {sizes} {','.join(ids) or '--'}\n")
        else:
            sizes = f"{total:>8} {machine.cpus:>7} {0:>7} {gpus:>7}"
            rows.append(
                f"{name:15} {_state(node):15} {'--':8} {'--':8} {name:15} {'--':10} {sizes} {_comment(node) or '--'}\n"
            )
    return "".join(rows)


def _mark(core: Core, call: Call, line: CommandLine) -> Reply:
    errors = []
    for name in line.rest:
        action = "marking" if line.has("o", "r") else "setting comment for"
        if name not in core.nodes.position:
            errors.append(f"Error {action} node {name} - Unknown node \n")
        elif not is_operator(core, call):
            errors.append(f"Error {action} node {name} - {UNAUTHORIZED.text}\n")
        elif line.has("r"):
            core.undrain(name)
        else:
            core.drain(name, line.last("C"), call.user)
    return Reply(stderr="".join(errors), code=1 if errors else 0)


def _state(node: Node) -> str:
    states = [*(["offline"] if node.is_drained else []), *(["down"] if node.is_down else [])]
    if states:
        return ",".join(states)
    return "job-busy" if node.free_cpus <= 0 else "free"


def _comment(node: Node) -> str | None:
    return "node down: communication closed" if node.is_down else node.reason or None


def _job_slots(node: Node) -> list[str]:
    """`1.pbs/0, 1.pbs/0`: as often as the job has CPUs here."""
    found = []
    for job in node.jobs:
        place = job.nodes.index(node.machine.name)
        slot = job.slots[place] if job.slots else 0
        found += [f"{job_id(job)}/{slot}"] * max(1, job.cpus_by_node[place])
    return found


def _label(attribute: Attribute) -> str:
    return attribute[0] if attribute[1] is None else f"{attribute[0]}.{attribute[1]}"


def _moment(attribute: Attribute) -> str:
    name, _, value = attribute
    return time.ctime(int(value)) if name.endswith("_time") else value


def _size(megabytes: int) -> str:
    return f"{megabytes // 1024}gb" if megabytes % 1024 == 0 else f"{megabytes}mb"
