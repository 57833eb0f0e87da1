"""What a call would do, told before it is made: nothing is run, sent or connected to."""

from __future__ import annotations

import dataclasses
import html
import sys
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clustrix.errors import ClustrixError, SubmissionError
from clustrix.local_modules import is_standard_library
from clustrix.loop_transform import loops_in
from clustrix.remote.environments import environment_python
from clustrix.remote.interpreters import Interpreter
from clustrix.remote.job_python import JobPython
from clustrix.remote.jobs import JobRequest, render_script
from clustrix.remote.paths import StatePaths
from clustrix.remote.schedulers import SchedulerError
from clustrix.resources import loop_wish, resources_for
from clustrix.submission import PreparedCall, encode_call, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clustrix.config import ClusterConfig
    from clustrix.remote.loop_plan import Wish
    from clustrix.resources import JobOptions

__all__ = ["Report", "Section", "explain", "render_job_script"]

_LEGEND = "# Only the cluster knows: /HOME (your home directory there), ENVIRONMENT, AGENT, CLIENT_ID, and JOB_ID, which is new each time."


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    title: str
    lines: tuple[str, ...]


@dataclass
class Report:
    """What ``f.explain(...)`` found out. It prints as text, and shows itself in a notebook.

    ``strategy`` is ``source``, ``bytecode`` or ``refused``; when it is refused, ``error`` is what the call would raise.
    ``job_script`` is empty where there is none. ``add`` appends a section.
    """

    function: str
    strategy: str
    sections: list[Section] = field(default_factory=list)
    job_script: str = ""
    error: ClustrixError | None = None

    def add(self, title: str, lines: Iterable[str]) -> None:
        """Append a section; one without lines is left out."""
        section = Section(title, tuple(lines))
        if section.lines:
            self.sections.append(section)

    def __str__(self) -> str:
        parts = [f"{self.function}()"]
        parts += ["\n".join([item.title, *(f"  {line}" for line in item.lines)]) for item in self.sections]
        if self.job_script:
            parts.append("Job script\n" + self.job_script)
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [f"<h4><code>{html.escape(self.function)}()</code></h4>"]
        for item in self.sections:
            lines = "".join(f"<li>{html.escape(line)}</li>" for line in item.lines)
            parts.append(f"<details open><summary>{html.escape(item.title)}</summary><ul>{lines}</ul></details>")
        if self.job_script:
            parts.append(f"<details><summary>Job script</summary><pre>{html.escape(self.job_script)}</pre></details>")
        return f"<div>{''.join(parts)}</div>"


def explain(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: JobOptions,
    config: ClusterConfig,
    *,
    runs_here: bool = False,
) -> Report:
    """The report of a call. What the call would raise before anything is sent is told in the report."""
    name = getattr(function, "__qualname__", repr(function))
    report = Report(name, "refused")
    config = options.applied_to(config)
    report.add("Where", _where(config, runs_here=runs_here))
    try:
        call, values = encode_call(prepare(function, options, config), args, kwargs, {})
    except ClustrixError as error:
        report.error = error
        report.add("Strategy", [f"refused: {error}"])
        return report
    report.strategy = "bytecode" if call.package.dependencies.bytecode is not None else "source"
    report.add("Strategy", _strategy(call))
    report.add("Sent", _sent(call, *values.sizes()))
    report.add("Files of the package", _files(call))
    report.add("Arguments", _arguments(args, kwargs))
    report.add("Python and environment", _environment(call))
    report.add("Resources", _resources(call))
    report.add("Loops", _loops(call))
    try:
        report.job_script = render_job_script(call)
    except SubmissionError as error:
        report.add("Job script", [f"none: {error}"])
    return report


def render_job_script(call: PreparedCall) -> str:
    """The job script, as the agent would render it, with words in the place of what only the cluster knows.

    :raises SubmissionError: there is no such scheduler, or a value can't be written into a script
    """
    config = call.config
    state = StatePaths(_there(config.remote_state_dir))
    spec = call.spec(dataclasses.replace(call.new_entry(), job_id="JOB_ID"), "CLIENT_ID")
    program = environment_python(state, "ENVIRONMENT")
    if config.conda_env_name is not None:
        program = "/ENVIRONMENT/bin/python"
    python = JobPython(program, Interpreter(program, (), ""), "activated" if config.conda_env_name is not None else "")
    request = JobRequest(spec, python, _there(config.remote_work_dir), f"{state.agent('AGENT')}/run_job.py")
    try:
        first, _, rest = render_script(state, request).partition("\n")
    except (SchedulerError, ValueError) as error:
        raise SubmissionError(str(error)) from error
    return f"{first}\n{_LEGEND}\n{rest}"


def _loops(call: PreparedCall) -> list[str]:
    wish = loop_wish(call.options, call.config)
    if wish is None:
        return ["they run as they are: parallel=False, or auto_parallel=False and parallel=None"]
    found = loops_in(call.function)
    told = [(line, f"line {line}: {_how(wish)}") for line in found.plans]
    told += [(item.line, f"line {item.line}: runs as it is: {item.reason}") for item in found.refusals]
    lines = [words for _, words in sorted(told)]
    if found.plans and call.config.default_cores == 1:
        lines.append("the job has one core, so all of them run as they are")
    if not lines:
        return ["it has no for loop of its own"] if wish.is_asked else []
    return [*lines, "loops of functions that it calls run as they are"]


