"""qhost, and the queue instances: each queue's part on each of its hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.sge.options import MissingValueError, UnknownOptionError, table
from simcluster.emulated.sge.shown import priority, rows
from simcluster.emulated.sge.words import short_time, usage

if TYPE_CHECKING:
    from simcluster.emulated.allocation import Node
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call
    from simcluster.emulated.jobs import Job

__all__ = ["QueueInstance", "qhost", "queue_instances"]

_TABLE = table("qhost", flags="help q j xml", valued="h u", refused="F l ncb cb")
_USAGE = """\
  [-h hostlist]              display only selected hosts
  [-help]                    print this help
  [-j]                       display jobs hosted by host
  [-q]                       display queues hosted by host
  [-u user[,user,...]]       show only jobs for user
  [-xml]                     display the information in XML format
"""
_HEAD = "HOSTNAME                ARCH         NCPU NSOC NCOR NTHR  LOAD  MEMTOT  MEMUSE  SWAPTO  SWAPUS\n"
_JOBS = (
    "   job-ID  prior   name       user         state submit/start at     queue      master ja-task-ID \n"
    "   ----------------------------------------------------------------------------------------------\n"
)
_XMLNS = "http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qhost/qhost.xsd"


@dataclass(frozen=True)
class QueueInstance:
    """`all.q@node1`. `used` are slots; `load` is text, for nobody knows that of a host that is gone."""

    queue: str
    host: str
    slots: int
    used: int
    load: str
    states: str
    arch: str = "lx-amd64"

    @property
    def name(self) -> str:
        return f"{self.queue}@{self.host}"


def queue_instances(core: Core) -> list[QueueInstance]:
    """Queue by queue, host by host."""
    found = []
    for partition in core.partitions.values():
        for node in core.nodes.all:
            if partition.nodes is None or node.machine.name in partition.nodes:
                used = sum(_cpus_on(job, node) for job in node.jobs if job.partition == partition.name)
                states = ("" if partition.is_up else "d") + ("au" if node.is_down else "")
                found.append(
                    QueueInstance(partition.name, node.machine.name, node.machine.cpus, used, _load(node), states)
                )
    return found


def qhost(core: Core, call: Call) -> Reply:
    """Exit code 1 for a command line that makes no sense."""
    try:
        line = _TABLE.parse(call.arguments)
    except (UnknownOptionError, MissingValueError) as error:
        return Reply(stderr=usage("qhost", _USAGE, f'error: invalid option argument "{error}"'), code=1)
    if line.has("help"):
        return Reply(f"SGE 8.1.9\nusage: qhost [options]\n{_USAGE}")
    asked = [word for word in line.last("h").split(",") if word]
    for word in asked:
        if word not in core.nodes.position:
            return Reply(stderr=usage("qhost", _USAGE, f'error: can\'t resolve hostname "{word}"'), code=1)
    nodes = [node for node in core.nodes.all if not asked or node.machine.name in asked]
    if line.has("xml"):
        return Reply(_as_xml(nodes))
    text = f"{_HEAD}{'-' * (len(_HEAD) - 1)}\n" + _row("global", ["-"] * 10)
    users = line.last("u").split(",") if line.has("u") else None
    for node in nodes:
        text += _row(node.machine.name, _values(node))
        if line.has("q"):
            text += "".join(_queue_line(one) for one in queue_instances(core) if one.host == node.machine.name)
        if line.has("j") or users:
            text += _job_lines(node, users)
    return Reply(text)


def _queue_line(one: QueueInstance) -> str:
    used = f"0/{one.used}/{one.slots}"
    return f"   {one.queue:<20.20} BIP   {used:<13} {one.states}".rstrip().ljust(43) + "\n"


def _job_lines(node: Node, users: list[str] | None) -> str:
    shown = [row for row in rows(node.jobs) if not row.is_pending and (not users or row.job.user in users)]
    text = _JOBS if shown else ""
    for row in shown:
        job = row.job
        text += (
            f"   {job.id:>7} {priority(job):7.5f} {job.name:<10.10} {job.user:<12.12} {row.state:<5} "
            f"{short_time(row.moment)} {row.queue:<10.10} MASTER {row.tasks or ' ' * 7}\n"
        )
    return text


def _values(node: Node) -> list[str]:
    machine = node.machine
    return [
        "lx-amd64",
        str(machine.cpus),
        "1",
        str(machine.cpus),
        str(machine.cpus),
        "-" if node.is_down else f"{_load(node)}",
        _gigabytes(machine.memory_mb),
        "-" if node.is_down else _gigabytes(sum(_memory_on(job, node) for job in node.jobs)),
        "0.0",
        "-" if node.is_down else "0.0",
    ]


def _row(name: str, values: list[str]) -> str:
    arch, cpus, sockets, cores, threads, load, total, used, swap, swap_used = values
    return (
        f"{name:<23} {arch:<13}{cpus:>4} {sockets:>4} {cores:>4} {threads:>4} {load:>5} "
        f"{total:>7} {used:>7} {swap:>7} {swap_used:>7}\n"
    )


def _as_xml(nodes: list[Node]) -> str:
    names = ("arch_string", "num_proc", "m_socket", "m_core", "m_thread", "load_avg", "mem_total", "mem_used",
             "swap_total", "swap_used")  # fmt: skip
    text = f"<?xml version='1.0'?>\n<qhost xmlns:xsd=\"{_XMLNS}\">\n"
    for host, values in [("global", ["-"] * 10), *((node.machine.name, _values(node)) for node in nodes)]:
        text += f" <host name='{host}'>\n"
        text += "".join(f"   <hostvalue name='{n}'>{v}</hostvalue>\n" for n, v in zip(names, values, strict=True))
        text += " </host>\n"
    return f"{text}</qhost>\n"


def _load(node: Node) -> str:
    """As if each slot that is taken were busy."""
    return "-NA-" if node.is_down else f"{float(sum(_cpus_on(job, node) for job in node.jobs)):.2f}"


def _cpus_on(job: Job, node: Node) -> int:
    return dict(zip(job.nodes, job.cpus_by_node, strict=True)).get(node.machine.name, 0)


def _memory_on(job: Job, node: Node) -> int:
    return dict(zip(job.nodes, job.memory_by_node, strict=True)).get(node.machine.name, 0)


def _gigabytes(megabytes: int) -> str:
    return f"{megabytes / 1024:.1f}G" if megabytes >= 1024 else f"{float(megabytes):.1f}M"
