"""Builds one environment, as a process of its own that no connection and no agent takes with it.

It holds the claim in whose directory its plan lies, and ends in one of three ways: the environment is published and the
claim released; it failed, ``failed.json`` says why, and the claim is released; or it was killed, and who waits sees that
the claim's heartbeat stopped. The log is in the claim's directory while it builds, then beside the environment.
"""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from typing import Any, Dict, List

from . import inventory
from .claims import Claim, Heartbeat, note_holder, release
from .installers import Installer, complaint, install_command, installer_environment, runs_uv, venv_command
from .paths import remove_tree, write_aside
from .script import with_modules
from .wheels import WheelError, unpack_wheel

__all__ = ["Plan", "command_in_a_job", "has_begun", "main", "start", "tail", "write_plan"]

Plan = Dict[str, Any]
"""What a builder is told, as JSON: ``about`` (key, interpreter, python, platform, modules), ``lock`` and ``requirements``, ``tools``
(paths of wheels to unpack), ``installer`` (kind and path, or None), ``wheels`` (paths that take the place of the index, or
None), ``seconds`` that it may take, and ``token``."""

_RUN = "import os, sys; sys.path.insert(0, sys.argv[1]); {package} = __import__('{package}.builder', fromlist=['main']); {package}.main(sys.argv[2])"
_LEAVE = "import os; os.fork() and os._exit(0); os.setsid(); "

_BEGUN = "begun"

# Ends with the builder even when that is killed; a Python without ctypes has the next builder tidy up after it.
_LEASH = """
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class _BuildError(Exception):
    """The build's end. ``kind`` is ``time``, ``tools``, ``other`` or one of a complaint's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def start(claim: Claim, plan: Plan) -> None:
    """Start the builder and hand it the claim; returns when it is on its own."""
    write_plan(claim, plan)
    with open(claim.file("log"), "wb") as log:
        subprocess.run(
            _command(sys.executable, _LEAVE + _RUN, claim),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=True,
        )


def write_plan(claim: Claim, plan: Plan) -> None:
    """Leave the plan where the builder looks for it."""
    write_aside(claim.file("plan.json"), json.dumps(plan).encode("utf-8"))


def command_in_a_job(python: str, claim: Claim) -> List[str]:
    """The argument vector of a builder that is all of its job."""
    return _command(python, _RUN, claim)


def has_begun(claim: Claim) -> bool:
    """Whether a builder has taken the claim over; it may also have given it up since."""
    try:
        return _BEGUN in os.listdir(claim.path)
    except FileNotFoundError:
        return True


def _command(python: str, code: str, claim: Claim) -> List[str]:
    here = os.path.dirname(os.path.abspath(__file__))
    return [python, "-I", "-c", code.format(package=os.path.basename(here)), os.path.dirname(here), claim.path]


def main(path: str) -> None:
    """Build what the plan in the claim's directory ``path`` says."""
    claim = Claim(path)
    with open(claim.file("plan.json"), encoding="utf-8") as stream:
        plan = json.load(stream)
    note_holder(claim, plan["token"])
    write_aside(claim.file(_BEGUN), b"")
    # Beyond its time plus a grace it is dead to the others, even if a hanging file system keeps it from ending.
    with Heartbeat(claim, plan["seconds"] + 10, _die):
        _Build(claim, plan).run()


