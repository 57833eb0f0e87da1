"""The environments that an account has on a cluster: listed, shown, built in advance, removed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from clustrix.config import ClusterConfig, get_config
from clustrix.errors import ConfigurationError
from clustrix.journal import Journal
from clustrix.progress import show_progress
from clustrix.requirements import explicit_constraints, explicit_requirements
from clustrix.resources import JobOptions, resources_for
from clustrix.session import Session
from clustrix.supplies import Supplies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from clustrix.errors import ClusterConnectionError

__all__ = ["Environment", "EnvironmentInventory", "Quota", "Room"]


@dataclass(frozen=True)
class Environment:
    """One environment: ``packages`` are versions by name, ``size`` is in bytes, ``built`` and ``used`` are Unix seconds.

    One that was never built whole has ``key``, ``is_building``, and ``failed``, why. ``log`` is the end of its build's.
    """

    key: str
    is_ready: bool
    is_building: bool
    interpreter: str = ""
    python: str = ""
    platform: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    built: float = 0.0
    used: float = 0.0
    failed: str = ""
    log: str = ""


@dataclass(frozen=True)
class Quota:
    """What the user has of ``file_system``, in bytes; ``limit`` None: as much as there is."""

    file_system: str
    used: int
    limit: int | None


@dataclass(frozen=True)
class Room:
    """Bytes of the file system on which the environments are, and the quotas of the user."""

    free: int
    total: int
    quotas: tuple[Quota, ...]


class EnvironmentInventory:
    """The environments on the cluster of ``config``, over a connection of its own; a context manager.

    Connects when first asked. Every method raises ClusterConnectionError and its kin, and EnvironmentSetupError for what
    the cluster refuses.
    """

    def __init__(self, config: ClusterConfig | None = None) -> None:
        self._config = config or get_config()
        if not self._config.cluster_host and self._config.connection != "local":
            raise ConfigurationError(
                "cluster_host is not set: `clustrix init` makes a profile of a cluster, or configure(cluster_host=...) says where environments are"
            )
        journal = Journal()
        self._session = Session(self._config, lambda: journal.client, _NoJobs())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.disconnect()

    def environments(self) -> list[Environment]:
        """All of them, built or being built, the latest used first."""
        return [_environment(item) for item in self._session.request("environments")["environments"]]

    def room(self) -> Room:
        """What the disk has room for."""
        found = self._session.request("environments")["room"]
        return Room(found["free"], found["total"], tuple(Quota(**item) for item in found["quotas"]))

    def show(self, key: str) -> Environment:
        """One of them, with its ``log``."""
        return _environment(self._session.request("environment", {"key": key}))

    def build(
        self,
        requirements: str | Path | Iterable[str],
        *,
        python: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Environment:
        """The environment that a job with these ``requirements`` and ``python`` gets, built now if it is not there.

        ``requirements`` and ``python`` are as in ``@cluster``; ``say`` gets lines of progress, which else go to stderr.

        :raises PackagingError: the requirements can't be read
        :raises ConfigurationError: the configuration names an environment that exists, to which nothing is added
        """
        config, tell = self._config, say or show_progress
        if config.conda_env_name is not None:
            raise ConfigurationError(
                f"conda_env_name={config.conda_env_name!r} is used as it is, and nothing is built for it: leave it out"
            )
        wanted, limits = explicit_requirements(requirements), tuple(sorted(explicit_constraints(requirements)))
        spec = {
            "client_python": list(sys.version_info[:3]),
            "python": python,
            "python_executable": config.python_executable,
            "provision_python": config.provision_python,
            "requirements": wanted,
            "constraints": limits,
            "package_manager": config.package_manager,
            "setup_timeout": config.venv_setup_timeout,
            "build_on": config.build_on,
            "scheduler": config.cluster_type,
            "resources": resources_for(JobOptions(), config),
            "use_two_venv": config.use_two_venv,
        }
        supplies = Supplies("", wanted, limits, config.local_cache_dir, tell)
        return _environment(self._session.request("build", {"spec": spec}, pieces=supplies, on_progress=tell))

    def remove(self, key: str) -> None:
        """Remove one; refused while it is being built, or a job that has not ended needs it."""
        self._session.request("remove_environment", {"key": key})


class _NoJobs:
    """Listens on a connection over which no job is awaited."""

    def on_event(self, head: dict[str, Any], body: bytes | bytearray) -> None:
        """Nothing begins or ends."""

    def on_progress(self, line: str) -> None:
        show_progress(line)

    def on_lost(self, error: ClusterConnectionError) -> None:
        """Whoever asks next hears of it."""

    def on_missing(self, job_ids: Iterable[str]) -> None:
        """Nothing is missed."""

    def awaited(self) -> list[str]:
        return []


_KNOWN = {item.name for item in fields(Environment)}


def _environment(item: dict[str, Any]) -> Environment:
    return Environment(**{name: value for name, value in item.items() if name in _KNOWN})
