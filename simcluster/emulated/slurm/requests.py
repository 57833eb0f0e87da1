"""From sbatch's options to the core's request."""

from __future__ import annotations

import re
import signal as signals
import sys
from typing import TYPE_CHECKING, Any

from simcluster.emulated.conditions import Condition, Dependency
from simcluster.emulated.jobs import Request, Target
from simcluster.emulated.refusals import Refusal, RefusedError
from simcluster.emulated.slurm.hostlists import expand
from simcluster.emulated.slurm.identifiers import is_operator
from simcluster.emulated.slurm.options import log_refusal
from simcluster.emulated.slurm.release import release_of
from simcluster.emulated.slurm.surroundings import Surroundings
from simcluster.emulated.slurm.times import parse_limit, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = [
    "InvalidOptionError",
    "count_gpus",
    "exported",
    "make_request",
    "parse_dependency",
    "parse_memory",
    "parse_signal",
    "refuse_what_is_not_here",
]

_LONGEST_DELAY = 1 << 32
_MOST_ELEMENTS = 4_000_000
_VIRTUAL = re.compile(r"simcluster:virtual=(\d+(?:\.\d+)?)")
_HIGHEST = (1 << 32) - 2
_MAIL = {"NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "INVALID_DEPEND", "STAGE_OUT", "TIME_LIMIT",
         "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS"}  # fmt: skip


class InvalidOptionError(Exception):
    """An option's value makes no sense. `kind` is error or fatal; `before` stands before sbatch's own line."""

    def __init__(self, text: str, code: int = 255, *, kind: str = "error", before: str = "") -> None:
        super().__init__(text)
        self.text, self.code, self.kind, self.before = text, code, kind, before


def make_request(
    core: Core, call: Call, options: Sequence[tuple[str, str]], *, script: bytes, command: str, rest: Sequence[str]
) -> Request:
    """`options` in order, the last one counts; `rest` is the script and its arguments. Raises InvalidOptionError."""
    given = dict(options)
    if "mem" in given and "mem-per-cpu" in given:
        raise InvalidOptionError("--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.", 1, kind="fatal")
    virtual = _VIRTUAL.search(given.get("comment", ""))
    array, array_limit = _array(given.get("array"))
    usual_name = "wrap" if "wrap" in given else (rest[0].rsplit("/", 1)[-1] if rest else "sbatch")
    fields: dict[str, Any] = {
        "name": given.get("job-name", usual_name),
        "user": call.user,
        "script": script,
        "cwd": _join(call.cwd, given.get("chdir", "")),
        "dialect": Surroundings(core),
        "environment": {} if virtual else _login(core, given) | _environment(call, given.get("export")),
        "arguments": tuple(rest[1:]),
        "umask": call.umask,
        "stdout": given.get("output") or None,
        "stderr": given.get("error") or None,
        "stdin": given.get("input", "/dev/null"),
        "open_mode": _open_mode(given.get("open-mode", "")),
        "partition": given.get("partition"),
        "account": given.get("account"),
        "qos": given.get("qos"),
        "array": array,
        "array_limit": array_limit,
        "dependency": parse_dependency(core, given["dependency"]) if given.get("dependency") else None,
        "is_killed_by_invalid_dependency": _is_yes("kill-on-invalid-dep", given),
        "comment": given.get("comment"),
        "virtual_seconds": float(virtual[1]) if virtual else None,
        "options": _shown(call, given, command),
    }
    return Request(**fields, **_resources(core, given), **_times(core, given), **_rules(core, call, options))


def _shown(call: Call, given: Mapping[str, str], command: str) -> dict[str, str]:
    host = {} if call.host == "login" else {"submit-host": call.host}
    line = {"submit-line": " ".join((call.program, *call.arguments))}
    return {sys.intern(k): v for k, v in given.items() if k not in {"wrap", "export"}} | line | host | {
        "command": command, "submit-dir": call.cwd}  # fmt: skip


