"""What every backend's cluster is to its user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from simcluster.faults import Faults
    from simcluster.history import History
    from simcluster.spec import ClusterSpec

__all__ = ["Cluster", "Job", "Node", "SSHEndpoint"]


@dataclass(frozen=True)
class SSHEndpoint:
    """How to log in: no passwords, and a host key that is known beforehand."""

    host: str
    port: int
    username: str
    key_file: Path
    known_hosts_file: Path

    def command(self) -> list[str]:
        """The system's `ssh` with the options that this endpoint needs, and nothing of the user's own configuration."""
        return [
            "ssh",
            *("-F", "none"),
            *("-i", str(self.key_file)),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts_file}"),
            *("-o", "StrictHostKeyChecking=yes"),
            *("-p", str(self.port)),
            f"{self.username}@{self.host}",
        ]


@dataclass(frozen=True)
class Job:
    """A job as the scheduler remembers it. Times are the scheduler's own text (ISO 8601, the cluster's time zone).

    `directory` is where it was submitted, or where that is not known, where it runs.
    """

    id: str
    name: str
    state: str
    node: str | None
    submit: str | None
    start: str | None
    end: str | None
    exit_code: str | None
    directory: str | None = None


class Node(Protocol):
    """A compute node."""

    @property
    def name(self) -> str: ...

    @property
    def is_up(self) -> bool:
        """Whether it has power, whatever the scheduler thinks of it."""
        ...

    def kill(self) -> None:
        """Take its power away: every process on it is gone at once and nothing is told to anybody."""
        ...

    def restart(self) -> None:
        """Switch it on again, or off and on. Returns before the scheduler has noticed."""
        ...


class Cluster(Protocol):
    """A running cluster. Leaving the `with` block, or `close()`, removes it."""

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> ClusterSpec: ...

    @property
    def ssh(self) -> SSHEndpoint:
        """The user on the login host."""
        ...

    @property
    def other_user(self) -> SSHEndpoint:
        """Somebody else on the login host, who must not see what the user has."""
        ...

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The compute nodes by name."""
        ...

    @property
    def pythons(self) -> Mapping[str, str]:
        """The interpreters by version, the oldest first, as paths on every node. `python3` is the oldest."""
        ...

    @property
    def home(self) -> str:
        """The user's shared home directory, a path on the cluster."""
        ...

    @property
    def scratch(self) -> str:
        """The user's shared scratch directory, a path on the cluster."""
        ...

    @property
    def faults(self) -> Faults:
        """What can be broken of it."""
        ...

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        timeout: float | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command over SSH as the user; text goes to the remote shell as it is, a list is quoted first.

        Raises `subprocess.TimeoutExpired`, and with `check` `subprocess.CalledProcessError`, as `subprocess.run` does.
        """
        ...

    def jobs(self) -> list[Job]:
        """Every job so far, the oldest first."""
        ...

    def history(self) -> History:
        """Everything so far: who ran where and when, and what was broken meanwhile."""
        ...

    def timeline(self, path: str | Path) -> Path:
        """Write the history as a picture: one HTML page that needs nothing else. Its path is returned."""
        ...

    def close(self) -> None:
        """Remove the cluster and all that it left. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
