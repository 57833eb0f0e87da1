"""Fetches a Python that the cluster lacks, with uv and the user's permission (``provision_python=True``)."""

import os
import shutil
import subprocess
from typing import Callable, Optional, Tuple

from .interpreters import Interpreter, InterpreterNotFoundError, choose_interpreter
from .login_shell import login_path
from .passing import Passing

__all__ = ["choose_or_provision", "find_uv"]

OLDEST = (3, 8)  # the oldest Python that uv has (docs.astral.sh/uv, "Python versions")


def find_uv(uv: Optional[str] = None) -> Optional[str]:
    """The path of a uv: ``uv`` itself, else one on the PATH of any shell, else where its installers put it."""
    path = os.pathsep.join(
        [os.environ.get("PATH", ""), login_path(), *map(os.path.expanduser, ("~/.local/bin", "~/.cargo/bin"))]
    )
    return uv if uv and os.access(uv, os.X_OK) else shutil.which("uv", path=path)


def choose_or_provision(
    python: Optional[str],
    python_executable: Optional[str],
    client: Tuple[int, ...],
    *,
    is_allowed: bool,
    seconds: float,
    report: Callable[[str], None],
    uv: Optional[str] = None,
) -> Interpreter:
    """``choose_interpreter``, and where none fits, uv fetches one into its own directory, if that ``is_allowed``.

    Raises InterpreterNotFoundError: none fits, and uv is not allowed, not there, or failed (the message has its words).
    """
    try:
        return choose_interpreter(python, python_executable, client)
    except InterpreterNotFoundError as error:
        wanted = python or "%d.%d" % tuple(client[:2])
        if python_executable:
            raise
        if tuple(int(part) for part in wanted.split("."))[:2] < OLDEST:
            raise InterpreterNotFoundError("%s. uv has none before %d.%d to fetch" % (error, *OLDEST)) from None
        if not is_allowed:
            raise InterpreterNotFoundError("%s. With provision_python=True uv fetches one" % error) from None
        missing = str(error)
    program = find_uv(uv)
    if program is None:
        raise InterpreterNotFoundError(
            "%s. provision_python=True needs a uv on the login node, and there is none on the PATH or in ~/.local/bin"
            % missing
        )
    report(Passing("fetching Python %s with %s" % (wanted, program)))
    _install(program, wanted, seconds, missing)
    return choose_interpreter(python, None, client)


def _install(program: str, version: str, seconds: float, missing: str) -> None:
    # Without links in ~/.local/bin: what the user's own shells find there is the user's business.
    environment = dict(os.environ, UV_PYTHON_INSTALL_BIN="0")
    try:
        answer = subprocess.run(
            [program, "python", "install", "--no-progress", version],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InterpreterNotFoundError(
            "%s. Fetching one with %s took longer than venv_setup_timeout allows (%g s)" % (missing, program, seconds)
        ) from None
    if answer.returncode != 0:
        words = answer.stdout.decode("utf-8", "replace").strip()[-1500:]
        raise InterpreterNotFoundError("%s. Fetching one with %s failed: %s" % (missing, program, words))
