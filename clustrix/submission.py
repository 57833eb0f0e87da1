"""What is prepared of one call before anything is sent: its package, what it requires, its values, its spec, and every refusal."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import os
import secrets
import sys
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from clustrix import errors
from clustrix.argument_classes import functions_in, made_in, package_with_classes
from clustrix.downlevel import rewriter_id
from clustrix.file_packaging import PackageInfo, package_function_for_execution
from clustrix.journal import Entry
from clustrix.loop_transform import function_plan
from clustrix.requirements import explicit_constraints, explicit_requirements
from clustrix.resources import JobOptions, loop_wish, resources_for
from clustrix.serialization import Met, dump_arguments, dump_bindings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clustrix.config import ClusterConfig
    from clustrix.dependency_analysis import DependencyGraph
    from clustrix.remote.loop_plan import FunctionPlan
    from clustrix.remote.wire import Bytes
    from clustrix.session import PythonWish

__all__ = ["EncodedValues", "PreparedCall", "encode_call", "prepare", "with_classes_of_values"]


MOST_DEPTH = 5
"""How many jobs may have submitted each other, one out of another."""


class EncodedValues(NamedTuple):
    """The call's arguments, and the captured values that travel beside the package (none if there are none), in pieces.

    Large arrays are views of the caller's own memory. ``classes`` are those which the arguments have instances of, ``refusals``
    what no Python older than a version can have of all that, where it is not known who reads.
    """

    arguments: Sequence[Bytes]
    bindings: Sequence[Bytes]
    classes: frozenset[type] = frozenset()
    refusals: Mapping[tuple[int, int], str] = MappingProxyType({})

    def copied(self) -> EncodedValues:
        """The values as they are now, whatever the caller does to them afterwards."""
        return self._replace(arguments=[b"".join(self.arguments)], bindings=[b"".join(self.bindings)])

    def sizes(self) -> tuple[int, int]:
        """Bytes of the arguments, and of the captured values."""
        return sum(map(len, self.arguments)), sum(map(len, self.bindings))


@dataclass(frozen=True)
class PreparedCall:
    """A function as it would be sent; ``config`` has the options' values in it. Nothing of it came from the cluster."""

    function: Callable[..., Any]
    package: PackageInfo
    options: JobOptions
    config: ClusterConfig
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    loops: FunctionPlan | None = None

    @property
    def python_wish(self) -> PythonWish:
        config = self.config
        python = (self.options.python, config.conda_env_name, config.python_executable)
        return (*python, self.requirements, self.constraints, self.package.metadata["entry"].get("magic"))

    def encode(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], reader: tuple[int, int] | None = None
    ) -> EncodedValues:
        """The values of one call, for a reader of Python version ``reader`` (None: not known yet, then for any).

        :raises SerializationError: a value can't be sent
        """
        met = Met()
        arguments = dump_arguments(args, kwargs, reader, met, self.package.made)
        return self.encoded(arguments, reader, met)

    def encoded(self, arguments: Sequence[Bytes], reader: tuple[int, int] | None, met: Met) -> EncodedValues:
        """The encoded arguments, in which ``met`` was met, with the captured values."""
        classes = frozenset(met.classes)
        bindings = dump_bindings(self.package.bindings, reader, met, self.package.made)
        return EncodedValues(arguments, bindings, classes, met.refusals)

    def with_classes(self, classes: Iterable[Any]) -> PreparedCall:
        """The call with ``classes`` (and functions) of its arguments, and what they need; itself where it has all of that.

        :raises PackagingError: a class can't be packed
        :raises SerializationError: a class of a script can't go where the function goes
        """
        package = package_with_classes(self.function, self.config, self.package, classes, self.options.include or ())
        if package is self.package:
            return self
        requirements, constraints = _requirements(self.options, package)
        return dataclasses.replace(self, package=package, requirements=requirements, constraints=constraints)

    def new_entry(self) -> Entry:
        """The journal's entry of a new job, with its id and its key."""
        job_id = "cx" + base64.b32encode(secrets.token_bytes(8)).decode().lower()[:12]
        return Entry(
            job_id=job_id,
            key=secrets.token_hex(32),
            package=self.package.package_id,
            function=self.package.function_name,
            config=_without_variables(self.config),
            created=time.time(),
            retries=self.options.retries or 0,
        )

    def spec(self, entry: Entry, client: str) -> dict[str, Any]:
        """The job as the agent and the runner read it."""
        config = self.config
        return {
            "job_id": entry.job_id,
            "client": client,
            "function": entry.function,
            "created": entry.created,
            "task": 0,
            "depth": _depth(),
            "package": self.package.package_id,
            "rewriter": rewriter_id(),
            "entry": self.package.metadata["entry"],
            "client_python": list(sys.version_info[:3]),
            "scheduler": config.cluster_type,
            "poll_interval": config.job_poll_interval,
            "resources": resources_for(self.options, config),
            "modules": list(config.module_loads),
            "pre_execution_commands": list(config.pre_execution_commands),
            "environment_variables": dict(config.environment_variables),
            "work_dir": config.remote_work_dir,
            "python": self.options.python,
            "python_executable": config.python_executable,
            "provision_python": config.provision_python,
            "environment": config.conda_env_name,
            "imports": sorted(_imports_needed(self.package.dependencies)),
            "requirements": self.requirements,
            "constraints": self.constraints,
            "package_manager": config.package_manager,
            "setup_timeout": config.venv_setup_timeout,
            "build_on": config.build_on,
            "use_two_venv": config.use_two_venv,
            "loops": self.loops,
            "config": _without_variables(config),
        }


