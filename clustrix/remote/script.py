"""Job scripts: the one place that writes shell text, and the one place that quotes for it."""

import os
import re
import shlex
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

from .paths import JobPaths

__all__ = [
    "UTF8_IF_UNSET",
    "ScriptParts",
    "activation_file",
    "build_script",
    "directive",
    "element_output",
    "environment_file",
    "job_script",
    "once",
    "with_modules",
]

# Python 3.6 takes a missing locale for ASCII, and could neither print nor open what is not.
UTF8_IF_UNSET = '[ -n "$LC_ALL$LC_CTYPE$LANG" ] || export LC_CTYPE=C.UTF-8'

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class ScriptParts(NamedTuple):
    """What a job script is made of, beside the job's own files.

    ``python_modules`` are those that the job's Python itself needs; ``is_activated`` says that the job has an activation
    file. ``element`` is the shell's expression for the name of an array's element, which the command gets as a further argument, and
    after it, which attempt the array is.
    """

    directives: List[str]
    modules: List[str]
    pre_execution_commands: List[str]
    work_dir: str
    done_dir: str
    command: List[str]
    python_modules: Sequence[str] = ()
    is_activated: bool = False
    element: str = ""
    attempt: int = 0


def directive(prefix: str, option: str, value: Any) -> str:
    """One line such as ``#SBATCH --output='/home/a b/log'`` or ``#PBS -o '/home/a b/log'``.

    sbatch and qsub read the rest of such a line with the shell's quoting rules. A line break would end the directive
    and begin shell text, so it is refused.
    """
    text = str(value)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("%s can't hold a control character: %r" % (option, text))
    return "%s %s%s%s" % (prefix, option, "=" if option.startswith("--") else " ", shlex.quote(text))


def element_output(job: JobPaths, element: str) -> str:
    """Shell text that sends what an array's element writes to files of its own; ``element`` is the shell's expression of its name."""
    out, err = (shlex.quote(path) + '."%s"' % element for path in (job.stdout, job.stderr))
    return "exec >> %s 2>> %s" % (out, err)


def once(job: JobPaths, element: str) -> str:
    """Shell text that ends an array's element that a scheduler runs again, as the runner does."""
    return 'mkdir %s."%s" 2> /dev/null || exit 118' % (shlex.quote(job.file("marks", "ran")), element)


def environment_file(variables: Dict[str, str]) -> str:
    """Shell text that exports ``variables``; it is kept in a file of mode 0600, never on a command line."""
    for name, value in variables.items():
        if not _VARIABLE.match(name):
            raise ValueError("not a variable name: %r" % name)
        if "\0" in value:
            raise ValueError("the variable %s holds a NUL" % name)
    return "".join("export %s=%s\n" % (name, shlex.quote(variables[name])) for name in sorted(variables))


def activation_file(prefix: str, conda_name: Optional[str], variables: Dict[str, str]) -> str:
    """Shell text that does what activating an environment does, without conda itself being there.

    For conda's (``conda_name``), its ``variables`` are set and the scripts of its packages run ("Managing environments",
    docs.conda.io); for a virtual environment, what its ``bin/activate`` sets.
    """
    here = shlex.quote(prefix)
    lines = ['export PATH=%s/bin:"$PATH"' % here]
    if conda_name is None:
        return "\n".join([*lines, "export VIRTUAL_ENV=" + here, ""])
    lines.append("export CONDA_PREFIX=%s CONDA_DEFAULT_ENV=%s CONDA_SHLVL=1" % (here, shlex.quote(conda_name)))
    lines.append(environment_file(variables).rstrip("\n"))
    lines.append('for script in %s/etc/conda/activate.d/*.sh; do [ ! -r "$script" ] || . "$script"; done' % here)
    return "\n".join([*lines, ""])


def with_modules(modules: Sequence[str], command: Sequence[str]) -> List[str]:
    """The argument vector that runs ``command`` where ``modules`` are loaded; ``command`` itself if there are none."""
    if not modules:
        return list(command)
    load = " && ".join(_load(module) + " >/dev/null 2>&1" for module in modules)
    return ["/bin/bash", "-l", "-c", load + ' && exec "$0" "$@"', *command]


def build_script(directives: List[str], log: str, command: Sequence[str]) -> str:
    """The script of a job that builds an environment. It does nothing where the directory of ``log`` is not there any more."""
    lines = ["#!/bin/bash", *directives, "umask 077", "unset PYTHONPATH PYTHONHOME", UTF8_IF_UNSET]
    return "\n".join([*lines, "exec >> %s 2>&1" % shlex.quote(log), "exec " + _words(command)]) + "\n"


def job_script(job: JobPaths, job_id: str, parts: ScriptParts) -> str:
    """The script that the scheduler runs.

    The script outlives the runner, so it marks the runner's exit itself: most deaths are then seen without asking the
    scheduler. A mark is written aside in the job's directory and moved: when the job was cleaned up meanwhile, the move
    fails and leaves nothing behind. Each step before the runner is noted while it lasts, so that whatever ends the job
    there, an ``exit`` of the user's own commands too, is told with its name.
    """
    login_shell = " -l" if parts.modules or parts.pre_execution_commands or parts.python_modules else ""
    element = '"%s"' % parts.element if parts.element else ""
    own = "." + element if element else ""
    mark, step = shlex.quote(job.file("marks", "exit")) + own, shlex.quote(job.step) + own
    done = shlex.quote(os.path.join(parts.done_dir, job_id)) + own + ".exit"
    lines = [
        "#!/bin/bash" + login_shell,
        *parts.directives,
        "clustrix_finish() {",
        # In quotes, for IFS may be among the variables.
        '  [ "$1" -eq 0 ] || { echo "$1" > %s && mv -f %s %s; } 2>/dev/null' % (mark, mark, done),
        '  exit "$1"',
        "}",
        "clustrix_step() { printf '%%s' \"$1\" > %s; } 2>/dev/null" % step,
        "umask 077",
        # What a module or command sets below is wanted; what a login shell left here is not.
        "unset PYTHONPATH PYTHONHOME",
        UTF8_IF_UNSET,
        # A job that was taken back while the scheduler did not answer finds nothing, and does nothing.
        ". " + shlex.quote(job.environment) + " || clustrix_finish 1",
        *(_step(_load(module), _load(module)) for module in parts.modules),
        "cd " + shlex.quote(parts.work_dir) + " || clustrix_finish 1",
        *(_step(command, "{\n%s\n}" % command) for command in parts.pre_execution_commands),
        *(_step(_load(module), _load(module)) for module in parts.python_modules),
    ]
    if parts.is_activated:
        lines.append(". " + shlex.quote(job.activation))
    if parts.modules or parts.pre_execution_commands or parts.python_modules:
        lines.append("clustrix_step ''")
    more = [element, str(parts.attempt)] if element else []
    lines += [" ".join([_words(parts.command), *more]), 'clustrix_finish "$?"']
    return "\n".join(lines) + "\n"


def _step(words: str, text: str) -> str:
    """Shell text of this shell whose failure ends the job: the function would run without what it sets up."""
    return 'clustrix_step %s\n%s || clustrix_finish "$?"' % (shlex.quote(words), text)


def _load(module: str) -> str:
    return _words(["module", "load", module])


def _words(arguments: Iterable[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)
