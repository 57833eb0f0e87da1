"""What a site has: which schedulers, and their partitions or queues."""

import re
import shutil
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ..login_shell import login_path
from . import SchedulerError, run

__all__ = ["Queue", "Site", "site_of", "sites"]


class Queue(NamedTuple):
    """A partition of Slurm or a queue. ``time_limit`` is in the scheduler's words; None and 0: not known, or without limit."""

    name: str
    is_default: bool
    is_open: bool
    time_limit: Optional[str] = None
    nodes: int = 0
    cores: int = 0  # the most that a job can have of one node
    memory_mb: int = 0  # likewise


class Site(NamedTuple):
    """A scheduler that answers, or why it does not. ``has_accounting`` is None where the question makes no sense."""

    scheduler: str
    version: str
    queues: List[Queue]
    has_accounting: Optional[bool] = None
    error: str = ""


def sites() -> List[Site]:
    """The schedulers whose commands are on this host's PATH."""
    path = login_path()

    def has(command: str) -> bool:
        return bool(shutil.which(command) or shutil.which(command, path=path))

    names = ["slurm"] if has("sbatch") else []
    if has("qconf"):
        names.append("sge")
    elif has("qsub") and _is_pbs():
        names.append("pbs")
    # What is installed and does not answer comes last: another scheduler may be the site's.
    return sorted((site_of(name) for name in names), key=lambda site: bool(site.error))


def site_of(name: str) -> Site:
    """What the scheduler ``name`` says of itself."""
    version = ""
    try:
        version = _said(_VERSIONS[name]).split("\n")[0]
        queues, has_accounting = _QUEUES[name]()
    except SchedulerError as error:
        return Site(name, version, [], error=str(error))
    return Site(name, version, queues, has_accounting)


def _is_pbs() -> bool:
    """Slurm's wrappers take the command lines of PBS, but not this."""
    try:
        return bool(re.search(r"pbs_version|PBSPro|[Vv]ersion: *\d", _said(_VERSIONS["pbs"])))
    except SchedulerError:
        return False


_VERSIONS = {"slurm": ["sinfo", "--version"], "pbs": ["qstat", "--version"], "sge": ["qstat", "-help"]}


def _said(command: List[str]) -> str:
    answer = run(command)
    return (answer.stdout or answer.stderr).strip()


def _asked(command: List[str]) -> str:
    answer = run(command)
    if answer.returncode != 0:
        words = " ".join((answer.stderr or answer.stdout).split())
        raise SchedulerError("%s: %s" % (" ".join(command), words or "exit code %d" % answer.returncode))
    return answer.stdout


def _of_slurm() -> Tuple[List[Queue], Optional[bool]]:
    """sinfo(1): %P has a star at the default, %a is up, down, drain or inact; a line for each kind of node."""
    found: Dict[str, Queue] = {}
    for line in _asked(["sinfo", "-h", "-a", "-o", "%P|%a|%l|%D|%c|%m"]).splitlines():
        name, state, limit, nodes, cores, memory = line.split("|")
        name, is_default = name.rstrip("*"), name.endswith("*")
        before = found.get(name, Queue(name, is_default, state == "up"))
        found[name] = before._replace(
            time_limit=None if limit == "infinite" else limit,
            nodes=before.nodes + _number(nodes),
            cores=max(before.cores, _number(cores)),
            memory_mb=max(before.memory_mb, _number(memory)),
        )
    return list(found.values()), run(["sacct", "-n", "-X", "-S", "now"]).returncode == 0


def _of_pbs() -> Tuple[List[Queue], Optional[bool]]:
    """qstat(1B): -Q -f are the queues in full, -B -f the server; execution queues alone run jobs."""
    default = re.search(r"default_queue = (\S+)", _asked(["qstat", "-B", "-f"]))
    listed = re.findall(r"^Queue:? (\S+)\n(.*?)(?=^Queue|\Z)", _asked(["qstat", "-Q", "-f"]), re.MULTILINE | re.DOTALL)
    nodes, chosen = _pbs_nodes(), default.group(1) if default else None
    return [_pbs_queue(name, dict(_PBS_FACT.findall(text)), nodes, name == chosen) for name, text in listed], None


def _pbs_queue(name: str, facts: Dict[str, str], nodes: List[Dict[str, str]], is_default: bool) -> Queue:
    # A node that names a queue is of that one alone, and that one has no others.
    own = [node for node in nodes if node.get("queue") == name] or [node for node in nodes if "queue" not in node]
    cores = [_number(node.get("resources_available.ncpus") or node.get("np", "0")) for node in own]
    memory = [_megabytes(node.get("resources_available.mem", "")) for node in own]
    return Queue(
        name,
        is_default,
        is_open=facts.get("enabled") == "True" and facts.get("started") == "True",
        time_limit=facts.get("resources_max.walltime"),
        nodes=len(own),
        cores=_lower(max(cores, default=0), _number(facts.get("resources_max.ncpus", "0"))),
        memory_mb=_lower(max(memory, default=0), _megabytes(facts.get("resources_max.mem", ""))),
    )


_PBS_FACT = re.compile(r"^\s+([\w.]+) = (.*)$", re.MULTILINE)


def _pbs_nodes() -> List[Dict[str, str]]:
    """pbsnodes(8B) -a: a paragraph each, its name first; none where users have no pbsnodes or may not ask. Torque calls cores ``np``."""
    try:
        said = run(["pbsnodes", "-a"]).stdout
    except SchedulerError:
        return []
    return [dict(_PBS_FACT.findall(text)) for text in said.split("\n\n") if text.strip()]


def _megabytes(size: str) -> int:
    """MiB of PBS's ``4gb`` or ``524288kb``; 0 where nothing is said."""
    match = re.match(r"(\d+)([kmgtp]?)b\Z", size.lower())
    return int(match.group(1)) * 1024 ** " kmgtp".index(match.group(2) or " ") >> 20 if match else 0


def _lower(one: int, other: int) -> int:
    """The lower of two limits; 0 is none."""
    return min(one or other, other or one)


def _of_sge() -> Tuple[List[Queue], Optional[bool]]:
    """qstat(1): -g c is a line for each queue below two of headings, whose third number from the end are its slots."""
    rows = [line.split() for line in _asked(["qstat", "-g", "c"]).splitlines()[2:]]
    # Without -q any queue may take the job, so none is the default.
    return [Queue(row[0], is_default=False, is_open=True, cores=_number(row[-3])) for row in rows if len(row) > 3], None


_QUEUES: Dict[str, Callable[[], Tuple[List[Queue], Optional[bool]]]] = {
    "slurm": _of_slurm,
    "pbs": _of_pbs,
    "sge": _of_sge,
}


def _number(text: str) -> int:
    """Slurm writes ``4+`` where nodes differ."""
    digits = re.match(r"\d+", text)
    return int(digits.group()) if digits else 0
