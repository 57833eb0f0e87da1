"""A cluster that is up, as found again by its name: from another process, or after its maker has gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from simcluster.ownership import Owner
    from simcluster.spec import ClusterSpec

__all__ = ["RunningCluster"]


@dataclass(frozen=True)
class RunningCluster:
    """A cluster of any backend. `port` is None while the login host is down; `created` is Unix seconds.

    `machines` are the states of login host and nodes; "running" means up.
    """

    name: str
    run: str
    spec: ClusterSpec
    owner: Owner | None
    directory: Path
    created: int
    port: int | None
    machines: dict[str, str]

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def profile(self) -> Path:
        return self.directory / "profile.yaml"
