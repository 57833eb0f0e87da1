"""What one job asks for: the decorator's keywords, checked, over the configuration's defaults."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from clustrix.config import ClusterConfig, parse_memory_mb, parse_time_seconds
from clustrix.errors import ConfigurationError
from clustrix.remote.loop_plan import Wish
from clustrix.remote.schedulers import lacking

__all__ = ["JobOptions", "loop_wish", "resources_for", "split_keywords"]


@dataclass(frozen=True)
class JobOptions:
    """The keywords of ``@cluster`` that are about one job; None means the configuration's default."""

    cores: int | None = None
    memory: str | None = None
    time: str | None = None
    partition: str | None = None
    queue: str | None = None
    gpus: int | None = None
    nodes: int | None = None
    environment: str | None = None
    python: str | None = None
    requirements: Any = None
    include: list[str] | None = None
    modules: list[str] | None = None
    environment_variables: dict[str, str] | None = None
    pre_execution_commands: list[str] | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    mail: str | None = None
    extra_directives: list[str] | None = None
    async_submit: bool | None = None
    parallel: bool | None = None
    stream: bool | None = None
    retries: int | None = None
    retry_policy: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name in ("gpus", "nodes"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ConfigurationError(f"{name}={value!r}: allowed is a whole number of 1 or more")
        if self.stream is not None and not isinstance(self.stream, bool):
            raise ConfigurationError(f"stream={self.stream!r}: allowed is True or False")
        if self.python is not None and not (isinstance(self.python, str) and _VERSION.fullmatch(self.python)):
            raise ConfigurationError(f'python={self.python!r}: allowed is a version such as "3.6" or "3.6.15", as text')
        if self.include is not None and not (
            isinstance(self.include, list | tuple) and all(isinstance(item, str) for item in self.include)
        ):
            raise ConfigurationError(
                f'include={self.include!r}: allowed is a list of modules and files, such as ["plugins", "data/a.csv"]'
            )
        _check_retries(self.retries, self.retry_policy)
        if self.parallel is not None and not isinstance(self.parallel, bool):
            raise ConfigurationError(
                f"parallel={self.parallel!r}: allowed is True, False, or None: as auto_parallel says"
            )
        for name in ("constraint", "reservation"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and _WORD.fullmatch(value)):
                raise ConfigurationError(
                    f"{name}={value!r}: allowed is one word without spaces and quotes, with no - in front"
                )
        if self.mail is not None and not (isinstance(self.mail, str) and _ADDRESS.fullmatch(self.mail)):
            raise ConfigurationError(f"mail={self.mail!r}: allowed is one address, which gets a mail when the job ends")
        for name, field in _SAME_AS_FIELD.items():
            value = getattr(self, name)
            if value is not None:
                _check_as_field(name, field, value)

    def applied_to(self, config: ClusterConfig) -> ClusterConfig:
        """``config`` with this job's values in the fields that are defaults for jobs."""
        given = {field: getattr(self, name) for name, field in _SAME_AS_FIELD.items()}
        changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
        if self.environment_variables is not None:
            changes["environment_variables"] = {**config.environment_variables, **self.environment_variables}
        return dataclasses.replace(config, **changes) if changes else config


# The scheduler's name of an attempt has room for one digit more than the job's id.
_MOST_RETRIES = 9
_LARGEST_FACTOR = 10


def _check_retries(retries: Any, policy: Any) -> None:
    is_whole = isinstance(retries, int) and not isinstance(retries, bool)
    if retries is not None and not (is_whole and 0 <= retries <= _MOST_RETRIES):
        raise ConfigurationError(f"retries={retries!r}: allowed is a whole number from 0 to {_MOST_RETRIES}")
    if policy is None:
        return
    if not isinstance(policy, Mapping) or not policy or not all(_is_growth(*item) for item in policy.items()):
        raise ConfigurationError(
            f"retry_policy={policy!r}: allowed is by what factor, above 1 and at most {_LARGEST_FACTOR}, memory or time grow with each "
            'attempt after one that had too little, such as {"memory": 2, "time": 1.5}'
        )
    if not retries:
        raise ConfigurationError(
            f"retry_policy={policy!r} says how to begin again, and retries={retries!r} that this is never done: set retries= to 1 or more"
        )


def _is_growth(resource: Any, factor: Any) -> bool:
    is_number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
    return resource in {"memory", "time"} and is_number and 1 < factor <= _LARGEST_FACTOR


_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
# What begins with a - would be an option to some.
_WORD = re.compile(r"(?!-)[\w.,:;&|*()\[\]@+/=-]+")
_ADDRESS = re.compile(r"(?!-)[\w.+-]+(@[\w.-]+)?")
# The keywords that stand for a field of the configuration, and are checked as that field is.
_SAME_AS_FIELD = {
    "cores": "default_cores",
    "memory": "default_memory",
    "time": "default_time",
    "partition": "default_partition",
    "queue": "default_queue",
    "environment": "conda_env_name",
    "account": "account",
    "qos": "qos",
    "extra_directives": "extra_directives",
    "modules": "module_loads",
    "environment_variables": "environment_variables",
    "pre_execution_commands": "pre_execution_commands",
    "async_submit": "async_submit",
}


def _check_as_field(name: str, field: str, value: Any) -> None:
    try:
        ClusterConfig(**{field: value})
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace(f"{field}=", f"{name}=", 1)) from None


def split_keywords(keywords: Mapping[str, Any]) -> tuple[JobOptions, dict[str, Any]]:
    """The job's options, and the overrides of configuration fields, among the keywords of ``@cluster``.

    Raises ConfigurationError (a TypeError) for an unknown keyword, with the nearest known one.
    """
    own = {field.name for field in fields(JobOptions)}
    general = {field.name for field in fields(ClusterConfig)}
    for name in keywords:
        if name not in own | general:
            near = difflib.get_close_matches(name, sorted(own | general), n=1)
            raise ConfigurationError(
                f"@cluster has no keyword {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    options = JobOptions(**{name: value for name, value in keywords.items() if name in own})
    overrides = {name: value for name, value in keywords.items() if name not in own}
    if overrides:
        ClusterConfig(**overrides)
    return options, overrides


def loop_wish(options: JobOptions, config: ClusterConfig) -> Wish | None:
    """How much a function's loops may do in parallel; None: nothing."""
    if options.parallel or (options.parallel is None and config.auto_parallel):
        return Wish(bool(options.parallel), config.local_parallel_threshold)
    return None


def resources_for(options: JobOptions, config: ClusterConfig) -> dict[str, Any]:
    """What the scheduler is asked for, as plain data: memory in MiB per node, time in seconds.

    :raises ConfigurationError: a scheduler of this kind can't give something of that
    """
    resources = {
        "cores": config.default_cores,
        "memory_mb": parse_memory_mb(config.default_memory),
        "time_seconds": parse_time_seconds(config.default_time),
        "partition": config.default_partition,
        "queue": config.default_queue,
        "gpus": options.gpus,
        "nodes": options.nodes,
        "account": config.account,
        "qos": config.qos,
        "constraint": options.constraint,
        "reservation": options.reservation,
        "mail": options.mail,
        "extra_directives": list(config.extra_directives),
        "retries": options.retries or 0,
        "retry_policy": dict(options.retry_policy or {}),
    }
    refusal = lacking(config.cluster_type, resources)
    if refusal:
        raise ConfigurationError(f"cluster_type={config.cluster_type!r} and {refusal}")
    return resources