def _resources(core: Core, given: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option, name in (
        ("ntasks", "tasks"),
        ("cpus-per-task", "cpus_per_task"),
        ("ntasks-per-node", "tasks_per_node"),
    ):
        if option in given:
            found[name] = _positive(given[option], option)
    if "nodes" in given:
        low, high = _range_of_nodes(given["nodes"])
        if not high and (release_of(core).refuses_no_nodes or core.settings.enforces_partition_limits):
            raise InvalidOptionError("Batch job submission failed: Node count specification invalid", 1)
        found["min_nodes"], found["max_nodes"] = max(1, low), max(1, high)
    if "ntasks-per-node" in given and "ntasks" not in given:
        found["tasks"] = found["tasks_per_node"] * found.get("min_nodes", 1)
    nodelist = expand(given["nodelist"]) if given.get("nodelist") else []
    if nodelist and found.get("max_nodes") and len(nodelist) > found["max_nodes"]:
        raise InvalidOptionError(f"invalid number of nodes (-N {len(nodelist)}-{found['max_nodes']})", 1)
    found["nodelist"] = tuple(nodelist)
    found["exclude"] = tuple(expand(given["exclude"])) if given.get("exclude") else ()
    found["features"] = _features(given.get("constraint", ""))
    for option, name in (("mem", "memory_mb"), ("mem-per-cpu", "memory_per_cpu_mb")):
        if option in given:
            found[name] = parse_memory(given[option])
            if found[name] is None:
                raise InvalidOptionError(f"Invalid --{option} specification")
    found["gpus"] = count_gpus(given)
    found["is_exclusive"] = _is_exclusive(given)
    found["is_contiguous"] = "contiguous" in given
    found["is_overcommitted"] = "overcommit" in given
    return found


def _range_of_nodes(text: str) -> tuple[int, int]:
    numbers = []
    # What begins with "-" is a range without its lower end.
    for piece in text.lstrip("-").split("-", 1):
        match = re.fullmatch(r"(\d+)([kKmM]?)", piece)
        if match is None:
            raise InvalidOptionError(f'"{piece}" is not a valid node count')
        numbers.append(int(match[1]) * {"": 1, "k": 1024, "m": 1 << 20}[match[2].lower()])
    if numbers[-1] < numbers[0]:
        raise InvalidOptionError(f"Maximum node count {numbers[-1]} is less than minimum node count {numbers[0]}")
    return numbers[0], numbers[-1]


def _is_exclusive(given: Mapping[str, str]) -> bool:
    """Whether no other job may be there. All jobs are one user's here, so `--exclusive=user` keeps none away."""
    value = given.get("exclusive")
    if value == "mcs":
        log_refusal("sbatch", "--exclusive=mcs")
    if value not in {None, "", "exclusive", "user"}:
        raise InvalidOptionError("Invalid --exclusive specification")
    return value in {"", "exclusive"}


def _times(core: Core, given: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "time" in given:
        found["time_limit"] = parse_limit(given["time"])
        if found["time_limit"] is None:
            raise InvalidOptionError("Invalid --time specification")
    if "begin" in given:
        found["begin"] = parse_time(given["begin"], core.clock.time())
        if found["begin"] is None:
            bad = f"Invalid time specification (pos={4 if given['begin'].startswith('now') else 0}): {given['begin']}\n"
            raise InvalidOptionError("Invalid --begin specification", before=bad)
    if "signal" in given:
        match = re.fullmatch(r"([BR]:)?(?:([BR]):)?([A-Za-z0-9]+)(?:@(\d+))?", given["signal"])
        number = parse_signal(match[3]) if match else None
        if match is None or number is None:
            raise InvalidOptionError("Invalid --signal specification")
        target = Target.SCRIPT if "B" in f"{match[1]}{match[2]}" else Target.STEPS
        found["warning"] = (number, min(int(match[4] or 60), _LONGEST_DELAY), target)
    return found


def _rules(core: Core, call: Call, options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {"is_held": "hold" in dict(options), "is_requeueable": core.settings.is_requeued_by_default}
    for name, value in options:
        if name in {"requeue", "no-requeue"}:
            found["is_requeueable"] = name == "requeue"
        elif name == "nice":
            found["nice"] = int(value) if re.fullmatch(r"-?\d+", value) else 100
            if found["nice"] < 0:
                raise InvalidOptionError("Batch job submission failed: Invalid --nice value", 1)
        elif name == "priority":
            found |= _priority(core, call, value)
        elif name == "mail-type" and not {word.upper() for word in value.split(",")} <= _MAIL:
            raise InvalidOptionError("Invalid --mail-type specification")
        elif name == "clusters" and value != core.cluster_name:
            raise InvalidOptionError(
                f"No cluster '{value}' known by database.\nsbatch: error: '{value}' can't be reached now, or it is an"
                " invalid entry for --cluster.  Use 'sacctmgr list clusters' to see available clusters.", 1)  # fmt: skip
    return found


def _priority(core: Core, call: Call, text: str) -> dict[str, Any]:
    """From anybody but an operator only 0 counts, which is a hold, as in Slurm."""
    if text.upper() != "TOP" and not text.isdecimal():
        if text.startswith("-"):
            raise InvalidOptionError("Priority must be >= 0")
        return {}  # strtoll(3) makes it 0, which is then taken for "not given"
    if text == "0":
        return {"is_held": True}
    return {"priority": _HIGHEST if text.upper() == "TOP" else int(text)} if is_operator(core, call) else {}


def _login(core: Core, given: Mapping[str, str]) -> dict[str, str]:
    """What `--get-user-env` gives a job; its submitter's variables go before."""
    return dict(core.launcher.login_environment()) if "get-user-env" in given else {}


def _environment(call: Call, export: str | None) -> dict[str, str]:
    """What of the submitter's environment the job gets, by `--export`."""
    everything = {sys.intern(key): sys.intern(value) for key, value in call.environment.items()}
    if export is None or export == "ALL":
        return everything
    names = [] if export in {"NONE", "NIL"} else export.split(",")
    login: dict[str, str] = {
        key: everything[key] for key in ("HOME", "LOGNAME", "USER", "SHELL", "PATH") if key in everything
    }
    found: dict[str, str] = dict(everything) if "ALL" in names else login
    found |= exported(names, everything)
    return found | {"SLURM_EXPORT_ENV": export, "SLURM_GET_USER_ENV": "1"}


def exported(names: Iterable[str], everything: Mapping[str, str]) -> dict[str, str]:
    """The variables that `--export` names, some with values of their own."""
    pairs = (name.partition("=") for name in names)
    return {
        key: value if separator else everything[key]
        for key, separator, value in pairs
        if separator or key in everything
    }


def refuse_what_is_not_here(core: Core, given: Mapping[str, str]) -> None:
    """Licenses and reservations are options of a cluster that has some; here there are none, and Slurm says so."""
    if given.get("licenses"):
        core.next_number()
        raise RefusedError(Refusal.IMPOSSIBLE, "license")
    if given.get("reservation"):
        raise RefusedError(Refusal.IMPOSSIBLE, "reservation")


def parse_dependency(core: Core, text: str) -> Dependency:
    """`afterok:1:2,singleton`; with `?` any of them is enough. Raises RefusedError."""
    conditions: list[Condition] = []
    for piece in re.split(r"[,?]", text):
        kind, _, ids = piece.partition(":")
        if re.fullmatch(r"\d+(_\d+)?", kind):
            kind, ids = "afterany", piece
        if kind == "singleton" and not ids:
            conditions.append(Condition(kind))
            continue
        if kind not in {"after", "afterok", "afternotok", "afterany", "aftercorr"}:
            raise InvalidOptionError("Batch job submission failed: Job dependency problem", 1)
        conditions += [_condition(core, kind, one) for one in ids.split(":")]
    return Dependency(tuple(conditions), is_any="?" in text)


def _condition(core: Core, kind: str, text: str) -> Condition:
    match = re.fullmatch(r"(\d+)(?:_(\d+|\*))?(?:\+(\d+))?", text)
    if match is None:
        core.next_number()
        raise InvalidOptionError("Batch job submission failed: Job dependency problem", 1)
    task = int(match[2]) if match[2] and match[2] != "*" else None
    number = int(match[1])
    if release_of(core).refuses_unknown_dependencies and not core.find(number):
        raise InvalidOptionError("Batch job submission failed: Job dependency problem", 1)
    return Condition(
        kind,
        number,
        task,
        min(int(match[3] or 0), _LONGEST_DELAY) * 60,
        is_array=number in core.arrays and task is None,
    )


def parse_memory(text: str) -> int | None:
    """Megabytes; None for what is no size."""
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text, re.IGNORECASE)
    if match is None:
        return None
    number, unit = int(match[1]), match[2].upper()
    return -(-number // 1024) if unit == "K" else number * {"": 1, "M": 1, "G": 1024, "T": 1 << 20}[unit]


def parse_signal(text: str) -> int | None:
    """A signal's number by name, with or without SIG, or by number."""
    if text.isdecimal():
        return int(text) or None
    name = text.upper().removeprefix("SIG")
    return next((int(s) for s in signals.Signals if s.name == f"SIG{name}"), None)


def _array(text: str | None) -> tuple[tuple[int, ...] | None, int]:
    if not text:
        return None, 0
    ranges, _, limit = text.partition("%")
    found: set[int] = set()
    for piece in ranges.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", piece)
        if match is None or (match[2] and int(match[2]) < int(match[1])) or match[3] == "0":
            raise InvalidOptionError("Batch job submission failed: Invalid job array specification", 1)
        if int(match[2] or match[1]) > _MOST_ELEMENTS:
            raise InvalidOptionError("Batch job submission failed: Invalid job array specification", 1)
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1)))
    return tuple(sorted(found)), int(limit) if limit.isdecimal() else 0