def _how(wish: Wish) -> str:
    if wish.threshold == 0:
        return "runs in parallel over the job's cores"
    if wish.is_asked:
        return "runs in parallel over the job's cores if its first iterations take long enough"
    return (
        f"runs in parallel over the job's cores if it has {wish.threshold} iterations (local_parallel_threshold) or more, and the first "
        "take long enough; parallel=True leaves out the former"
    )


def _there(path: str) -> str:
    return "/HOME" + path[1:] if path == "~" or path.startswith("~/") else path


def _where(config: ClusterConfig, *, runs_here: bool) -> list[str]:
    if runs_here:
        lines = ["here, in this process: no cluster_host is set, or the configuration says so. Nothing is sent."]
        return [*lines, "What follows is what would be sent to a cluster."]
    host = config.cluster_host or "this machine, as login node"
    user = f"{config.username}@" if config.username else ""
    return [
        f"{user}{host}, port {config.cluster_port}, over {config.connection}",
        f"scheduler: {config.cluster_type}",
        f"current directory of the job: {config.remote_work_dir}; clustrix's own files: {config.remote_state_dir}",
    ]


def _strategy(call: PreparedCall) -> list[str]:
    graph, own = call.package.dependencies, ".".join(map(str, sys.version_info[:2]))
    if graph.bytecode is not None:
        return [
            "bytecode: the function, or one that it reaches, has no source here",
            f"only a Python {own} can run it (magic number {graph.entry['magic']}): without one there it is refused, unqueued",
        ]
    if graph.closure is None:
        return [f"source: the job imports {graph.entry['name']} from the module {graph.entry['module']}"]
    if graph.closure.source is None:
        return ["an object around a function that the job imports"]
    return [
        f"source: {graph.closure.place}, which is the function's own (compiled again, its code is equal)",
        "the job's Python compiles it before it is queued; what that rejects is an error then",
    ]


def _sent(call: PreparedCall, arguments: int, bindings: int) -> list[str]:
    package = call.package
    lines = [f"package {package.package_id}, {_size(package.size_bytes)}, once: {package.package_path}"]
    described = package.metadata["execution_info"]
    for words, names in (
        ("definitions", described["definition_order"]),
        ("modules", described["modules"]),
        ("data files", described["data_files"]),
    ):
        if names:
            lines.append(f"{words} in it: {', '.join(names)}")
    if package.bindings:
        named = ", ".join(f"{name} ({type(value).__name__})" for name, value in sorted(package.bindings.items()))
        lines.append(f"captured values, beside it with each call, {_size(bindings)}: {named}")
    lines.append(f"arguments, with each call: {_size(arguments)}")
    return lines


def _files(call: PreparedCall) -> list[str]:
    with zipfile.ZipFile(call.package.package_path) as archive:
        return [f"{item.filename}, {_size(item.file_size)}" for item in archive.infolist()]


def _arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
    named = [(f"args[{number}]", value) for number, value in enumerate(args)]
    named += [(f"kwargs[{name!r}]", value) for name, value in kwargs.items()]
    return [f"{name}: {type(value).__module__}.{type(value).__qualname__}" for name, value in named]


def _environment(call: PreparedCall) -> list[str]:
    config, options, own = call.config, call.options, ".".join(map(str, sys.version_info[:3]))
    if config.conda_env_name is not None:
        return [f"the existing environment {config.conda_env_name!r}, as it is: it has to have what is imported"]
    if config.python_executable is not None:
        python = f"{config.python_executable}, which the configuration names"
    elif options.python is not None:
        python = f"{options.python}, which was asked for"
    else:
        python = f"the one there that is nearest to this one, {own}"
    lines = [f"Python: {python}"]
    if config.provision_python:
        lines.append("if there is none, uv fetches one (provision_python=True)")
    if call.requirements:
        origin = "asked for with requirements=" if options.requirements is not None else "of its imports"
        lines.append(f"requirements, {origin}: {', '.join(call.requirements)}")
        lines.append("the lock is made once the cluster's Python is known: the version here, else the newest below it")
    else:
        lines.append("requirements: none")
    if call.constraints:
        lines.append(f"constraints: {', '.join(call.constraints)}")
    optional = sorted(name for name in call.package.dependencies.modules.optional if not is_standard_library(name))
    if optional and options.requirements is None:
        lines.append(f"imported only if they are there: {', '.join(optional)}")
    lines.append(f"installed by: {config.package_manager}; use_two_venv={config.use_two_venv!r}")
    return lines


def _resources(call: PreparedCall) -> list[str]:
    config = call.config
    found = resources_for(call.options, config)
    lines = [
        f"cores: {found.pop('cores')}, memory: {found.pop('memory_mb')} MiB per node, time: {found.pop('time_seconds')} s"
    ]
    lines += [f"{name}: {value}" for name, value in found.items() if value]
    if config.module_loads:
        lines.append(f"modules that are loaded: {', '.join(config.module_loads)}")
    if config.environment_variables:
        lines.append(f"environment variables: {', '.join(sorted(config.environment_variables))} (values not shown)")
    if config.pre_execution_commands:
        lines.append(f"commands before it: {'; '.join(config.pre_execution_commands)}")
    return lines


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
