"""What each field of the configuration may be, and what text from a file or the environment means for it."""

from __future__ import annotations

import difflib
import itertools
import math
import operator
import os
import re
import reprlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from clustrix.errors import ConfigurationError
from clustrix.yaml_files import parse_yaml

__all__ = ["KINDS", "SECRET_FIELDS", "check_field", "kind_of", "parse_memory_mb", "parse_time_seconds"]

SECRET_FIELDS = ("password",)


class _Kind(NamedTuple):
    """``check`` gives the value as it is kept, or raises ValueError or TypeError; ``parse`` reads text for it."""

    allowed: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = str
    takes_none: bool = False

    def or_none(self) -> _Kind:
        return self._replace(takes_none=True)


def kind_of(name: str, origin: str = "") -> _Kind:
    try:
        return KINDS[name]
    except KeyError:
        near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(KINDS)}"
        raise ConfigurationError(_said(origin, f"the configuration has no field {name!r}{hint}")) from None


def check_field(name: str, value: Any, origin: str = "") -> Any:
    """The value as the field keeps it; text from a source other than Python (`origin` says which) is parsed first."""
    kind = kind_of(name, origin)
    try:
        if origin:
            value = None if value == "" and kind.takes_none else kind.parse(value) if isinstance(value, str) else value
        kept = None if value is None and kind.takes_none else kind.check(value)
    except (ValueError, TypeError, OverflowError) as error:
        shown = "..." if name in SECRET_FIELDS else _brief.repr(value)[:500]
        words = f"{name}={shown}: allowed is {kind.allowed}{'; or None' if kind.takes_none else ''}"
        is_told = name in SECRET_FIELDS or isinstance(error, ConfigurationError)
        raise ConfigurationError(_said(origin, words)) from (None if is_told else error)
    return kept


def _said(origin: str, words: str) -> str:
    return f"{origin}: {words}" if origin else words


