"""Every error class of clustrix. All derive from ClustrixError and from the builtin that people already catch."""

from __future__ import annotations

import sys
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AuthenticationError",
    "ClusterConnectionError",
    "ClustrixError",
    "ConfigurationError",
    "EnvironmentSetupError",
    "HostKeyError",
    "JobCancelledError",
    "JobFailedError",
    "JobTimeoutError",
    "NodeFailureError",
    "OutOfMemoryError",
    "PackagingError",
    "RemoteError",
    "ResultLostError",
    "SerializationError",
    "SubmissionError",
    "UnsupportedSyntaxError",
]


DOCUMENTATION = "https://clustrix.readthedocs.io/en/stable/"  # as in pyproject.toml


class ClustrixError(Exception):
    """The base of all: its message says what happened, where, and what to do next.

    ``help_url`` is where the documentation says more about its class. Python 3.11 and newer print it below the message.
    """

    help_url: ClassVar[str] = f"{DOCUMENTATION}troubleshooting.html"

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if cls.__module__ == __name__:  # derived ones elsewhere have no section of their own
            cls.help_url = f"{ClustrixError.help_url}#{cls.__name__.lower()}"

    # Not in `__init__`, which no exception's way back from a job calls; copies take the notes of what they copy.
    def __new__(cls, *args: Any, **_attributes: Any) -> Self:
        error = super().__new__(cls, *args)
        if sys.version_info >= (3, 11):
            error.add_note(f"See {cls.help_url}")
        return error


class ConfigurationError(ClustrixError, ValueError, TypeError):
    """A field or value of the configuration is wrong."""


class PackagingError(ClustrixError, ValueError):
    """The function, or something it needs, can't be packed."""


class SerializationError(ClustrixError):
    """A value can't cross the wire; the message names its path, such as ``args[0]["model"]``."""


class UnsupportedSyntaxError(ClustrixError, SyntaxError):
    """The cluster's Python rejects the function's syntax."""


class ClusterConnectionError(ClustrixError, ConnectionError):
    """The cluster can't be reached, or the connection was lost."""


class HostKeyError(ClusterConnectionError):
    """The host's key is unknown or changed."""


class AuthenticationError(ClusterConnectionError):
    """The host refused every key that was tried."""


class EnvironmentSetupError(ClustrixError):
    """The execution environment can't be built on the cluster."""


class SubmissionError(ClustrixError):
    """The scheduler refused the job."""


class JobFailedError(ClustrixError):
    """The job died without a Python exception.

    ``state`` is the scheduler's word (``FAILED``), ``exit_code`` and ``signal`` are integers or None,
    ``node`` is where it ran, ``log_tail`` the last lines of its output.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str = "",
        state: str = "",
        exit_code: int | None = None,
        signal: int | None = None,
        node: str = "",
        log_tail: str = "",
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.state = state
        self.exit_code = exit_code
        self.signal = signal
        self.node = node
        self.log_tail = log_tail


class JobTimeoutError(JobFailedError, TimeoutError):
    """The job reached its time limit."""


class OutOfMemoryError(JobFailedError):
    """The job was killed for using more memory than it asked for."""


class NodeFailureError(JobFailedError):
    """The compute node was lost."""


class JobCancelledError(ClustrixError, CancelledError):
    """The job was cancelled."""


class ResultLostError(ClustrixError):
    """The job ended, but its result is not there or is not authentic."""


class RemoteError(ClustrixError):
    """An exception from the job whose class this client lacks; ``type_name`` is the class's full name over there."""

    type_name: str = ""
