"""From qsub's options to the core's request."""

from __future__ import annotations

import posixpath
import re
import signal
from typing import TYPE_CHECKING, Any

from simcluster.emulated.conditions import Condition, Dependency
from simcluster.emulated.jobs import Request, Target
from simcluster.emulated.sge.surroundings import Surroundings, output_path
from simcluster.emulated.sge.words import named, no_number, parse_date, parse_seconds, parse_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["PARALLEL_ENVIRONMENTS", "BadValueError", "RejectedError", "check_slots", "make_request", "parse_memory_mb"]

PARALLEL_ENVIRONMENTS = ("smp", "make")
"""All slots of a job on one host; or wherever there is room, as Grid Engine's own `make`."""

_COMPLEXES = {"arch", "gpu", "h", "h_rt", "h_vmem", "hostname", "mem_free", "mf", "q", "qname", "s_rt"}
_MOST_MEMORY = 1 << 62
_UNITS = {"": 1, "k": 1000, "K": 1 << 10, "m": 10**6, "M": 1 << 20, "g": 10**9, "G": 1 << 30}


class BadValueError(Exception):
    """The command line makes no sense: the text for stderr, after the program's name, and what stands before that.

    Exit code 7.
    """

    def __init__(self, text: str, *, before: str = "") -> None:
        super().__init__(text)
        self.before = before


class RejectedError(Exception):
    """The server declined: why. Exit code 1."""


def make_request(
    core: Core, call: Call, line: CommandLine, *, script: bytes, name: str, command: str | None
) -> Request:
    """`line` has the options of script and command line together, the last one counts. Raises BadValueError, RejectedError."""
    resources = _resources(line)
    array, limit = _array(line)
    home = call.environment.get("HOME", "/")
    cwd = posixpath.join(call.cwd, line.last("wd")) if line.has("wd") else call.cwd if line.has("cwd") else home
    options = {option: value for option, value in line.options if option not in {"cwd", "wd", "v", "V"}}
    options |= {"h_vmem": resources["h_vmem"]} if "h_vmem" in resources else {}
    options |= {"command": command} if command is not None else {}
    options |= {} if array is None else {"tasks": f"{array.start}-{array.stop - 1}:{array.step}"}
    return Request(
        name=_checked_name(line.last("N", name)),
        user=call.user,
        script=script,
        cwd=cwd,
        dialect=Surroundings(core),
        environment=_environment(call, line),
        arguments=line.rest[1:],
        stdout=_output(core, line, "o", cwd, is_array=array is not None),
        stderr=None if _is_yes(line, "j") else _output(core, line, "e", cwd, is_array=array is not None),
        stdin=line.last("i", "/dev/null"),
        open_mode="append",
        array=None if array is None else tuple(array[: core.settings.max_array_size + 1]),
        array_limit=limit,
        partition=_queues(core, line, resources),
        account=line.last("A") or None,
        nice=-_priority(line),
        dependency=_dependency(core, line),
        begin=_begin(core, line),
        is_held=line.has("h"),
        is_requeueable=_is_yes(line, "r"),
        options=options
        | {
            "home": home,
            "path": call.environment.get("PATH", ""),
            "submit-host": core.settings.controller if call.host == "login" else call.host,
            "submit-dir": call.cwd,
            "resources": ",".join(line.all("l")),
            "script-file": line.rest[0] if line.rest else "STDIN",
        },
        **_needs(core, line, resources),
    )


def check_slots(line: CommandLine) -> None:
    """Refuse what is no range of slots, which is seen before the script is read. Raises BadValueError."""
    for value in line.all("pe"):
        _slots(value.partition(" ")[2])


