"""What the process that starts a cluster tells the daemon, by a file in the cluster's directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcluster.emulated.isolation import TreePlan
from simcluster.ownership import Owner
from simcluster.pythons import Interpreter
from simcluster.spec import ClusterSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Blueprint"]

_FILE = "blueprint.json"


@dataclass(frozen=True)
class Blueprint:
    """A cluster to be, checked. `record` is its entry in the registry, which goes when the cluster does.

    `variables` are what every process of the cluster inherits. Without an owner the cluster is kept.
    """

    run: str
    name: str
    user: str
    spec: ClusterSpec
    owner: Owner | None
    record: Path
    tree: TreePlan
    pythons: Mapping[str, Interpreter]
    variables: Mapping[str, str]
    public_key: str
    host_key: str

    def write(self, directory: Path) -> None:
        """Write it down, readable by the user alone: the host key is in it."""
        file = directory / _FILE
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Blueprint:
        """What `write` wrote; the file is removed."""
        file = directory / _FILE
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        values["spec"] = ClusterSpec.from_dict(values["spec"])
        values["owner"] = Owner(**values["owner"]) if values["owner"] else None
        values["record"] = Path(values["record"])
        values["tree"] = TreePlan.from_dict(values["tree"])
        values["pythons"] = {version: _interpreter(**python) for version, python in values["pythons"].items()}
        return cls(**values)


def _interpreter(*, version: str, path: str, prefix: str, source: str) -> Interpreter:
    return Interpreter(version, Path(path), Path(prefix), source)
