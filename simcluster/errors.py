"""Every error that `simcluster` raises of its own."""

from __future__ import annotations

__all__ = [
    "BackendUnavailableError",
    "ClusterStartError",
    "FaultUnavailableError",
    "ImageBuildError",
    "SimclusterError",
    "SpecError",
]


class SimclusterError(Exception):
    """Something about a simulated cluster went wrong; the message ends in what to do."""


class SpecError(SimclusterError, ValueError):
    """What was asked for is not a cluster that can be made."""


class BackendUnavailableError(SimclusterError):
    """The backend can't run on this machine as it is; the message says what is missing."""


class FaultUnavailableError(SimclusterError):
    """The cluster can't be broken in that way; the message says why, and which can."""


class ImageBuildError(SimclusterError):
    """An image could not be built."""


class ClusterStartError(SimclusterError):
    """The cluster was made and did not come up; the message holds the end of its logs."""
