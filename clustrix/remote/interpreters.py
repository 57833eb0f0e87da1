"""What a Python of the cluster says of itself, and which of them a job runs under.

Each program is asked once, in a process of its own; the answer is kept between agents as long as the file is the same.
Several names of one interpreter are one: the answer is about the program that really runs.
"""

import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .login_shell import login_path
from .notes import Notes
from .places import Place, is_python_name, places
from .script import with_modules

__all__ = [
    "Interpreter",
    "InterpreterNotFoundError",
    "candidates",
    "choose_interpreter",
    "explain_choice",
    "in_order_of_preference",
    "inspect_interpreter",
    "keep_notes",
    "listing",
    "survey",
]

ASKED_AT_ONCE = 4

# Run with -S, so a virtual environment is known by its file. PEP 656 and packaging's `_musllinux` say how musl tells
# its version: the loader that the program names prints it.
_QUESTION = r"""
import json, os, platform, re, subprocess, sys, sysconfig
from importlib.util import MAGIC_NUMBER, find_spec
def libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").replace(" ", "-")
    except (AttributeError, OSError, ValueError):
        pass
    with open(sys.executable, "rb") as program:
        loader = re.search(rb"/[^\0\n]*ld-musl-[^\0\n]*", program.read(4096))
    if loader is None:
        return ""
    process = subprocess.Popen([loader.group()], stderr=subprocess.PIPE)
    version = re.search(rb"Version (\d+\.\d+)", process.communicate()[1])
    return "musl-" + version.group(1).decode() if version else ""
beside = os.path.dirname(sys.executable)
is_virtual = any(os.path.exists(os.path.join(path, "pyvenv.cfg")) for path in (beside, os.path.dirname(beside)))
is_virtual = is_virtual or os.path.exists(os.path.join(os.path.dirname(os.__file__), "orig-prefix.txt"))
print("\n" + json.dumps({
    "path": sys.executable if is_virtual else os.path.realpath(sys.executable),
    "version": sys.version_info[:3], "platform": sysconfig.get_platform(),
    "implementation": platform.python_implementation(), "machine": platform.machine(), "libc": libc(),
    "has_venv": find_spec("venv") is not None, "has_ensurepip": find_spec("ensurepip") is not None,
    "is_virtual": is_virtual, "magic": MAGIC_NUMBER.hex()}))
"""


class InterpreterNotFoundError(Exception):
    """No Python of the cluster is what was asked for; the message lists those that were found."""


class Interpreter(NamedTuple):
    """A Python on the cluster: its absolute path, version (3, 6, 15), and platform such as ``linux-x86_64``.

    ``libc`` is such as ``glibc-2.36`` or ``musl-1.2``, empty where it can't be known. ``source`` says in words where it was
    found. ``modules`` have to be loaded before it runs. Without ``has_venv`` and ``has_ensurepip`` (Debian packs them
    apart) it can't make virtual environments, or only such without pip. ``magic`` is its bytecode's magic number, in
    hexadecimal.
    """

    path: str
    version: Tuple[int, ...]
    platform: str
    implementation: str = "CPython"
    machine: str = ""
    libc: str = ""
    source: str = ""
    modules: Tuple[str, ...] = ()
    has_venv: bool = True
    has_ensurepip: bool = True
    is_virtual: bool = False
    magic: str = ""

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def in_words(self) -> str:
        """Such as ``Python 3.9.18 of module python/3.9``."""
        name = "Python" if self.implementation == "CPython" else self.implementation
        where = "on the PATH" if self.source == "PATH" else "of " + (self.source or os.path.dirname(self.path))
        return "%s %s %s" % (name, self.version_text, where)


class _Known:
    """What this process knows: the notes that agents share, and the last survey."""

    def __init__(self) -> None:
        self.guard = threading.RLock()
        self.notes = Notes()
        self.survey: Optional[List[Interpreter]] = None


_known = _Known()


def keep_notes(notes: Notes) -> None:
    """Keep what is found out in ``notes``, and forget what this process found so far."""
    with _known.guard:
        _known.notes, _known.survey = notes, None


