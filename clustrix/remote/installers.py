"""uv and pip: which of them there is on the login node, how each installs, and what its complaints mean."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import Dict, List, NamedTuple, Optional, Tuple

from .interpreters import Interpreter
from .script import with_modules

__all__ = [
    "Installer",
    "bundled_pip",
    "complaint",
    "find_uv",
    "index_url",
    "install_command",
    "runs_uv",
    "venv_command",
]

# 19.3 is the first that takes manylinux2014 wheels, 20.3 the first that finds versions that fit each other.
PIP_NEW_ENOUGH = (20, 3)
# Seconds. An index that can't be reached shall not use up the time that the client's wheels need.
INDEX_TIMEOUT = 10

_FOUND = """
import ensurepip, glob, os, sys
there = [os.path.dirname(ensurepip.__file__) + "/_bundled", "/usr/share/python-wheels"]
wheel = [path for name in there for path in glob.glob(name + "/pip-" + ensurepip.version() + "-*.whl")][0]
"""
_BUNDLED = _FOUND + "print(ensurepip.version()); print(wheel)"
_BUNDLED_INDEX = (
    _FOUND + "sys.path.insert(0, wheel); from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
)


class Installer(NamedTuple):
    """``uv``: ``path`` is the program. ``pip``: it is pip's own wheel, which is unpacked and run under the job's Python."""

    kind: str
    path: str


def find_uv(tools: Optional[str]) -> Optional[str]:
    """A uv that runs here: that of the environment ``tools`` (its interpreter), else one that the user has."""
    if tools:
        # Whether it runs was tried when that environment was built.
        uv = os.path.join(os.path.dirname(tools), "uv")
        if os.path.exists(uv):
            return uv
    for path in (shutil.which("uv"), os.path.expanduser("~/.local/bin/uv"), os.path.expanduser("~/.cargo/bin/uv")):
        if path and runs_uv(path):
            return path
    return None


def runs_uv(path: str) -> bool:
    """Whether the program runs here at all: another C library or machine may be in its way."""
    try:
        subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def bundled_pip(interpreter: Interpreter) -> Tuple[Tuple[int, ...], Optional[str]]:
    """The version and the wheel of the pip that came with this Python; ``((), None)``: none did, as on a bare Debian."""
    lines = _lines(with_modules(interpreter.modules, [interpreter.path, "-I", "-S", "-c", _BUNDLED]))
    if len(lines) != 2:
        return (), None
    return tuple(int(part) for part in re.findall(r"\d+", lines[0])[:2]), lines[1]


def _lines(command: List[str]) -> List[str]:
    """What a program prints; nothing if it fails."""
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    return os.fsdecode(answer.stdout).splitlines() if answer.returncode == 0 else []


def venv_command(installer: Optional[Installer], interpreter_path: str, target: str) -> List[str]:
    """Makes an empty virtual environment at ``target``."""
    if installer and installer.kind == "uv":
        return [installer.path, "venv", "--no-project", "--no-python-downloads", "--python", interpreter_path, target]
    # Nobody's pip goes into it: what an environment holds shall not depend on who filled it.
    return [interpreter_path, "-I", "-m", "venv", "--without-pip", target]


def install_command(
    installer: Installer, pip: str, target: str, requirements: str, *, is_locked: bool, wheels: Optional[str]
) -> List[str]:
    """Fills the environment ``target`` from the file ``requirements``.

    ``pip`` is where pip's wheel was unpacked, ``wheels`` a directory that takes the place of every index. Nothing is
    compiled: a source distribution would need a compiler, and run its own code on the login node.
    """
    python = os.path.join(target, "bin", "python")
    if installer.kind == "uv":
        command = [installer.path, "pip", "install", "--no-progress", "--python", python]
        command += [] if wheels else _index_of_pip()
    else:
        command = [python, "-I", os.path.join(pip, "pip"), "install", "--no-input", "--disable-pip-version-check"]
        # Like uv it leaves compiling to the first import, which needs but a part: pandas would take 12 s more.
        command += ["--timeout", str(INDEX_TIMEOUT), "--retries", "1", "--progress-bar", "off", "--no-compile"]
    command += ["--only-binary", ":all:"]
    command += ["--require-hashes", "--no-deps"] if is_locked else []
    command += ["--no-index", "--find-links", wheels] if wheels else []
    return [*command, "-r", requirements]


def installer_environment(temporary: str) -> Dict[str, str]:
    """The variables for both: the site's own, without what would lead the packages, or this Python, elsewhere."""
    misleading = re.compile(
        r"PYTHON|VIRTUAL_ENV$|CONDA_PREFIX$|(PIP|UV)_(TARGET|PREFIX|PYTHON|ROOT|USER|SYSTEM_PYTHON)$"
    )
    environment = {name: value for name, value in os.environ.items() if not misleading.match(name)}
    environment.update(PIP_USER="0", TMPDIR=temporary)
    environment.setdefault("UV_HTTP_TIMEOUT", str(INDEX_TIMEOUT))
    environment.setdefault("UV_HTTP_RETRIES", "1")
    certificates = _pip_settings().get("cert")
    if certificates:
        environment.setdefault("SSL_CERT_FILE", certificates)
    return environment


