"""Whether a Python can compile a package: it says so itself, for no rule about versions is as right as that.

An old Python also compiles annotations that it can't evaluate; these are looked for by a rule.
"""

import json
import os
import subprocess
import sys
from typing import List, NamedTuple, Sequence

__all__ = ["CompileError", "Refusal", "refusals", "say_refusals"]

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from clustrix_remote.compiling import say_refusals; say_refusals(sys.argv[2])"
_MARK = "clustrix compiled: "


class CompileError(Exception):
    """The Python can't be asked; the message holds what it said."""


class Refusal(NamedTuple):
    """A place that the Python can't compile, or, if not ``is_syntax``, not evaluate. ``file`` is relative to the package."""

    file: str
    line: int
    reason: str
    text: str
    is_syntax: bool

    @property
    def in_words(self) -> str:
        return "%s, line %s: %s: %s" % (self.file, self.line, self.reason, self.text)


def refusals(python: Sequence[str], directory: str) -> List[Refusal]:
    """Have the command ``python`` compile every source file of the package in ``directory``: one refusal a file at most."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [*python, "-I", "-S", "-B", "-c", _PROGRAM, root, directory]
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = answer.stdout.decode("utf-8", "replace")
    # A login shell that loads modules may write there, too.
    _, mark, found = said.rpartition(_MARK)
    if answer.returncode != 0 or not mark:
        raise CompileError("%s ended with exit status %d: %s" % (python[0], answer.returncode, said.strip()[-1000:]))
    return [Refusal(*item) for item in json.loads(found)]


def say_refusals(directory: str) -> None:
    """What the asked Python runs."""
    found = []
    paths = [os.path.join(directory, "main.py")]
    for where, _, names in sorted(os.walk(os.path.join(directory, "modules"))):
        paths += [os.path.join(where, name) for name in sorted(names) if name.endswith(".py")]
    for path in filter(os.path.exists, paths):
        with open(path, "rb") as stream:
            text = stream.read()
        found += [item._replace(file=os.path.relpath(path, directory)) for item in _refused(text, path)]
    sys.stdout.write("\n" + _MARK + json.dumps(found))


def _refused(text: bytes, path: str) -> List[Refusal]:
    try:
        compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return [Refusal(path, error.lineno or 0, error.msg, (error.text or "").strip(), True)]
    except ValueError as error:  # such as a null byte
        return [Refusal(path, 0, str(error), "", True)]
    if sys.version_info >= (3, 10):
        return []
    import ast  # noqa: PLC0415 - only the Python that is asked, if it is an old one

    from .annotations import (  # noqa: PLC0415 - likewise
        evaluated_annotations,
        first_python_for,
        has_future_annotations,
        imported_classes,
    )

    tree = ast.parse(text)
    if has_future_annotations(tree):
        return []
    imported = imported_classes(tree)
    for annotation in evaluated_annotations(tree):
        if first_python_for(annotation, imported) > sys.version_info[:2]:
            return [Refusal(path, annotation.lineno, "annotation", "", False)]
    return []
