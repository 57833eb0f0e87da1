"""What qstat says of queues and of the server: -Q, -q, -B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.pbs.formats import as_lines, as_one_line, json_document, nested
from simcluster.emulated.pbs.identifiers import entries
from simcluster.emulated.pbs.states import is_finished, letter
from simcluster.emulated.pbs.words import SERVER, UNKNOWN_QUEUE, VERSION, clock_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Partition
    from simcluster.emulated.pbs.attributes import Attribute

__all__ = ["queue_list", "queue_report", "server_report"]

_COUNTED = {"T": "Transit", "Q": "Queued", "H": "Held", "W": "Waiting", "R": "Running", "E": "Exiting", "B": "Begun"}
_QUEUES = """\
Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type
---------------- ----- ----- --- --- ----- ----- ----- ----- ----- ----- ----
"""
_SERVERS = """\
Server             Max   Tot   Que   Run   Hld   Wat   Trn   Ext Status
---------------- ----- ----- ----- ----- ----- ----- ----- ----- -----------
"""
_LIST = """
server: {}

Queue            Memory CPU Time Walltime Node   Run   Que   Lm  State
---------------- ------ -------- -------- ---- ----- ----- ----  -----
"""


def queue_report(core: Core, line: CommandLine) -> Reply:
    """`qstat -Q`, and with -f in full."""
    queues, errors, code = _chosen(core, line)
    if line.has("f"):
        shown = [(queue.name, _queue_attributes(core, queue)) for queue in queues]
        return Reply(_full("Queue", "Queue", shown, line), errors, code)
    rows = [_QUEUES] if queues else []
    for queue in queues:
        counts = _counts(core, queue)
        numbers = " ".join(f"{counts[state]:5}" for state in "QRHWTE")
        flags = f"{'yes' if queue.accepts else 'no':>3} {'yes' if queue.is_up else 'no':>3}"
        rows.append(f"{queue.name:16} {0:5} {_total(counts):5} {flags} {numbers} Exe*\n")
    return Reply("".join(rows), errors, code)


def queue_list(core: Core, line: CommandLine) -> Reply:
    """`qstat -q`."""
    queues, errors, code = _chosen(core, line)
    rows, sums = [_LIST.format(SERVER)], [0, 0]
    for queue in queues:
        counts = _counts(core, queue)
        running, queued = counts["R"], counts["Q"] + counts["H"] + counts["W"]
        sums = [sums[0] + running, sums[1] + queued]
        limit = "  --   " if queue.max_time is None else clock_text(queue.max_time)
        state = f"{'E' if queue.accepts else 'D'} {'R' if queue.is_up else 'S'}"
        rows.append(
            f"{queue.name:16} {'--  ':>6} {'  --   ':>8} {limit:>8} {'-- ':>4} {running:5} {queued:5}   --   {state}\n"
        )
    rows.append(f"{'':47}----- -----\n{'':47}{sums[0]:5} {sums[1]:5}\n")
    return Reply("".join(rows), errors, code)


def server_report(core: Core, line: CommandLine) -> Reply:
    """`qstat -B`, and with -f in full."""
    counts = _counts(core, None)
    if line.has("f"):
        return Reply(_full("Server", "Server", [(SERVER, _server_attributes(core))], line))
    numbers = " ".join(f"{counts[state]:5}" for state in "QRHWTE")
    return Reply(f"{_SERVERS}{SERVER:16} {0:5} {_total(counts):5} {numbers} {'Active':10}\n")


def _chosen(core: Core, line: CommandLine) -> tuple[list[Partition], str, int]:
    names = [word.partition("@")[0] for word in line.rest] or list(core.partitions)
    unknown = [name for name in names if name not in core.partitions]
    errors = "".join(f"qstat: {UNKNOWN_QUEUE.text} {name}\n" for name in unknown)
    return [core.partitions[name] for name in names if name in core.partitions], errors, 170 if unknown else 0


def _full(title: str, key: str, shown: Iterable[tuple[str, list[Attribute]]], line: CommandLine) -> str:
    style = line.last("F", "default").lower()
    if style == "json":
        return json_document(key, {name: nested(attributes) for name, attributes in shown} or None)
    if style == "dsv":
        delimiter = line.last("D", "|")
        return "".join(as_one_line(title, name, attributes, delimiter) for name, attributes in shown)
    return "".join(as_lines(title, name, attributes, is_wide=line.has("w")) for name, attributes in shown)


def _counts(core: Core, queue: Partition | None) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTED, 0)
    for entry in entries(core):
        if not is_finished(entry) and queue in {None, core.partitions[entry.job.partition]}:
            state = letter(core, entry)
            counts[state] = counts.get(state, 0) + 1
    return counts


def _total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def _state_count(counts: dict[str, int]) -> str:
    return "".join(f"{name}:{counts[state]} " for state, name in _COUNTED.items())


def _queue_attributes(core: Core, queue: Partition) -> list[Attribute]:
    counts = _counts(core, queue)
    limits: list[Attribute] = []
    if queue.max_cpus is not None:
        limits.append(("resources_max", "ncpus", str(queue.max_cpus)))
    if queue.max_time is not None:
        limits.append(("resources_max", "walltime", clock_text(queue.max_time)))
    return [
        ("queue_type", None, "Execution"),
        ("total_jobs", None, str(_total(counts))),
        ("state_count", None, _state_count(counts)),
        *limits,
        ("enabled", None, str(queue.accepts)),
        ("started", None, str(queue.is_up)),
    ]


def _server_attributes(core: Core) -> list[Attribute]:
    counts = _counts(core, None)
    assigned = sum(job.cpus for job in core.running)
    taken: list[Attribute] = [("resources_assigned", "ncpus", str(assigned))] if assigned else []
    return [
        ("server_state", None, "Active"),
        ("server_host", None, SERVER),
        ("scheduling", None, "True"),
        ("total_jobs", None, str(_total(counts))),
        ("state_count", None, _state_count(counts)),
        ("default_queue", None, core.site.default_partition.name),
        ("log_events", None, "511"),
        ("mailer", None, "/usr/sbin/sendmail"),
        ("mail_from", None, "adm"),
        ("query_other_jobs", None, "True"),
        ("resources_default", "ncpus", "1"),
        ("default_chunk", "ncpus", "1"),
        *taken,
        ("scheduler_iteration", None, "600"),
        ("flatuid", None, "True"),
        ("resv_enable", None, "True"),
        ("node_fail_requeue", None, "310"),
        ("max_array_size", None, "10000"),
        ("resend_term_delay", None, "5"),
        ("pbs_license_min", None, "0"),
        ("pbs_license_max", None, "2147483647"),
        ("pbs_license_linger_time", None, "31536000"),
        ("license_count", None, "Avail_Global:1000000 Avail_Local:1000000 Used:0 High_Use:0"),
        ("pbs_version", None, VERSION),
        ("eligible_time_enable", None, "False"),
        ("job_history_enable", None, "True"),
        ("max_concurrent_provision", None, "5"),
        ("clear_topjob_estimates_enable", None, "False"),
        ("max_job_sequence_id", None, "9999999"),
    ]
