"""Overlays: a package as one Python can compile it, with files that the client rewrote for it.

``overlays/<package>-<version>-<rewriter>/`` is made aside and renamed when that Python has compiled all of it, so that it is
there is the verdict. It holds main.py and modules/ whole, the rewritten files in the place of the package's own, and
overlay.json: {"files": the rewritten ones}.
"""

import json
import os
import shutil
import tempfile
from typing import Any, Callable, Dict, List, Sequence

from . import interpreters
from .compiling import CompileError, Refusal, refusals
from .packages import PackageError
from .paths import StatePaths, remove_tree, write_aside

__all__ = ["SyntaxRefusedError", "runnable"]

_SHOWN = 5  # that many places are named, the others are counted


class SyntaxRefusedError(Exception):
    """The job's Python can't compile a file of the package, and it can't be rewritten; the message names file, line and reason."""


def runnable(
    state: StatePaths,
    spec: Dict[str, Any],
    python: Sequence[str],
    interpreter: interpreters.Interpreter,
    *,
    report: Callable[[str], None],
    ask: Callable[..., bytes],
) -> str:
    """The directory of the job's package, or of its overlay where the command ``python`` does not take it as it is.

    The client is asked for the piece ``overlay``, with the ``version`` of the interpreter and the ``files`` that it refuses:
    it answers in JSON with the texts of the rewritten ``files``; ``notes`` on what was rewritten, each [file, line, feature];
    and what is ``unsupported``, each [file, line, feature, first version that has it]. What was found is kept.
    Raises SyntaxRefusedError.
    """
    version = interpreter.version_text
    package = state.package(spec["package"])
    verdict = os.path.join(package, ".compiles-" + version)
    overlay = state.overlay(spec["package"], version, spec["rewriter"])
    if os.path.exists(verdict):
        return package
    if os.path.isdir(overlay):
        return overlay
    refused = _ask_python(python, package)
    if not refused:
        write_aside(verdict)
        return package
    files = [item.file for item in refused]
    answer = json.loads(ask("overlay", version=list(interpreter.version), files=files).decode("utf-8"))
    if answer["unsupported"]:
        raise SyntaxRefusedError(_unsupported(interpreter, answer["unsupported"]))
    aside = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(overlay))
    try:
        _fill(aside, package, answer["files"], files)
        left = [item for item in _ask_python(python, aside) if item.is_syntax]
        if left:
            raise SyntaxRefusedError(_left(interpreter, left))
        os.rename(aside, overlay)
    except OSError:
        if not os.path.isdir(overlay):
            raise
    finally:
        remove_tree(aside)
    if answer["notes"]:
        report("rewritten for Python %s: %s" % (version, _listed(answer["notes"])))
    return overlay


def _ask_python(python: Sequence[str], directory: str) -> List[Refusal]:
    try:
        return refusals(python, directory)
    except CompileError as error:
        raise PackageError("the function's package can't be checked on the cluster: %s" % error) from error


def _fill(aside: str, package: str, rewritten: Dict[str, str], asked: Sequence[str]) -> None:
    names = [name for name in ("main.py",) if os.path.exists(os.path.join(package, name))]
    for directory, _, inside in os.walk(os.path.join(package, "modules")):
        # Compiled files are found again beside their sources.
        if os.path.basename(directory) != "__pycache__":
            names += [os.path.relpath(os.path.join(directory, name), package) for name in inside]
    for name in names:
        target = os.path.join(aside, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(package, name), target)
    for name, text in rewritten.items():
        if name not in asked:
            raise PackageError("the client sent the file %r, which nobody asked for" % name)
        with open(os.path.join(aside, name), "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
    write_aside(os.path.join(aside, "overlay.json"), json.dumps({"files": sorted(rewritten)}).encode("utf-8"))


def _listed(notes: Sequence[Sequence[Any]]) -> str:
    """``f"{x=}" (main.py, line 3), ...``"""
    lines: Dict[str, List[str]] = {}
    for file, line, feature in notes:
        lines.setdefault("%s (%s" % (feature, file), []).append(str(line))
    return ", ".join(
        "%s, line%s %s)" % (start, "s" * (len(numbers) > 1), ", ".join(numbers)) for start, numbers in lines.items()
    )


def _unsupported(interpreter: interpreters.Interpreter, found: Sequence[Sequence[Any]]) -> str:
    places = ["%s, line %s: %s" % (file, line, feature) for file, line, feature, _ in found[:_SHOWN]]
    if len(found) > _SHOWN:
        places.append("%d more" % (len(found) - _SHOWN))
    needed = max(tuple(item[3]) for item in found)
    return (
        "Python %s on the cluster rejects the function's package, and this can't be rewritten for it: %s. "
        "It takes Python %s. %s"
        % (interpreter.version_text, "; ".join(places), ".".join(map(str, needed)), _way_out(needed))
    )


def _left(interpreter: interpreters.Interpreter, left: Sequence[Refusal]) -> str:
    return "Python %s on the cluster rejects the function's package: %s. %s" % (
        interpreter.version_text,
        "; ".join(item.in_words for item in left[:_SHOWN]),
        _way_out((interpreter.version[0], interpreter.version[1] + 1)),
    )


def _way_out(needed: Sequence[int]) -> str:
    would_do = interpreters.listing(tuple(needed))
    if would_do:
        return "Ask for a newer one with @cluster(python=...), or write it for the older: there are %s" % would_do
    return "Write it for the older one: there are only %s" % interpreters.listing()
