"""From qsub's options to the core's request."""

from __future__ import annotations

import posixpath
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simcluster.emulated.interface import Request
from simcluster.emulated.pbs.depend import parse_depend
from simcluster.emulated.pbs.getopt import log_refusal
from simcluster.emulated.pbs.resources import requested_resources
from simcluster.emulated.pbs.submission import Submission
from simcluster.emulated.pbs.surroundings import Surroundings
from simcluster.emulated.pbs.variables import job_variables
from simcluster.emulated.pbs.words import (
    ARRAY_TOO_LARGE,
    NO_ATTRIBUTE,
    NOT_ENABLED,
    UNKNOWN_QUEUE,
    DeniedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call, Partition

__all__ = ["IllegalOptionError", "Script", "altered", "checked_name", "make_request", "parse_date", "priority_as_nice"]

_MOST_ELEMENTS = 10_000
_LONGEST_NAME = 236
_PRIORITY_STEP = 1_000_000
_PATTERNS = {
    "m": r"n|[abej]+",
    "k": r"n|[oe]{1,2}d?|d[oe]{1,2}",
    "j": r"oe|eo|n",
    "R": r"o|e|oe|eo",
    "r": r"y|n",
}
_ATTRIBUTES = {
    "stagein",
    "stageout",
    "sandbox",
    "group_list",
    "interactive",
    "cred",
    "release_nodes_on_stageout",
    "tolerate_node_failures",
    "create_resv_from_job",
    "pwd",
    "Hold_Types",
    "User_List",
}
"""Attributes of `-W` that exist and are not emulated."""


class IllegalOptionError(Exception):
    """A value that qsub itself does not take."""

    def __init__(self, text: str, *, has_usage: bool = True) -> None:
        super().__init__(text)
        self.text, self.has_usage = text, has_usage


@dataclass(frozen=True)
class Script:
    """What is to be run: a script's text, or a command. `name` is the job's where no other is given."""

    text: bytes
    name: str
    command: tuple[str, ...] | None = None


def make_request(core: Core, call: Call, options: Sequence[tuple[str, str]], script: Script) -> Request:
    """Raises IllegalOptionError, UnsendableError and DeniedError."""
    given = dict(options)
    special = _special(given)
    queue = _queue(core, given.get("q", "").partition("@")[0])
    indices, limit, elements = _elements(given, special)
    resources = requested_resources([value for name, value in reversed(options) if name == "l"], queue)
    name = _name(given.get("N"), script)
    if elements is not None and len(elements) > _MOST_ELEMENTS:
        raise DeniedError(ARRAY_TOO_LARGE)
    listed = given.get("v")
    submission = Submission(
        name=name,
        resources=resources,
        variables=job_variables(call.environment, call.cwd, queue.name, call.host, listed, everything="V" in given),
        home=call.environment.get("HOME", "/"),
        host=call.host,
        directory=call.cwd,
        output=_path(call, given.get("o")),
        error=_path(call, given.get("e")),
        arguments=call.arguments,
        account=given.get("A"),
        mail_points=_checked("m", given.get("m", "a"), _PATTERNS["m"]),
        mail_users=given.get("M"),
        project=given.get("P") or "_pbs_project_default",
        priority=_priority(given.get("p", "0")),
        keep=_checked("k", given.get("k", "n"), _PATTERNS["k"]),
        join=_checked("j", given.get("j", "n"), _PATTERNS["j"]),
        remove=_checked("R", given["R"], _PATTERNS["R"]) if "R" in given else None,
        is_rerunable=_checked("r", given.get("r", "y"), _PATTERNS["r"]) == "y",
        umask=int(_checked("W", special["umask"], r"[0-7]{1,4}"), 8) if "umask" in special else None,
        shell=given.get("S") or call.environment.get("PBS_SHELL"),
        command=script.command,
        indices=indices,
        limit=limit,
        is_held="h" in given,
        blocks=_is_true(special.get("block", "false")),
        begin=parse_date(given["a"], core.clock.time()) if "a" in given else None,
    )
    depend = parse_depend(core, special["depend"]) if "depend" in special else None
    if "depend" in special and depend is None:
        raise IllegalOptionError("illegal -W value")
    return Request(
        name=name,
        user=call.user,
        script=script.text,
        cwd=submission.home,
        dialect=Surroundings(core, submission),
        time_limit=resources.walltime,
        partition=queue.name,
        account=submission.account,
        nice=priority_as_nice(submission.priority),
        array=elements,
        array_limit=limit,
        dependency=depend,
        is_killed_by_invalid_dependency=True,
        begin=submission.begin,
        is_held=submission.is_held,
        is_requeueable=submission.is_rerunable,
        umask=call.umask,
        options={"submit-dir": call.cwd, **({"block": "true"} if submission.blocks else {})},
        **_in_core_terms(core, resources.in_core_terms(core.nodes.all[0].machine.gpus)),
    )


def altered(call: Call, given: Submission, options: Mapping[str, str]) -> Submission:
    """The submission with what `qalter` changes. Raises IllegalOptionError."""
    changes: dict[str, Any] = {}
    for letter, name in (("A", "account"), ("M", "mail_users"), ("P", "project")):
        if letter in options:
            changes[name] = options[letter]
    for letter, name in (("m", "mail_points"), ("k", "keep"), ("j", "join"), ("R", "remove")):
        if letter in options:
            changes[name] = _checked(letter, options[letter], _PATTERNS[letter])
    for letter, name in (("o", "output"), ("e", "error")):
        if letter in options:
            changes[name] = _path(call, options[letter])
    if "p" in options:
        changes["priority"] = _priority(options["p"])
    if "r" in options:
        changes["is_rerunable"] = _checked("r", options["r"], _PATTERNS["r"]) == "y"
    return replace(given, **changes)


def checked_name(name: str) -> str:
    """A name that `-N` takes. Raises IllegalOptionError."""
    if len(name) > _LONGEST_NAME:
        raise IllegalOptionError("Job name is too long ", has_usage=False)
    if not re.fullmatch(r"[\w.+-]+", name, re.ASCII):
        raise IllegalOptionError("illegal -N value")
    return name


def priority_as_nice(priority: int) -> int:
    """So that a job of a higher priority comes before all of a lower one."""
    return -priority * _PRIORITY_STEP


def parse_date(text: str, now: float) -> float:
    """`[[[[CC]YY]MM]DD]hhmm[.SS]` as Unix seconds. Raises IllegalOptionError."""
    match = re.fullmatch(r"(\d{4}|\d{6}|\d{8}|\d{10}|\d{12})(?:\.(\d\d))?", text)
    if match is None:
        raise IllegalOptionError("illegal -a value")
    today, digits, seconds = time.localtime(now), match[1], match[2] or "00"
    head = time.strftime("%Y%m%d", today)
    whole = head[: 12 - len(digits)] + digits
    try:
        moment = time.mktime(time.strptime(whole + seconds, "%Y%m%d%H%M%S"))
    except (ValueError, OverflowError):
        raise IllegalOptionError("illegal -a value") from None
    return moment + 86400 if len(digits) == 4 and moment < now else moment


def _in_core_terms(core: Core, fields: dict[str, Any]) -> dict[str, Any]:
    """A host that is not there makes a job wait, but there is no such place for the core: any that has no room will do."""
    if unknown := [name for name in fields.get("nodelist", ()) if name not in core.nodes.position]:
        del unknown, fields["nodelist"]
        fields["cpus_per_task"] = 1 << 20
    return fields


def _special(given: dict[str, str]) -> dict[str, str]:
    """`-W name=value[,name=value]`; a value goes to the next name."""
    if "W" not in given:
        return {}
    text = given["W"].strip()
    pieces = re.split(r",(?=[A-Za-z_]+=)", text)
    special = {}
    for piece in pieces:
        name, separator, value = piece.partition("=")
        if not separator:
            raise IllegalOptionError("illegal -W value")
        if name not in {"depend", "umask", "block", "max_run_subjobs"}:
            if name in _ATTRIBUTES:
                log_refusal("qsub", f"-W {name}")
            raise DeniedError(type(NO_ATTRIBUTE)(NO_ATTRIBUTE.code, "Error (15002) submitting job"))
        special[name.strip()] = value.strip().strip("\"'")
    return special


def _queue(core: Core, name: str) -> Partition:
    queue = core.partitions.get(name) if name else core.site.default_partition
    if queue is None:
        raise DeniedError(UNKNOWN_QUEUE)
    if not queue.accepts:
        raise DeniedError(NOT_ENABLED)
    return queue


def _elements(given: dict[str, str], special: dict[str, str]) -> tuple[str | None, int, tuple[int, ...] | None]:
    """The array's indices as they were written, how many may run at once, and the numbers."""
    if "J" not in given:
        return None, 0, None
    match = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?:%(\d+))?", given["J"])
    if match is None or int(match[1]) >= int(match[2]) or match[3] == "0":
        raise IllegalOptionError("illegal -J value")
    if given.get("r") == "n":
        raise IllegalOptionError("cannot submit non-rerunable Array Job")
    limit = match[4] or special.get("max_run_subjobs", "0")
    numbers = range(int(match[1]), int(match[2]) + 1, int(match[3] or 1))
    return given["J"].partition("%")[0], int(limit), tuple(numbers[: _MOST_ELEMENTS + 1])


def _name(asked: str | None, script: Script) -> str:
    if asked is None:
        return re.sub(r"[^\w.+-]", "_", script.name)[:_LONGEST_NAME]
    return checked_name(asked)


def _path(call: Call, text: str | None) -> str | None:
    """`host:path` as it is, else an absolute path; a directory keeps its slash."""
    if text is None or re.match(r"[\w.-]+:", text):
        return text
    made = posixpath.normpath(posixpath.join(call.cwd, text))
    return f"{made}/" if text.endswith("/") else made


def _priority(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,5}", text.strip()) or not -1024 <= int(text) <= 1023:
        raise IllegalOptionError("illegal -p value")
    return int(text)


def _is_true(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise IllegalOptionError("illegal -W value")
    return text.lower() == "true"


def _checked(letter: str, value: str, pattern: str) -> str:
    if not re.fullmatch(pattern, value.strip()):
        raise IllegalOptionError(f"illegal -{letter} value")
    return value.strip()