def survey(is_fresh: bool = False) -> List[Interpreter]:
    """Every Python of 3.6 or newer, virtual environments apart, in the order of ``places``. ``is_fresh`` looks again."""
    with _known.guard:
        if is_fresh:
            _known.survey = _look(is_fresh)
        elif _known.survey is None and _known.notes.get("survey", "made"):
            _known.survey = _look()
        elif _known.survey is None:
            # Ten agents that start on a cluster that nobody has looked at yet would each ask every program.
            with _known.notes.turn():
                _known.survey = _look()
                _known.notes.put("survey", {"made": True})
        return _known.survey


def _look(is_fresh: bool = False) -> List[Interpreter]:
    first: Dict[str, Place] = {}
    for place in places(_known.notes, is_fresh):
        first.setdefault(_behind(place.path), place)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        answers = list(pool.map(lambda pair: _inspect(pair[0], pair[1], is_fresh), first.items()))
    found: Dict[str, Interpreter] = {}
    for item in answers:
        if item is not None and not item.is_virtual:
            found.setdefault(item.path, item)
    return list(found.values())


def candidates(python: Optional[str], python_executable: Optional[str], client: Tuple[int, ...]) -> List[Interpreter]:
    """The interpreters that a job may run under, best first.

    ``python_executable`` stands alone. ``python`` ("3.6", "3.6.15") gives those of that version, the newest first. Else the
    nearest to the client's version come first: the same minor version, the older ones downwards, the newer ones upwards. Of
    one minor version those that can make a virtual environment with pip and need no modules come first.
    """
    if python_executable:
        found = inspect_interpreter(_named(python_executable))
        return [found] if found else []
    return in_order_of_preference(survey(), python, client)


def in_order_of_preference(
    found: Sequence[Interpreter], python: Optional[str], client: Tuple[int, ...]
) -> List[Interpreter]:
    """Those of ``found`` that a job may run under, as ``candidates`` orders them."""
    usable = [item for item in found if item.implementation == "CPython"]
    if python:
        wanted = tuple(int(part) for part in python.split("."))
        usable = [item for item in usable if item.version[: len(wanted)] == wanted]
    return sorted(usable, key=lambda item: _preference(item, client))


def choose_interpreter(python: Optional[str], python_executable: Optional[str], client: Tuple[int, ...]) -> Interpreter:
    """The first of ``candidates``.

    Raises InterpreterNotFoundError, which lists those that were found and where.
    """
    found = candidates(python, python_executable, client)
    if found and not python_executable and not os.path.exists(found[0].path):
        found = []
    if not found and not python_executable:
        # It may have come, or gone, since this agent looked.
        survey(is_fresh=True)
        found = candidates(python, python_executable, client)
    if not found and python_executable:
        raise InterpreterNotFoundError(
            "python_executable %s %s; found: %s"
            % (python_executable, _shortcoming(_named(python_executable)), listing() or "none")
        )
    if not found:
        raise InterpreterNotFoundError(
            "no Python %s on the cluster; found: %s" % (python or "3.6 or newer", listing() or "none")
        )
    if python and python_executable and not (found[0].version_text + ".").startswith(python + "."):
        raise InterpreterNotFoundError(
            "python_executable %s is Python %s, and python=%r was asked for: leave one of them out"
            % (python_executable, found[0].version_text, python)
        )
    return found[0]


def explain_choice(
    chosen: Interpreter, python: Optional[str], python_executable: Optional[str], client: Tuple[int, ...]
) -> str:
    """One sentence that says why ``choose_interpreter`` took it."""
    minor, own = chosen.version[:2], "%d.%d" % tuple(client[:2])
    if python_executable:
        reason = "named by python_executable"
    elif python:
        reason = "asked for by python=%r" % python
    elif minor == tuple(client[:2]):
        reason = "the client's own version"
    elif minor < tuple(client[:2]):
        reason = "the newest that is not newer than the client's " + own
    else:
        reason = "the oldest there is, and newer than the client's " + own
    return "%s: %s" % (chosen.in_words, reason)


