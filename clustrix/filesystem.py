"""Files of the cluster, on the client: which files are meant, and who reads them. What can be done is in `clustrix.remote.filesystem`.

A cluster's files are read by its agent, over the executor's own connection; where this process is on that cluster itself, directly.
Without a cluster they are this machine's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from clustrix.config import ClusterConfig, get_config
from clustrix.connection.transfers import Transfer
from clustrix.executors import executor_for
from clustrix.progress import show_progress
from clustrix.remote import filesystem as _shared
from clustrix.remote.files import Answer, LocalPlace, raise_from_wire
from clustrix.remote.filesystem import (
    ClusterFilesystem,
    DiskUsage,
    FileInfo,
    cluster_count_files,
    cluster_du,
    cluster_exists,
    cluster_find,
    cluster_get,
    cluster_glob,
    cluster_isdir,
    cluster_isfile,
    cluster_ls,
    cluster_mkdir,
    cluster_put,
    cluster_read,
    cluster_rm,
    cluster_stat,
    cluster_write,
)
from clustrix.whereabouts import is_on_the_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ClusterFilesystem",
    "DiskUsage",
    "FileInfo",
    "cluster_count_files",
    "cluster_du",
    "cluster_exists",
    "cluster_find",
    "cluster_get",
    "cluster_glob",
    "cluster_isdir",
    "cluster_isfile",
    "cluster_ls",
    "cluster_mkdir",
    "cluster_put",
    "cluster_read",
    "cluster_rm",
    "cluster_stat",
    "cluster_write",
]


class RemotePlace(NamedTuple):
    """The login node of ``config``, from its ``remote_work_dir``: one message there and one back for each operation."""

    config: ClusterConfig

    def perform(self, operation: str, arguments: dict[str, Any], body: Any = b"") -> Answer:
        """Raises what the operation raises there, and ClusterConnectionError and its kin."""
        head = {"call": operation, "base": self.config.remote_work_dir, "arguments": arguments}
        found = executor_for(self.config).request("files", head, body)
        raise_from_wire(found, self.config.cluster_host or "this machine")
        content = found.pop("body", b"")
        return found, content


def _place_of(config: ClusterConfig | None) -> LocalPlace | RemotePlace:
    config = config or get_config()
    has_cluster = config.cluster_type != "local" and (config.cluster_host or config.connection == "local")
    if not has_cluster:
        return _local_place_of(config)
    remote = RemotePlace(config)
    if config.connection == "local" or is_on_the_cluster(config, remote.perform):
        return LocalPlace(config.remote_work_dir)
    return remote


def _local_place_of(config: ClusterConfig | None) -> LocalPlace:
    return LocalPlace((config or get_config()).local_work_dir or ".")


def _progress(doing: str) -> Callable[[int, int], object]:
    return Transfer(doing, show_progress)


_shared.Settings.place_of = staticmethod(_place_of)
_shared.Settings.local_place_of = staticmethod(_local_place_of)
_shared.Settings.progress = staticmethod(_progress)
