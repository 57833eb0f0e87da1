"""Environments: one virtual environment per content, built once, published whole.

``envs/<key>/built-<token>/`` is the environment where it was built (a virtual environment can't be moved), and
``envs/<key>/current`` a link to it that is made when it is complete. So an environment exists if and only if
``current/bin/python`` does, and a build that failed or was killed leaves nothing that looks usable.

There are two kinds. The tools environment holds what the client sent, unpacked as it is, on the interpreter nearest to the
client's. The execution environment holds the packages that the user's function needs, installed by uv or pip.
"""

import errno
import functools
import hashlib
import json
import os
import re
import threading
import time
from typing import Callable, NamedTuple, Optional, Tuple

from . import installers
from .build_jobs import BuildJob
from .builder import Plan
from .builds import Builders, BuildFailedError, Waiting, build
from .claims import DEAD_AFTER
from .installers import Installer
from .interpreters import Interpreter
from .notes import Notes
from .passing import Passing
from .paths import StatePaths
from .wheels import Fetch, Wheel, fetch_wheels, offered_wheels

__all__ = [
    "BuildSettings",
    "EnvironmentBuildError",
    "Recipe",
    "ensure_environment",
    "environment_key",
    "environment_python",
]


# Seconds in which an index that did not serve is left alone where the client has wheels: each try takes half a minute.
INDEX_TRIED_AGAIN_AFTER = 900.0


class EnvironmentBuildError(Exception):
    """The environment can't be built; the message says why, holds the end of the build's log, and says what to do."""


class Recipe(NamedTuple):
    """What an environment holds: ``lock`` or ``requirements``, or ``tools``, or nothing.

    ``lock`` is the text of a requirements file for exactly this Python, with ``==`` and ``--hash=sha256:`` throughout;
    ``requirements`` are PEP 508 bounds that the installer resolves here; ``tools`` are wheels to unpack.
    """

    lock: str = ""
    requirements: Tuple[str, ...] = ()
    tools: Tuple[Wheel, ...] = ()

    def in_words(self) -> str:
        pins = tuple(re.findall(r"(?m)^([A-Za-z0-9][^\s;\\#]*)", self.lock))
        names = pins or self.requirements or tuple("-".join(wheel.name.split("-")[:2]) for wheel in self.tools)
        return ", ".join(names) or "no packages"


class BuildSettings(NamedTuple):
    """How to build: ``seconds`` at most, by ``package_manager`` (``uv``, ``pip``, ``auto``: uv where one runs).

    ``tools`` is the interpreter of a tools environment whose uv may be used, ``pip`` the wheel that the client sends where
    the interpreter's own pip is too old or missing, ``has_wheels`` whether the client sends wheels where no index is reached.
    ``job`` is the job in which packages are installed, if that shall not be done here.
    """

    seconds: float
    package_manager: str = "auto"
    tools: Optional[str] = None
    pip: Optional[Wheel] = None
    has_wheels: bool = False
    job: Optional[BuildJob] = None

    @property
    def place(self) -> str:
        return "a compute node" if self.job else "the login node"


def environment_key(interpreter: Interpreter, recipe: Recipe) -> str:
    """The name of an environment: a digest of interpreter, platform and recipe."""
    content = json.dumps(
        [
            interpreter.path,
            interpreter.version,
            interpreter.platform,
            recipe.lock,
            sorted(recipe.requirements),
            sorted(recipe.tools),
        ]
    )
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:16]


def environment_python(state: StatePaths, key: str) -> str:
    """The environment's interpreter; it exists if and only if the environment was built whole."""
    return os.path.join(state.environment(key), "current", "bin", "python")


def ensure_environment(
    state: StatePaths,
    interpreter: Interpreter,
    recipe: Recipe,
    settings: BuildSettings,
    *,
    report: Callable[[str], None],
    fetch: Optional[Fetch] = None,
    gone: Optional[threading.Event] = None,
    dead_after: float = DEAD_AFTER,
) -> str:
    """The path of the environment's interpreter, built now when it is not there.

    The build is a process of its own, which goes on when this one ends; while another one builds, this one waits.
    ``report`` gets lines of progress, ``fetch`` has the client send a piece (see wheels.py). Packages come from the index
    that the login node is set up for; when that does not serve, or did not just now, and the client ``has_wheels``, from those.

    Raises EnvironmentBuildError, WheelError for a wheel that is not what it should be, and ClientGoneError when ``gone``
    is set meanwhile.
    """
    key = environment_key(interpreter, recipe)
    python = environment_python(state, key)
    if os.path.exists(python):
        return python
    directory = state.environment(key)
    waiting = Waiting(report, gone or threading.Event(), dead_after)
    started = time.monotonic()
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        notes = Notes(state.notes)
        # An empty environment, and what is only unpacked, is made in a second and downloads nothing: that needs no job.
        job = settings.job if recipe.lock or recipe.requirements else None
        builders = Builders(job.start, job.death) if job else Builders()
        failed = notes.get("index", settings.place) or 0.0
        from_client = settings.has_wheels and 0 <= time.time() - failed < INDEX_TRIED_AGAIN_AFTER
        while not os.path.exists(python):
            plan = functools.partial(
                _plan, state, interpreter, recipe, settings, report=report, fetch=fetch, from_client=from_client
            )
            try:
                build(directory, lambda: os.path.exists(python), plan, waiting, builders)
            except BuildFailedError as error:
                if error.kind != "index" or not settings.has_wheels:
                    raise
                # A build from the client's wheels never fails so, but one of another's that this one waits for may.
                from_client = True
                notes.put("index", {settings.place: time.time()})
    except BuildFailedError as error:
        raise EnvironmentBuildError(_in_words(state, directory, interpreter, settings, error)) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EnvironmentBuildError("%s. %s" % (error, _advice(state, "disk", interpreter, settings))) from error
    report("built the environment %s in %.1f s" % (key, time.monotonic() - started))
    return python


