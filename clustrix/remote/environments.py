"""Execution environments: one virtual environment per content, built once, published whole.

``envs/<key>/<attempt>/`` is the environment where it was built (a virtual environment can't be moved), and
``envs/<key>/current`` a link that is made when the build is complete, by whoever is first. So an environment exists if and
only if ``current`` does; two builders do no harm, and a failed one leaves its log and nothing that looks usable.
"""

import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from typing import Callable, Dict, List, Sequence, Set

from .interpreters import Interpreter
from .paths import StatePaths, remove_tree

__all__ = ["EnvironmentBuildError", "ensure_environment", "environment_key", "environment_python", "stop_builds"]


class EnvironmentBuildError(Exception):
    """The environment can't be built; the message holds the end of the build's log."""


_LOCKS: Dict[str, threading.Lock] = {}
_LOCKS_GUARD = threading.Lock()
_STOPPED = threading.Event()
_BUILDS: "Set[subprocess.Popen[bytes]]" = set()


def environment_key(interpreter: Interpreter, requirements: Sequence[str]) -> str:
    """The name of an environment: a digest of interpreter, platform and requirements."""
    content = json.dumps([interpreter.path, interpreter.version, interpreter.platform, sorted(requirements)])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:16]


def environment_python(state: StatePaths, key: str) -> str:
    """The environment's interpreter; it exists if and only if the environment was built whole."""
    return os.path.join(state.environment(key), "current", "bin", "python")


def ensure_environment(
    state: StatePaths,
    interpreter: Interpreter,
    requirements: Sequence[str],
    timeout: float,
    report: Callable[[str], None],
) -> str:
    """The path of the environment's interpreter, built now when it is not there. ``report`` gets lines of progress.

    Raises EnvironmentBuildError when the build fails or takes more than ``timeout`` seconds.
    """
    key = environment_key(interpreter, requirements)
    python = environment_python(state, key)
    if os.path.exists(python):
        return python
    with _LOCKS_GUARD:
        lock = _LOCKS.setdefault(key, threading.Lock())
    with lock:
        if not os.path.exists(python):
            wanted = ", ".join(requirements) or "no packages"
            report("building the environment %s: Python %s with %s" % (key, interpreter.version_text, wanted))
            started = time.time()
            _build(state.environment(key), interpreter, requirements, timeout)
            report("built the environment %s in %.1f s" % (key, time.time() - started))
    return python


def stop_builds() -> None:
    """End every build that is under way, and let none begin; each build's own thread removes its directory."""
    _STOPPED.set()
    for process in list(_BUILDS):
        _kill(process)


def _build(root: str, interpreter: Interpreter, requirements: Sequence[str], timeout: float) -> None:
    if _STOPPED.is_set():
        raise EnvironmentBuildError("the client has gone")
    os.makedirs(root, mode=0o700, exist_ok=True)
    attempt = tempfile.mkdtemp(prefix="build-", dir=root)
    log = os.path.join(root, "build.log")
    deadline = time.time() + timeout
    python = os.path.join(attempt, "bin", "python")
    without_pip = [] if requirements else ["--without-pip"]
    steps = [[interpreter.path, "-I", "-m", "venv", *without_pip, attempt]]
    if requirements:
        # Nothing is compiled here: a source distribution would need a compiler and run its own code on the login node.
        pip = [
            python,
            "-I",
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]
        steps.append([*pip, *requirements])
    try:
        with open(log, "wb") as stream:
            for step in steps:
                _run(step, stream, deadline)
        _publish(attempt, os.path.join(root, "current"))
    except EnvironmentBuildError as error:
        remove_tree(attempt)
        raise EnvironmentBuildError(
            "%s\nThe log is %s on the cluster; it ends:\n%s" % (error, log, _tail(log))
        ) from None
    except BaseException:
        remove_tree(attempt)
        raise


def _publish(attempt: str, current: str) -> None:
    try:
        os.symlink(os.path.basename(attempt), current)
    except FileExistsError:
        if os.path.exists(os.path.join(current, "bin", "python")):
            # Another builder was first; a job may run in its environment already, so that one stays.
            remove_tree(attempt)
        else:
            # Somebody cleared away what the link points to, as scratch file systems do.
            os.symlink(os.path.basename(attempt), attempt + ".link")
            os.rename(attempt + ".link", current)


def _run(step: List[str], log: object, deadline: float) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        step,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # type: ignore[call-overload]
    )
    _BUILDS.add(process)
    try:
        code = process.wait(max(1.0, deadline - time.time()))
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
        raise EnvironmentBuildError("building the environment took longer than venv_setup_timeout allows") from None
    finally:
        _BUILDS.discard(process)
    if code != 0:
        raise EnvironmentBuildError(
            "building the environment failed: %s ended with exit %d" % (" ".join(step[:4]), code)
        )


def _kill(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _tail(path: str, size: int = 3000) -> str:
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - size))
        return stream.read().decode("utf-8", "replace").strip()