def _features(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(one.split("&")) for one in text.split("|")) if text else ()


def count_gpus(given: Mapping[str, str]) -> int:
    """Of each node."""
    if given.get("gres") == "":
        raise InvalidOptionError("Batch job submission failed: Invalid Trackable RESource (TRES) specification", 1)
    total = 0
    for option in ("gres", "gpus", "gpus-per-node"):
        for piece in filter(None, given.get(option, "").split(",")):
            words = piece.removeprefix("gres:").split(":")
            if option == "gres" and words == ["none"]:
                continue
            if option == "gres" and (words[0] != "gpu" or words[-1] == ""):
                raise InvalidOptionError("Invalid generic resource (gres) specification", 1)
            total += int(words[-1]) if words[-1].isdecimal() else 1
    return total


def _positive(text: str, option: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InvalidOptionError(f'Invalid numeric value "{text}" for --{option}.', 1)
    return int(text)


def _is_yes(option: str, given: Mapping[str, str]) -> bool:
    value = given.get(option, "no").lower()
    if value not in {"yes", "no"}:
        raise InvalidOptionError(f"Invalid --{option} specification")
    return value == "yes"


def _open_mode(text: str) -> str:
    if text and text[0] not in "at":
        raise InvalidOptionError("Invalid --open-mode specification")
    return "append" if text.startswith("a") else "truncate"


def _join(cwd: str, path: str) -> str:
    return path if path.startswith("/") else f"{cwd.rstrip('/')}/{path}".rstrip("/") or "/"