def prepare(function: Callable[..., Any], options: JobOptions, config: ClusterConfig) -> PreparedCall:
    """Pack the function, and decide all that can be decided here.

    :raises PackagingError: it can't be packed, or its value could never come back
    :raises ConfigurationError: two settings exclude each other
    """
    _refuse_what_never_returns(function)
    _refuse_what_submits_itself(function)
    config = options.applied_to(config)
    resources_for(options, config)
    _refuse_two_environments(options, config)
    package = package_function_for_execution(function, config, include=options.include or ())
    _refuse_other_bytecode(options, package)
    loops = _loops(function, options, config)
    return PreparedCall(function, package, options, config, *_requirements(options, package), loops)


def encode_call(
    call: PreparedCall,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    readers: Mapping[PythonWish, tuple[int, int]],
) -> tuple[PreparedCall, EncodedValues]:
    """The call with the classes and functions that its arguments need, and its values; ``readers`` are the Python versions known by now.

    :raises PackagingError: a class or function can't be packed
    :raises SerializationError: a value can't be sent
    """
    values = [*args, *kwargs.values()]
    return with_classes_of_values(call, values, lambda each: each.encode(args, kwargs, readers.get(each.python_wish)))


def with_classes_of_values(
    call: PreparedCall, given: Sequence[Any], encode: Callable[[PreparedCall], EncodedValues]
) -> tuple[PreparedCall, EncodedValues]:
    """The call with the classes and functions that the values ``given``, which ``encode`` encodes for it, need; and these. Raises as ``encode_call``."""
    made: frozenset[Any] = frozenset()
    try:
        values = encode(call)
    except errors.SerializationError:
        made = made_in(given)
        with_made = call.with_classes(made)
        if with_made is call:
            raise
        values = encode(with_made)
    whole = call.with_classes(values.classes | made | functions_in(given, values.arguments, values.classes))
    # What is required decides which Python reads, and that how it is written.
    return whole, values if whole is call else encode(whole)


def _loops(function: Callable[..., Any], options: JobOptions, config: ClusterConfig) -> FunctionPlan | None:
    wish = loop_wish(options, config)
    return function_plan(function, wish) if wish is not None and config.default_cores > 1 else None


def _imports_needed(graph: DependencyGraph) -> set[str]:
    """The external modules without which the function can't run.

    A module comes along whole: what its other functions would import is not among them.
    """
    made = {item.module for item in graph.imports}
    reached = graph.modules
    return {name for name in reached.external - reached.optional if name in made or name not in reached.deferred}


def _requirements(options: JobOptions, package: PackageInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the job's environment holds, and what limits the versions of what these need in turn, sorted."""
    if options.requirements is None:
        return tuple(sorted(package.requirements)), ()
    return explicit_requirements(options.requirements), tuple(sorted(explicit_constraints(options.requirements)))


def _without_variables(config: ClusterConfig) -> dict[str, Any]:
    """The configuration as it is kept in files: variables may be tokens, and go where the job needs them only."""
    return {name: value for name, value in config.public_dict().items() if name != "environment_variables"}


def _depth() -> int:
    """1 for a job, 2 for one that a job submits, and so on."""
    return int(os.environ.get("CLUSTRIX_JOB_DEPTH", "0")) + 1


def _refuse_what_submits_itself(function: Callable[..., Any]) -> None:
    if _depth() > MOST_DEPTH:
        name = getattr(function, "__qualname__", repr(function))
        raise errors.SubmissionError(
            f"{name} is called in a job that is {_depth() - 1} jobs deep, each submitted by the one before, and no more than {MOST_DEPTH} may be: functions "
            'that submit each other would go on for ever. Leave out nested="submit" where they do'
        )


def _refuse_two_environments(options: JobOptions, config: ClusterConfig) -> None:
    if config.conda_env_name is not None:
        for name, value in (("requirements", options.requirements), ("python_executable", config.python_executable)):
            if value is not None:
                raise errors.ConfigurationError(
                    f"{name}={value!r} can't be had in the existing environment {config.conda_env_name!r}, which is used as it is: "
                    f"leave out {name}, or environment= and conda_env_name"
                )


def _refuse_other_bytecode(options: JobOptions, package: PackageInfo) -> None:
    own = sys.version_info[:2]
    if package.metadata["entry"]["kind"] == "bytecode" and options.python is not None:
        wanted = tuple(int(part) for part in options.python.split("."))[:2]
        if wanted != own:
            raise errors.PackagingError(
                f"{package.function_name} has no source here, so it travels as bytecode of Python {own[0]}.{own[1]}, which Python "
                f"{options.python} can't run: put it into a file and import it, or leave out python={options.python!r}"
            )


def _refuse_what_never_returns(function: Callable[..., Any]) -> None:
    kinds = {
        "a generator function": inspect.isgeneratorfunction,
        "an async generator function": inspect.isasyncgenfunction,
    }
    for kind, is_kind in kinds.items():
        if is_kind(function):
            name = getattr(function, "__qualname__", repr(function))
            raise errors.PackagingError(
                f"{name} is {kind}, whose value can't leave the job: call it in a function that returns plain data, such as list({name}(...))"
            )
