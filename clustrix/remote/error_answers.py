"""An exception of the agent's, as the client is told of it."""

import errno
import traceback
from typing import Dict

from . import attempts, builds, environments, existing_environments, interpreters, inventory, overlays, packages, wheels
from .environment_modules import UnknownModuleError
from .frames import MessageError
from .job_python import ValuesRefusedError
from .paths import StateDirError
from .schedulers import SchedulerError

__all__ = ["CancelledError", "described"]

LONGEST_WORDS = 1 << 15  # characters


class CancelledError(Exception):
    """The client cancelled the job while it was being submitted."""


# The client's error class for each of ours; anything else is a defect of the agent and says so.
_ERRORS = (
    (MessageError, "ClusterConnectionError"),
    (StateDirError, "ConfigurationError"),
    (interpreters.InterpreterNotFoundError, "EnvironmentSetupError"),
    (UnknownModuleError, "EnvironmentSetupError"),
    (existing_environments.EnvironmentUnusableError, "EnvironmentSetupError"),
    (environments.EnvironmentBuildError, "EnvironmentSetupError"),
    (builds.ClientGoneError, "EnvironmentSetupError"),
    (wheels.WheelError, "EnvironmentSetupError"),
    (inventory.EnvironmentInUseError, "EnvironmentSetupError"),
    (inventory.NoEnvironmentError, "EnvironmentSetupError"),
    (packages.PackageError, "PackagingError"),
    (overlays.SyntaxRefusedError, "UnsupportedSyntaxError"),
    (ValuesRefusedError, "SerializationError"),
    (CancelledError, "JobCancelledError"),
    # The client tells the user how to find out later, and keeps what it needs for that.
    (attempts.UndecidedError, "ClusterConnectionError"),
    (SchedulerError, "SubmissionError"),
    (ValueError, "SubmissionError"),
    (OSError, "SubmissionError"),
)


def described(error: Exception) -> Dict[str, str]:
    """``type``, a class of clustrix.errors, and ``message``."""
    for kind, name in _ERRORS:
        if isinstance(error, kind):
            message = _shortened(str(error))
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                message += "; nothing was queued: make room on that disk of the login node, or set remote_state_dir to a directory on one that has it"
            return {"type": name, "message": message}
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"type": "ClustrixError", "message": "the agent failed: " + _shortened(text)}


def _shortened(words: str) -> str:
    half = LONGEST_WORDS // 2
    return words if len(words) <= LONGEST_WORDS else words[:half] + " ... " + words[-half:]