def parse_memory_mb(text: str) -> int:
    """MiB, rounded up, of text such as "8GB", "1.5G" or "500MB"; K, M, G and T are powers of 1024, as for schedulers."""
    match = (
        re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?\s*([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
        if isinstance(text, str)
        else None
    )
    if match:
        whole, fraction, unit = match[1], match[2] or "", match[3].upper()
        megabytes: int = -(-int(whole + fraction) * (1 << 10 * "KMGT".index(unit)) // (1024 * 10 ** len(fraction)))
        if megabytes:
            return megabytes
    raise ConfigurationError(f"memory {_brief.repr(text)}: allowed is {_MEMORY_WORDS}")


def parse_time_seconds(text: str) -> int:
    """Seconds of a time as Slurm takes it (sbatch(1), ``--time``): M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    match = (
        re.fullmatch(r"(?:([0-9]{1,5})-)?([0-9]{1,7})(?::([0-9]{1,4}))?(?::([0-9]{1,4}))?", text.strip())
        if isinstance(text, str)
        else None
    )
    if match:
        days, *parts = (None if part is None else int(part) for part in match.groups())
        numbers = [part for part in parts if part is not None]
        if days is not None:
            hours, minutes, seconds = [*numbers, 0, 0][:3]
        elif len(numbers) == 3:
            hours, minutes, seconds = numbers
        else:
            hours, (minutes, seconds) = 0, [*numbers, 0][:2]
        total = (((days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
        if total:
            return total
    raise ConfigurationError(f"time {_brief.repr(text)}: allowed is {_TIME_WORDS}")


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120
_brief.maxlevel = 2  # a few aliases in a YAML file can stand for billions of items

_MEMORY_WORDS = 'text with a unit, such as "8GB", "1.5GB" or "500MB"'
_TIME_WORDS = 'text such as "02:30:00" (HH:MM:SS), "1-12:00:00" (D-HH:MM:SS), "30:00" (MM:SS) or "90" (minutes)'


def _require(condition: object) -> None:
    if not condition:
        raise ValueError


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # UnicodeEncodeError, a ValueError, for what no file and no cluster could take
    _require("\0" not in value)
    return value


def _matching(pattern: str, allowed: str) -> _Kind:
    def check(value: Any) -> str:
        _require(re.fullmatch(pattern, _text(value)))
        return str(value)

    return _Kind(allowed, check)


def _choice(*choices: str) -> _Kind:
    return _matching("|".join(map(re.escape, choices)), "one of " + ", ".join(map(repr, choices)))


def _whole(least: int, most: int | None = None) -> _Kind:
    def check(value: Any) -> int:
        _require(not isinstance(value, bool))
        number = operator.index(value)  # numpy's integers are welcome, floats are not
        _require(number >= least and (most is None or number <= most))
        return number

    return _Kind(f"a whole number {f'of {least} or more' if most is None else f'from {least} to {most}'}", check, int)


def _seconds(value: Any) -> float:
    _require(isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value))
    return value  # type: ignore[no-any-return]


def _parse_seconds(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


def _truth(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _parse_truth(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    _require(text.lower() in words)
    return words[text.lower()]


def _two_venv(value: Any) -> bool | str:
    return "auto" if isinstance(value, str) and value == "auto" else _truth(value)


def _spec_of(parse: Callable[[str], int]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        parse(value)
        return _text(value)

    return check


def _path(value: Any) -> str:
    text = os.fspath(value)
    _require(_text(text) and not text.startswith("-") and "\n" not in text and "\r" not in text)
    return str(text)


def _remote_path(value: Any) -> str:
    # On Windows a Path would say it with backslashes.
    return _path(value.as_posix() if isinstance(value, PurePath) else value)


def _list_of(check_one: Callable[[Any], str], allowed: str) -> _Kind:
    def check(value: Any) -> list[str]:
        _require(isinstance(value, (list, tuple)))
        return [check_one(one) for one in value]

    return _Kind(f"a list of {allowed}", check, lambda text: parse_yaml(text, "the text of a list"))


def _variables(value: Any) -> dict[str, str]:
    _require(isinstance(value, Mapping))
    for name in value:
        _require(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", _text(name)) and name not in _BASH_SETS)
    return {name: _text(text) for name, text in value.items()}


# In the job script, and so in the job, these can't be set, or are soon what bash makes of them (bash(1), "Shell Variables").
_BASH_SETS = frozenset(
    [
        "_",
        "BASHOPTS",
        "BASHPID",
        "BASH_ALIASES",
        "BASH_ARGC",
        "BASH_ARGV",
        "BASH_CMDS",
        "BASH_COMMAND",
        "BASH_LINENO",
        "BASH_SOURCE",
        "BASH_SUBSHELL",
        "BASH_VERSINFO",
        "DIRSTACK",
        "EPOCHREALTIME",
        "EPOCHSECONDS",
        "EUID",
        "FUNCNAME",
        "GROUPS",
        "HISTCMD",
        "LINENO",
        "OLDPWD",
        "OPTIND",
        "PIPESTATUS",
        "PPID",
        "PWD",
        "RANDOM",
        "SECONDS",
        "SHELLOPTS",
        "SHLVL",
        "SRANDOM",
        "UID",
    ]
)


def _directive(value: Any) -> str:
    # A line break would end the directive and begin shell text; a word that is no option's would be taken for the script.
    _require(_text(value).strip() and value.isprintable())
    options = ["=", *shlex.split(value)]
    for before, word in itertools.pairwise(options):
        _require(word.startswith("-") or (before.startswith("-") and "=" not in before))
    return str(value)


_MODULE = _matching(r"\w[\w.+:@=/-]*", "")
_WORD = _matching(
    r"[\w.,:@+/=*%][\w.,:@+/=*%-]*", "one word of letters, digits and . , : @ + / = * % _ -, with no - in front"
).or_none()
_PATH = _Kind("a path without line breaks that does not begin with '-'", _path)
_REMOTE_PATH = _PATH._replace(check=_remote_path)
_TRUTH = _Kind("True or False", _truth, _parse_truth)
_SECONDS = _Kind("a number of seconds above 0", _seconds, _parse_seconds)
_COUNT = _whole(1)

KINDS: dict[str, _Kind] = {
    "cluster_type": _choice("slurm", "pbs", "sge", "ssh", "local"),
    "cluster_host": _matching(
        r"[\w.:\[\]][\w.:%+\[\]-]*",
        "a host name, an alias of ~/.ssh/config or an address; the user goes into username, the port into cluster_port",
    ).or_none(),
    "cluster_port": _whole(1, 65535),
    "username": _matching(r"[\w.][\w.@+\\-]*", "a user's name").or_none(),
    "key_file": _PATH.or_none(),
    "password": _Kind("text", _text).or_none(),
    "connection": _choice("auto", "paramiko", "openssh", "local"),
    "default_cores": _COUNT,
    "default_memory": _Kind(_MEMORY_WORDS, _spec_of(parse_memory_mb)),
    "default_time": _Kind(_TIME_WORDS, _spec_of(parse_time_seconds)),
    "default_partition": _WORD,
    "default_queue": _WORD,
    "remote_work_dir": _REMOTE_PATH,
    "remote_state_dir": _REMOTE_PATH,
    "local_work_dir": _PATH.or_none(),
    "local_cache_dir": _PATH,
    "python_executable": _REMOTE_PATH.or_none(),
    "conda_env_name": _Kind(
        "the name of a conda environment, or the path of one or of a virtual environment, without line breaks",
        _remote_path,
    ).or_none(),
    "auto_parallel": _TRUTH,
    "max_parallel_jobs": _COUNT,
    "account": _WORD,
    "qos": _WORD,
    "extra_directives": _list_of(
        _directive, 'options such as "--nice=100" or "-l mem=1gb", with quotes around what holds spaces'
    ),
    "job_poll_interval": _SECONDS.or_none(),
    "cleanup_on_success": _TRUTH,
    "prefer_local_parallel": _TRUTH,
    "local_parallel_threshold": _whole(0),
    "async_submit": _TRUTH,
    "use_two_venv": _Kind(
        "True, False or 'auto'", _two_venv, lambda text: text if text == "auto" else _parse_truth(text)
    ),
    "venv_setup_timeout": _SECONDS,
    "package_manager": _choice("auto", "uv", "pip"),
    "module_loads": _list_of(_MODULE.check, 'modules such as "gcc/12.2"'),
    "environment_variables": _Kind(
        'a mapping of names to text, such as {"OMP_NUM_THREADS": "4"}, but of no names that bash itself sets, such as UID and RANDOM',
        _variables,
        lambda text: parse_yaml(text, "the text of a mapping"),
    ),
    "pre_execution_commands": _list_of(_text, "shell commands"),
    "provision_python": _TRUTH,
    "build_on": _choice("login", "compute"),
    "nested": _choice("local", "submit"),
    "show_progress": _TRUTH,
    "host_key_policy": _choice("strict", "accept-new"),
    "known_hosts_file": _PATH.or_none(),
    "connect_timeout": _SECONDS,
}
