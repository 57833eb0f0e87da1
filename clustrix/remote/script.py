"""Job scripts: the one place that writes shell text, and the one place that quotes for it."""

import os
import re
import shlex
from typing import Any, Dict, Iterable, List, NamedTuple

from .paths import JobPaths

__all__ = ["UTF8_IF_UNSET", "ScriptParts", "directive", "environment_file", "job_script"]

# Python 3.6 takes a missing locale for ASCII, and could neither print nor open what is not.
UTF8_IF_UNSET = '[ -n "$LC_ALL$LC_CTYPE$LANG" ] || export LC_CTYPE=C.UTF-8'

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class ScriptParts(NamedTuple):
    """What a job script is made of, beside the job's own files."""

    directives: List[str]
    modules: List[str]
    pre_execution_commands: List[str]
    work_dir: str
    done_dir: str
    command: List[str]


def directive(prefix: str, option: str, value: Any) -> str:
    """One line such as ``#SBATCH --output='/home/a b/log'``.

    sbatch and qsub read the rest of such a line with the shell's quoting rules. A line break would end the directive
    and begin shell text, so it is refused.
    """
    text = str(value)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("%s can't hold a control character: %r" % (option, text))
    return "%s %s=%s" % (prefix, option, shlex.quote(text))


def environment_file(variables: Dict[str, str]) -> str:
    """Shell text that exports ``variables``; it is kept in a file of mode 0600, never on a command line."""
    for name, value in variables.items():
        if not _VARIABLE.match(name):
            raise ValueError("not a variable name: %r" % name)
        if "\0" in value:
            raise ValueError("the variable %s holds a NUL" % name)
    return "".join("export %s=%s\n" % (name, shlex.quote(variables[name])) for name in sorted(variables))


def job_script(job: JobPaths, job_id: str, parts: ScriptParts) -> str:
    """The script that the scheduler runs.

    The script outlives the runner, so it marks the runner's exit itself: most deaths are then seen without asking the
    scheduler. A mark is written aside in the job's directory and moved: when the job was cleaned up meanwhile, the move
    fails and leaves nothing behind.
    """
    login_shell = " -l" if parts.modules or parts.pre_execution_commands else ""
    mark, done = shlex.quote(job.file("marks", "exit")), shlex.quote(os.path.join(parts.done_dir, job_id + ".exit"))
    lines = [
        "#!/bin/bash" + login_shell,
        *parts.directives,
        "finish() {",
        "  [ $1 -eq 0 ] || { echo $1 > %s && mv -f %s %s; } 2>/dev/null" % (mark, mark, done),
        "  exit $1",
        "}",
        "umask 077",
        # What a module or command sets below is wanted; what a login shell left here is not.
        "unset PYTHONPATH PYTHONHOME",
        UTF8_IF_UNSET,
        ". " + shlex.quote(job.environment),
    ]
    if parts.modules:
        lines.append(_words(["module", "load", *parts.modules]) + " || finish $?")
    lines += [
        "cd " + shlex.quote(parts.work_dir) + " || finish 1",
        *(_checked(command) for command in parts.pre_execution_commands),
    ]
    lines += [_words(parts.command), "finish $?"]
    return "\n".join(lines) + "\n"


def _checked(command: str) -> str:
    """The user's own command, in this shell, whose failure ends the job: the function would run without what it set up."""
    return "{\n%s\n} || finish $?" % command


def _words(arguments: Iterable[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)