_COMPLAINTS = (
    ("disk", r"No space left on device|Disk quota exceeded|os error (28|122)\b|\[Errno (28|122)\]"),
    ("hash", r"DO NOT MATCH THE HASHES|Hash mismatch for"),
    (
        "index",
        (
            r"connection broken by|Could not fetch URL|Max retries exceeded|Read timed out|Failed to fetch|Request failed"
            r"|error sending request|Temporary failure in name resolution|Network is unreachable|Skipping page"
        ),
    ),
    ("conflict", r"ResolutionImpossible|conflicting dependencies|No solution found|\(from versions: (?!none|\))"),
)


def complaint(log: str, is_locked: bool) -> str:
    """What ended an installer, by its own words: ``disk`` (full), ``hash``, ``index`` (did not serve), or ``conflict``.

    A lock was resolved against a real index: one that hasn't got what it names does not serve, whatever it answers.
    """
    kind = next((name for name, words in _COMPLAINTS if re.search(words, log)), "index")
    return "index" if is_locked and kind == "conflict" else kind


def index_url() -> str:
    """The index that uv or pip would ask on this host: the settings', else pip's own; empty where no pip came with this Python."""
    named = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or _pip_settings().get("index-url")
    return named or "".join(_lines([sys.executable, "-I", "-S", "-c", _BUNDLED_INDEX]))


def _index_of_pip() -> List[str]:
    """Where pip's settings say that packages are, for uv, which does not read them; nothing when uv has its own."""
    own = ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE", "UV_NO_INDEX")
    files = (os.path.expanduser("~/.config/uv/uv.toml"), "/etc/uv/uv.toml")
    if any(name in os.environ for name in own) or any(map(os.path.exists, files)):
        return []
    settings = _pip_settings()
    words = ["--index-url", settings["index-url"]] if settings.get("index-url") else []
    for option in ("extra-index-url", "find-links"):
        words += [word for url in shlex.split(settings.get(option, "")) for word in ("--" + option, url)]
    # pip takes the best version of all indexes; so does uv when it is told to.
    words += ["--index-strategy", "unsafe-best-match"] if "--extra-index-url" in words else []
    return words + (["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else [])


def _pip_settings() -> Dict[str, str]:
    """The settings of pip for installing, as pip itself orders them (``pip help config``): site, user, environment."""
    import configparser  # noqa: PLC0415 - only a build needs it

    parser = configparser.RawConfigParser()
    named = os.environ.get("PIP_CONFIG_FILE")
    if named != os.devnull:
        directories = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
        places = [os.path.join(directory, "pip") for directory in directories] + ["/etc", "~/.pip", "~/.config/pip"]
        files = [os.path.join(os.path.expanduser(place), "pip.conf") for place in places]
        try:
            parser.read([*files, *([named] if named else [])])
        except (configparser.Error, UnicodeDecodeError):  # pip itself will say so
            return {}
    settings: Dict[str, str] = {}
    for section in ("global", "install"):
        settings.update(parser.items(section) if parser.has_section(section) else [])
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            settings[name[4:].lower().replace("_", "-")] = value
    return settings
