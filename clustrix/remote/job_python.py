"""Decides what a job's Python is and what it needs around it: everything that can be refused before the job is queued."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

from . import existing_environments, interpreters, overlays, packages
from .environment_modules import refuse_unknown_modules
from .job_environment import JobEnvironment
from .notes import Notes
from .paths import StatePaths
from .provisioning import choose_or_provision
from .script import with_modules

__all__ = ["JobPython", "ValuesRefusedError", "job_python", "python_candidates"]


class ValuesRefusedError(Exception):
    """The job's Python can't have something in the call's arguments or in the variables that the function captured."""


class JobPython(NamedTuple):
    """The program that runs the job, the interpreter it is of, and the text of the job's activation file, if any.

    ``tools`` is the Python of the tools environment, where the job has two stages and an environment of ours.
    ``package_dir`` is where the job finds its package, as that Python can compile it.
    """

    program: str
    interpreter: interpreters.Interpreter
    activation: str = ""
    tools: Optional[str] = None
    package_dir: str = ""


def job_python(
    state: StatePaths,
    notes: Notes,
    spec: Dict[str, Any],
    *,
    report: Callable[[str], None],
    ask: Callable[..., bytes],
    environment_on: Callable[[Sequence[interpreters.Interpreter]], JobEnvironment],
) -> JobPython:
    """The Python of the job that ``spec`` describes: ``environment_on`` gives our own environment on one of some interpreters,
    ``ask`` a piece that the client has.

    Raises UnknownModuleError, EnvironmentUnusableError, InterpreterNotFoundError, SyntaxRefusedError, PackageError for
    bytecode that no Python there has, ValuesRefusedError, and what ``environment_on`` raises.
    """
    refuse_unknown_modules(notes, spec["modules"], spec["environment_variables"])
    if spec["environment"]:
        found = _existing(spec, report)
        _with_its_bytecode(spec["entry"], [found.interpreter])
    else:
        own = environment_on(python_candidates(spec, report))
        found = JobPython(own.python, own.interpreter, tools=own.tools)
    _refuse_values(spec["refusals"], found.interpreter)
    command = with_modules([*spec["modules"], *found.interpreter.modules], [found.program])
    directory = overlays.runnable(state, spec, command, found.interpreter, report=report, ask=ask)
    return found._replace(package_dir=directory)


def _refuse_values(refusals: List[Any], interpreter: interpreters.Interpreter) -> None:
    """The client knew what they need, and not which Python reads them."""
    for major, minor, words in sorted(refusals):
        if interpreter.version[:2] < (major, minor):
            raise ValuesRefusedError("%s. The job would run under %s" % (words, interpreter.in_words))


_reported: Set[str] = set()


def python_candidates(spec: Dict[str, Any], report: Callable[[str], None]) -> List[interpreters.Interpreter]:
    """The interpreters that may run the job, the chosen one first. Raises InterpreterNotFoundError and PackageError."""
    client = tuple(spec["client_python"])
    python = spec["python"]
    if not (python or spec["python_executable"]) and spec["entry"]["kind"] == "bytecode":
        python = "%d.%d" % client[:2]  # other versions have other magic numbers
    wish = (python, spec["python_executable"], client)
    try:
        interpreter = choose_or_provision(
            *wish, is_allowed=spec["provision_python"], seconds=spec["setup_timeout"], report=report
        )
    except interpreters.InterpreterNotFoundError as error:
        if spec["entry"]["kind"] != "bytecode":
            raise
        raise _bytecode_refusal(spec["entry"], str(error)) from None
    choice = interpreters.explain_choice(interpreter, *wish)
    # Who asked for a version knows it; that another one than the client's was taken is worth a line, once.
    if not any(wish[:2]) and interpreter.version[:2] != client[:2] and choice not in _reported:
        _reported.add(choice)
        report(choice)
    others = interpreters.candidates(*wish)
    found = [interpreter, *(item for item in others if item.path != interpreter.path)]
    return _with_its_bytecode(spec["entry"], found)


def _with_its_bytecode(entry: Dict[str, Any], found: List[interpreters.Interpreter]) -> List[interpreters.Interpreter]:
    """Those of ``found`` that can run the function: all, unless it came as bytecode. Raises PackageError if there are none."""
    fitting = [item for item in found if entry["kind"] != "bytecode" or item.magic == entry["magic"]]
    if not fitting:
        raise _bytecode_refusal(entry, "%s has another one" % found[0].in_words)
    return fitting


def _bytecode_refusal(entry: Dict[str, Any], reason: str) -> packages.PackageError:
    return packages.PackageError(
        "%s has no source on the client, so it travels as bytecode, for Pythons with the magic number %s only, and %s. There "
        "are: %s. Put the function into a file and import it: then its source travels, which any of them can run"
        % (entry["name"], entry["magic"], reason, interpreters.listing() or "none")
    )


def _existing(spec: Dict[str, Any], report: Callable[[str], None]) -> JobPython:
    environment = existing_environments.find_environment(spec["environment"])
    version = environment.interpreter.version_text
    if spec["python"] and not (version + ".").startswith(spec["python"] + "."):
        raise existing_environments.EnvironmentUnusableError(
            "%s can't run a job with python=%r: leave one of them out" % (environment.in_words, spec["python"])
        )
    modules: List[str] = spec["modules"]
    missing = existing_environments.missing_imports(
        environment, spec["imports"], modules, spec["environment_variables"]
    )
    words = "%s on the cluster lacks what the function imports: %s" % (environment.in_words, ", ".join(missing))
    if missing and not spec["pre_execution_commands"]:
        raise existing_environments.EnvironmentUnusableError(
            words + ". Install it there (clustrix never changes an existing environment), or leave environment= out"
        )
    if missing:
        # Whether the user's commands bring it is seen in the job only.
        report(words + ", unless pre_execution_commands bring it")
    return JobPython(environment.python, environment.interpreter, environment.activation())