def parse_memory_mb(text: str) -> int | None:
    """`4G`, `512M`, `1000` (bytes), in MB and at least 1; None if it is no size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text)
    return max(1, int(min(float(match[1]) * _UNITS[match[2]], _MOST_MEMORY)) >> 20) if match else None


def _checked_name(name: str) -> str:
    if name[:1].isdecimal():
        raise RejectedError(f'denied: "{name}" is not a valid object name (cannot start with a digit)')
    if bad := re.search(r"[\s/:'\\@*?]", name):
        raise RejectedError(f'denied: "{name}" is not a valid object name (contains "{bad[0]}")')
    return name


def _is_yes(line: CommandLine, option: str) -> bool:
    value = line.last(option, "n")
    if value not in {"y", "yes", "n", "no"}:
        raise BadValueError(f'invalid option argument "-{option} {value}"')
    return value.startswith("y")


def _environment(call: Call, line: CommandLine) -> dict[str, str]:
    found = dict(call.environment) if line.has("V") else {}
    for value in line.all("v"):
        for piece in value.split(","):
            name, separator, text = piece.partition("=")
            found[name] = text if separator else call.environment.get(name, "")
    return found


def _output(core: Core, line: CommandLine, letter: str, cwd: str, *, is_array: bool) -> str:
    asked = line.last(letter)
    is_directory = bool(asked) and "$" not in asked and core.launcher.is_directory(asked.rpartition(":")[2], cwd)
    return output_path(asked, letter, is_array=is_array, is_directory=is_directory)


def _array(line: CommandLine) -> tuple[range | None, int]:
    limit = line.last("tc", "0")
    if not limit.isdecimal():
        raise BadValueError(f'invalid task concurrency number "{limit}". Must be an integer greater or equal to 0.')
    if not line.has("t"):
        return None, 0
    try:
        tasks = parse_tasks(line.last("t"))
    except ValueError as error:
        raise BadValueError(no_number(error)) from None
    if 0 in tasks:
        raise RejectedError("job rejected: 0 is an invalid task id")
    return tasks, int(limit)


def _priority(line: CommandLine) -> int:
    text = line.last("p", "0")
    if not re.fullmatch(r"-?\d+", text) or not -1023 <= int(text) <= 1024:
        raise BadValueError(f'invalid priority "{text}".  Must be an integer from -1023 to 1024')
    if int(text) > 0:
        raise RejectedError("job rejected: positive submission priority requires operator privileges")
    return int(text)


def _begin(core: Core, line: CommandLine) -> float | None:
    if not line.has("a"):
        return None
    found = parse_date(line.last("a"), core.clock.time())
    if found is None:
        raise BadValueError(
            f'Wrong date/time format "{line.last("a")}" specified to -a option',
            before="\nInvalid format of date/hour-minute field.\n",
        )
    return found


def _dependency(core: Core, line: CommandLine) -> Dependency | None:
    """Whatever became of them: jobs by number or name; who is not there is not waited for."""
    try:
        jobs = [job for word in ",".join(line.all("hold_jid")).split(",") if word for job in named(core, word).jobs]
    except ValueError as error:
        raise BadValueError(no_number(error)) from None
    found: dict[int, Condition] = {}
    for job in jobs:
        number = job.id if job.array_id is None else job.array_id
        found[number] = Condition("afterany", number, is_array=job.array_id is not None)
    return Dependency(tuple(found.values())) if found else None


def _resources(line: CommandLine) -> dict[str, str]:
    """What `-l` asks for, under the complexes' full names."""
    full = {"h": "hostname", "mf": "mem_free", "q": "qname"}
    found = {}
    for piece in ",".join(line.all("l")).split(","):
        name, _, value = piece.partition("=")
        if name and name not in _COMPLEXES:
            raise RejectedError(f'unknown resource "{name}"')
        if name:
            found[full.get(name, name)] = value
    return found


def _queues(core: Core, line: CommandLine, resources: Mapping[str, str]) -> str | None:
    """The queues that it may run in. One on a certain host limits the hosts as well; see `_needs`."""
    asked = [word for value in line.all("q") for word in value.split(",")]
    asked += [resources["qname"]] if "qname" in resources else []
    for word in asked:
        queue, _, host = word.partition("@")
        if queue not in core.partitions or (host and host not in core.nodes.position):
            raise RejectedError(f'Job was rejected because job requests unknown queue "{word}"')
    return ",".join(dict.fromkeys(word.partition("@")[0] for word in asked)) or None


def _needs(core: Core, line: CommandLine, resources: Mapping[str, str]) -> dict[str, Any]:
    slots, environment = 1, line.last("pe").partition(" ")
    if line.has("pe"):
        slots = _slots(environment[2])
        if environment[0] not in PARALLEL_ENVIRONMENTS:
            raise RejectedError(f'job rejected: the requested parallel environment "{environment[0]}" does not exist')
    memory = 0
    for name in ("h_vmem", "mem_free"):
        if name in resources:
            size = parse_memory_mb(resources[name])
            if size is None:
                raise RejectedError(f'attribute "{name}" is not a memory value')
            memory = max(memory, size)
    hosts = {word.partition("@")[2] for value in line.all("q") for word in value.split(",")} - {""}
    if "hostname" in resources:
        if resources["hostname"] not in core.nodes.position:
            raise RejectedError(f'can\'t resolve hostname "{resources["hostname"]}"')
        hosts = {resources["hostname"]}
    if resources.get("arch", "lx-amd64") != "lx-amd64":
        hosts = {""}
    gpus = resources.get("gpu", "0")
    if not gpus.isdecimal():
        raise RejectedError('attribute "gpu" is not an integer value')
    if int(gpus) and not any(node.machine.gpus for node in core.nodes.all):
        raise RejectedError('unknown resource "gpu"')
    on_one_host = environment[0] != "make"
    return {
        "tasks": 1 if on_one_host else slots,
        "cpus_per_task": slots if on_one_host else 1,
        "memory_per_cpu_mb": memory,
        "gpus": int(gpus),
        "exclude": tuple(name for name in core.nodes.position if hosts and name not in hosts),
        **_times(resources),
    }


def _times(resources: Mapping[str, str]) -> dict[str, Any]:
    limits = {}
    for name in ("h_rt", "s_rt"):
        if name in resources:
            seconds = parse_seconds(resources[name])
            if seconds is None:
                raise RejectedError(f'attribute "{name}" is not a time value')
            limits[name] = seconds
    if "s_rt" in limits and limits["s_rt"] and "h_rt" not in limits:
        raise RejectedError('unknown resource "s_rt" without h_rt: simcluster warns before an end only')
    found: dict[str, Any] = {"time_limit": limits.get("h_rt")}
    if limits.get("s_rt") and limits["h_rt"] > limits["s_rt"]:
        found["warning"] = (int(signal.SIGUSR1), limits["h_rt"] - limits["s_rt"], Target.EVERYTHING)
    return found


def _slots(text: str) -> int:
    """The least of a range such as `2-8`: a job gets no more than it can't do without."""
    match = re.fullmatch(r"(\d*)(-)?(\d*)", text)
    if match is None or not (match[1] or match[3]):
        raise BadValueError(
            f'Numerical value invalid!\nThe initial portion of string "{text}" contains no decimal number'
        )
    return max(1, int(match[1] or match[3]))
