"""The site's modules, of Environment Modules or Lmod: which hold a Python, and which are not there at all.

``module`` is a shell function of login shells. Both programs have the terse listing (``-t``), print it to stderr or
stdout as the site likes, and mark defaults as ``python/3.12(default)``; versions below 4 of Environment Modules exit with 0
whatever happens (module(1); lmod.readthedocs.io, "User Guide").
"""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .login_shell import ask_login_shell
from .notes import Notes
from .script import environment_file

__all__ = ["ModulePython", "UnknownModuleError", "python_modules", "refuse_unknown_modules"]

MOST_ASKED = 40  # modules, those that sort last; each takes a site with long chains of modules seconds
ASKED_AT_ONCE = 4
VALID_FOR = 86400.0  # seconds that an answer about modules is kept, if no directory of modules changes
ANSWER_WITHIN = 20.0  # seconds
ASK_AGAIN = 3600.0  # seconds after which a `module` that did not answer is asked again

_PYTHONS = re.compile(
    r"(^|[/_-])(python|intelpython|(ana|mini)conda|miniforge|mambaforge|micromamba|conda|mamba)[-\d.]*(/|$)",
    re.IGNORECASE,
)
_ABOUT_MODULES = re.compile("MODULE|LMOD_|LOADEDMODULES")
_AVAIL = "module -t avail 2>&1; printf '\\nMODULEPATH=%s' \"$MODULEPATH\""
_WHICH = """(
  module load "$1" >/dev/null 2>&1 || exit 1
  printf '\\n'
  for name in python3 python; do command -v "$name" && exit 0; done
)"""
# Loads one after the other, as the job will, for a module may be visible only when another one is loaded. A module that
# does not load is unknown if it is not listed either; one that is listed may load on a compute node.
_LOAD = """
command -v module >/dev/null || { printf 'no module command\\n'; exit 0; }
for name in "$@"; do
  before=$LOADEDMODULES
  module load "$name" >/dev/null 2>&1
  status=$?
  [ $status -eq 0 ] && [ "$LOADEDMODULES" != "$before" ] && continue
  case ":$LOADEDMODULES:" in *":$name:"* | *":$name/"*) continue ;; esac
  module -t avail "$name" 2>&1 | {
    while read -r listed; do
      case "${listed%%(*}" in "$name" | "$name"/*) exit 0 ;; esac
    done
    printf 'unknown %s\\n' "$name"
  }
  [ $status -eq 0 ] || break
done
"""


class UnknownModuleError(Exception):
    """A module that the job would load is not there."""


class ModulePython(NamedTuple):
    """The Python that is first on the PATH when ``module`` is loaded."""

    module: str
    path: str


def python_modules(notes: Notes, is_fresh: bool = False) -> List[ModulePython]:
    """The Pythons of modules. Kept for a day, as long as no directory of modules changes; ``is_fresh`` asks again."""
    known = None if is_fresh else notes.get("modules", "pythons")
    if known and time.time() - known["when"] < VALID_FOR and known["stamps"] == _stamps(known["path"]):
        return [ModulePython(*pair) for pair in known["pythons"]]
    said, now = ask_login_shell(_AVAIL, seconds=ANSWER_WITHIN), time.time()
    if said is None:
        # One that hangs is not waited for by every agent.
        notes.put(
            "modules", {"pythons": {"when": now - VALID_FOR + ASK_AGAIN, "path": "", "stamps": [], "pythons": []}}
        )
        return []
    listed, _, path = said.output.rpartition("\nMODULEPATH=")
    names = sorted({name for name in map(_name, listed.splitlines()) if name and _PYTHONS.search(name)}, key=_order)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        found = [item for item in pool.map(_python_of, names[-MOST_ASKED:]) if item]
    found.reverse()
    answer: Dict[str, Any] = {"when": now, "path": path, "stamps": _stamps(path), "pythons": found}
    notes.put("modules", {"pythons": answer})
    return found


def refuse_unknown_modules(notes: Notes, modules: Sequence[str], variables: Dict[str, str]) -> None:
    """Raise UnknownModuleError for a module that login shells don't know. That all are known is kept for a day.

    Of the job's ``variables`` those count that are about modules, such as MODULEPATH.

    A site whose ``module`` does not answer in time is given the benefit of the doubt: the job will tell.
    """
    about = environment_file({name: value for name, value in variables.items() if _ABOUT_MODULES.match(name)})
    key = about + " ".join(modules)
    if not modules or time.time() - (notes.get("modules that load", key) or 0) < VALID_FOR:
        return
    said = ask_login_shell("( %s%s )" % (about, _LOAD), modules, 3 * ANSWER_WITHIN)
    if said is None:
        return
    if "no module command" in said.output.splitlines():
        raise UnknownModuleError(
            "the cluster has no command `module` in login shells, so %s can't be loaded: leave module_loads out"
            % ", ".join(modules)
        )
    unknown = [line[len("unknown ") :] for line in said.output.splitlines() if line.startswith("unknown ")]
    if unknown:
        raise UnknownModuleError(
            "the cluster has no module %s: see what `module avail` lists there, and correct module_loads or modules="
            % ", ".join(unknown)
        )
    notes.put("modules that load", {key: time.time()})


def _name(line: str) -> str:
    """The module that a line of the terse listing names, or nothing: ``/opt/modulefiles:`` and ``python/`` name none."""
    name = re.sub(r"(\([^()]*\)|@)+$", "", line.strip())
    return "" if re.search(r"[\s:]", name) or name.startswith("/") or name.endswith("/") else name


def _order(name: str) -> List[Tuple[str, int]]:
    return [(word.lower(), int(number or 0)) for word, number in re.findall(r"(\D*)(\d*)", name)]


def _python_of(module: str) -> Optional[ModulePython]:
    said = ask_login_shell(_WHICH, [module], ANSWER_WITHIN)
    path = said.output.strip().rpartition("\n")[2] if said and said.status == 0 else ""
    return ModulePython(module, path) if os.path.isabs(path) else None


def _stamps(modulepath: str) -> List[List[Any]]:
    """The state of each directory of modules and of those of Pythons below: a module that comes or goes changes one."""
    paths = []
    for directory in filter(None, modulepath.split(os.pathsep)):
        names = sorted(os.listdir(directory)) if os.access(directory, os.R_OK | os.X_OK) else []
        paths += [directory, *(os.path.join(directory, name) for name in names if _PYTHONS.search(name))]
    return [[path, os.stat(path).st_mtime_ns if os.path.exists(path) else None] for path in paths]