class _Build:
    def __init__(self, claim: Claim, plan: Plan) -> None:
        self._claim = claim
        self._plan = plan
        self._directory = os.path.dirname(claim.path)
        self._target = os.path.join(self._directory, "built-" + plan["token"])
        self._deadline = time.monotonic() + plan["seconds"]

    def run(self) -> None:
        failure = None
        try:
            self._build()
        except _BuildError as error:
            failure = error
        except WheelError as error:
            failure = _BuildError("tools", str(error))
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            failure = _BuildError("disk" if is_full else "other", "building the environment failed: %s" % error)
        except Exception:  # noqa: BLE001 - whatever it is, those who wait shall know
            failure = _BuildError("other", "the builder failed: " + traceback.format_exc())
        if failure:
            self._note(failure)
        log = os.path.join(self._directory, "build.log")
        with contextlib.suppress(OSError):
            os.rename(self._claim.file("log"), log)
        release(self._claim)

    def _build(self) -> None:
        plan, temporary = self._plan, self._claim.file("tmp")
        os.mkdir(temporary, 0o700)
        installer = Installer(*plan["installer"]) if plan["installer"] else None
        self._step("making the environment", venv_command(installer, plan["about"]["interpreter"], self._target))
        if plan["tools"]:
            self._unpack_tools()
        if installer and (plan["lock"] or plan["requirements"]):
            self._install(installer)
        about = dict(plan["about"], **inventory.measured(self._target))
        write_aside(os.path.join(self._target, "about.json"), json.dumps(about).encode("utf-8"))
        self._publish()

    def _unpack_tools(self) -> None:
        programs = os.path.join(self._target, "bin")
        for path in self._plan["tools"]:
            unpack_wheel(path, inventory.libraries(self._target), programs)
        uv = os.path.join(programs, "uv")
        if os.path.exists(uv) and not runs_uv(uv):
            _log("uv does not run here: environments will be filled by pip")
            os.unlink(uv)

    def _install(self, installer: Installer) -> None:
        plan, wheels, pip = self._plan, None, self._claim.file("pip")
        if installer.kind == "pip":
            # Unpacked, for a pip in its ZIP does not find its certificates under Python 3.6.
            unpack_wheel(installer.path, pip, self._claim.file("pip-scripts"))
        if plan["wheels"] is not None:
            wheels = self._claim.file("wheels")
            os.mkdir(wheels)
            for path in plan["wheels"]:
                os.symlink(path, os.path.join(wheels, os.path.basename(path)))
        requirements = self._claim.file("requirements.txt")
        write_aside(requirements, (plan["lock"] or "\n".join(plan["requirements"])).encode("utf-8"))
        is_locked = bool(plan["lock"])
        command = install_command(installer, pip, self._target, requirements, is_locked=is_locked, wheels=wheels)
        self._step(installer.kind + " install", command)

    def _step(self, what: str, command: List[str]) -> None:
        _log("$ " + " ".join(command))
        command = with_modules(self._plan["about"]["modules"], command)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            env=installer_environment(self._claim.file("tmp")),
            cwd=self._claim.path,
            start_new_session=True,
        )
        try:
            code = process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise _BuildError(
                "time",
                "building the environment took longer than venv_setup_timeout allows (%d s): raise it, or call again"
                % self._plan["seconds"],
            ) from None
        if code != 0:
            message = "building the environment failed: %s ended with exit %d" % (what, code)
            raise _BuildError(self._why(what), message)

    def _why(self, what: str) -> str:
        if self._is_full():
            return "disk"
        if not what.endswith("install"):
            return "other"
        kind = complaint(tail(self._claim.file("log"), 100000), bool(self._plan["lock"]))
        return "wheels" if kind == "index" and self._plan["wheels"] is not None else kind

    def _is_full(self) -> bool:
        """Whether nothing more can be written; an installer's own words may be lost for the same reason."""
        try:
            with open(self._claim.file("tmp") + "/room", "wb") as stream:
                stream.write(bytes(1 << 20))
        except OSError as error:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        return False

    def _publish(self) -> None:
        current = os.path.join(self._directory, "current")
        if os.path.exists(os.path.join(current, "bin", "python")):
            # Taken for dead, another built it meanwhile; a job may run in that one already, so it stays.
            remove_tree(self._target)
            return
        link = self._claim.file("current")
        os.symlink(os.path.basename(self._target), link)
        # Over a link that leads nowhere, too, as a scratch file system's cleaning leaves it.
        os.rename(link, current)

    def _note(self, failure: _BuildError) -> None:
        end = tail(self._claim.file("log"), 3000)
        # First of all, for then the disk has room for the note.
        remove_tree(self._target)
        remove_tree(self._claim.file("tmp"))
        note = {"token": self._plan["token"], "kind": failure.kind, "message": str(failure), "log": end}
        with contextlib.suppress(OSError):
            write_aside(os.path.join(self._directory, "failed.json"), json.dumps(note).encode("utf-8"))


def tail(path: str, size: int) -> str:
    """The last ``size`` bytes of a log as text; empty when it can't be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.path.getsize(path) - size))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _log(line: str) -> None:
    os.write(1, os.fsencode(line + "\n"))


def _die() -> None:
    """Another took this build over and removes what it made: nothing more may be written there, by its child neither."""
    os.kill(os.getpid(), signal.SIGKILL)