def inspect_interpreter(path: str) -> Optional[Interpreter]:
    """What the program at ``path`` says of itself, or None when it is not a CPython of 3.6 or newer that runs."""
    found = _inspect(_behind(path), Place(path, "python_executable"), is_fresh=True)
    return found if found and found.implementation == "CPython" else None


def listing(at_least: Tuple[int, ...] = ()) -> str:
    """The Pythons of the cluster in words, those of version ``at_least`` and newer."""
    found = sorted((item for item in survey() if item.version >= at_least), key=lambda item: item.version)
    return ", ".join("%s (%s, %s)" % (item.version_text, item.path, item.in_words.split(" ", 2)[2]) for item in found)


def _named(program: str) -> str:
    """The path of ``python_executable``, which may be a name that the PATH of a login shell has."""
    path = os.path.expanduser(program)
    return path if os.sep in path else shutil.which(path) or shutil.which(path, path=login_path()) or path


def _preference(item: Interpreter, client: Tuple[int, ...]) -> Tuple[Any, ...]:
    minor, own = item.version[:2], tuple(client[:2])
    nearness = (minor > own, [part if minor > own else -part for part in minor])
    is_lacking = not (item.has_venv and item.has_ensurepip)
    return (*nearness, is_lacking, bool(item.modules), [-part for part in item.version])


def _behind(path: str) -> str:
    """The program that a link leads to; a virtual environment's own link, or one to a program that reads its name, stays."""
    real = os.path.realpath(path)
    beside = os.path.dirname(os.path.abspath(path))
    is_virtual = any(os.path.exists(os.path.join(d, "pyvenv.cfg")) for d in (beside, os.path.dirname(beside)))
    return path if is_virtual or not is_python_name(os.path.basename(real)) else real


def _inspect(path: str, place: Place, is_fresh: bool = False) -> Optional[Interpreter]:
    """The interpreter at a place; without modules if the program that runs there runs without them, too."""
    said = _facts(path, (), is_fresh) or (_facts(path, place.modules, is_fresh) if place.modules else None)
    modules: Tuple[str, ...] = ()
    if said is None:
        return None
    if said["path"] != path:
        # A wrapper's program may need what the wrapper sets.
        alone = _facts(said["path"], ())
        said = alone or dict(said, path=path)
    if place.modules and _facts(said["path"], ()) is None:
        modules = place.modules
    version = tuple(said.pop("version"))
    return Interpreter(version=version, source=place.source, modules=modules, **said) if version >= (3, 6) else None


def _facts(path: str, modules: Tuple[str, ...], is_fresh: bool = False) -> Optional[Dict[str, Any]]:
    """The program's answer, asked for only if no agent has before; one that did not run is asked again if ``is_fresh``."""
    key, stamp = " ".join((*modules, path)), _stamp(path)
    known = _known.notes.get("pythons", key)
    if known and stamp and known["stamp"] == stamp and (known["said"] or not is_fresh):
        said = known["said"]
        if said is None or known["target"] == _stamp(said["path"]):
            return dict(said) if said else None
    if stamp is None:
        return None
    has_ended, said = _ask(with_modules(modules, [path, "-I", "-S", "-c", _QUESTION]))
    if has_ended and os.path.basename(os.path.dirname(path)) != "shims":
        note = {"stamp": stamp, "target": _stamp(said["path"] if said else path), "said": said}
        _known.notes.put("pythons", {key: note})
    return dict(said) if said else None


def _ask(command: List[str]) -> Tuple[bool, Optional[Dict[str, Any]]]:
    """Whether the program came to an end, and its answer if it is a Python."""
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        said = json.loads(answer.stdout.decode("utf-8").strip().rpartition("\n")[2]) if answer.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return False, None
    except ValueError:
        return True, None
    return True, said if isinstance(said, dict) and os.path.isabs(said.get("path", "")) else None


def _stamp(path: str) -> Optional[List[int]]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]


def _shortcoming(path: str) -> str:
    """Why the program at ``path`` is none that a job can run under."""
    if not os.path.exists(path):
        return "does not exist on the cluster"
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        return "is not a program"
    found = _inspect(_behind(path), Place(path, ""))
    return "is %s, and jobs need CPython" % found.in_words if found else "does not run as a Python 3.6 or newer"