def _plan(
    state: StatePaths,
    interpreter: Interpreter,
    recipe: Recipe,
    settings: BuildSettings,
    *,
    report: Callable[[str], None],
    fetch: Optional[Fetch],
    from_client: bool,
) -> Plan:
    """What the builder is told, with everything there that only the client has."""
    key, get = environment_key(interpreter, recipe), fetch or _nobody_sends
    has_packages = bool(recipe.lock or recipe.requirements)
    wheels = None
    if not from_client:
        words = "building the environment %s: Python %s with %s"
        report(Passing(words % (key, interpreter.version_text, recipe.in_words())))
    else:
        report("the package index does not serve %s: the client sends the wheels" % settings.place)
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", recipe.lock)
        wheels = fetch_wheels(state, offered_wheels(get, hashes), get, report)
    return {
        "about": {
            "key": key,
            "interpreter": interpreter.path,
            "python": interpreter.version_text,
            "platform": interpreter.platform,
            "modules": interpreter.modules,
        },
        "lock": recipe.lock,
        "requirements": sorted(recipe.requirements),
        "tools": fetch_wheels(state, recipe.tools, get, report),
        "installer": _installer(state, interpreter, settings, get, report) if has_packages else None,
        "wheels": wheels,
        "seconds": settings.seconds,
    }


def _installer(
    state: StatePaths, interpreter: Interpreter, settings: BuildSettings, fetch: Fetch, report: Callable[[str], None]
) -> Installer:
    uv = installers.find_uv(settings.tools) if settings.package_manager in ("uv", "auto") else None
    if uv:
        return Installer("uv", uv)
    if settings.package_manager == "uv":
        raise EnvironmentBuildError("no uv runs on the login node: set package_manager to 'auto' or 'pip'")
    version, bundled = installers.bundled_pip(interpreter)
    if settings.pip and version < installers.PIP_NEW_ENOUGH:
        bundled = fetch_wheels(state, [settings.pip], fetch, report)[0]
    if bundled is None:
        raise EnvironmentBuildError(
            "Python %s (%s) came without pip (Debian: apt-get install python3-venv), and no uv runs on the login node: "
            "choose another Python with @cluster(python=...)" % (interpreter.version_text, interpreter.path)
        )
    return Installer("pip", bundled)


def _nobody_sends(piece: str) -> bytes:
    raise EnvironmentBuildError("the environment needs %r, which this client does not send" % piece)


def _in_words(
    state: StatePaths, directory: str, interpreter: Interpreter, settings: BuildSettings, error: BuildFailedError
) -> str:
    log = os.path.join(directory, "build.log")
    parts = "%s. %s" % (str(error).rstrip("."), _advice(state, error.kind, interpreter, settings)), log, error.log
    return "%s\nThe log is %s on the cluster; it ends:\n%s" % parts if error.log else parts[0]


def _advice(state: StatePaths, kind: str, interpreter: Interpreter, settings: BuildSettings) -> str:
    if kind == "conflict":
        return (
            "There are no versions that fit the requirements, each other and Python %s: loosen requirements=, or choose "
            "another Python with @cluster(python=...)." % interpreter.version_text
        )
    if kind == "index":
        return (
            "The package index that %s is set up for can't be reached, or hasn't got what is required: correct "
            "the names in requirements=, or compare with what 'pip config list' says there." % settings.place
        )
    if kind == "hash":
        return (
            "The index served a file whose content is not what the lock says: it was replaced, or a proxy changed it. "
            "Nothing of it was used. Ask those who run the index."
        )
    if kind == "disk":
        there = os.statvfs(state.root)
        return (
            "The disk of %s is full, or your quota is used up (%d MB are free): remove files there, or set remote_state_dir "
            "to another file system. Nothing of the build is left."
            % (state.root, there.f_bavail * there.f_frsize >> 20)
        )
    if kind == "job":
        return (
            "With build_on='compute' environments are built in a job with the function's partition, queue, account and "
            "directives, one core, 2 GB and venv_setup_timeout: correct those, or set build_on='login' if the site allows that."
        )
    if kind == "wheels":
        return (
            "The wheels that the client sent are not all that is needed, or don't fit this Python: the log names them."
        )
    return "Call again to have it built anew."
