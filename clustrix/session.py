"""One host: connects when first used, connects again when the connection is lost, and knows which jobs are awaited."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from clustrix import errors
from clustrix.connection.channel import Channel, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.config import ClusterConfig

__all__ = ["Listener", "Session"]

RECONNECT_AFTER = (0.5, 2.0, 5.0)  # seconds before each attempt to connect again

_log = logging.getLogger("clustrix")


class Listener(Protocol):
    """Who wants to know what happens on the host."""

    def on_ended(self, head: dict[str, Any], body: bytes) -> None:
        """A job ended; ``body`` is its sealed result if it has one."""

    def on_lost(self, error: errors.ClusterConnectionError) -> None:
        """The connection is lost for good: nothing more will be heard of the awaited jobs."""

    def on_missing(self, job_ids: Iterable[str]) -> None:
        """The cluster knows nothing of these awaited jobs."""

    def awaited(self) -> list[str]:
        """The ids of the jobs whose end is awaited."""


class Session:
    """The agent on the host of ``config``. Constructing connects nowhere."""

    def __init__(self, config: ClusterConfig, client: Callable[[], str], listener: Listener) -> None:
        self._config = config
        self._client = client
        self._listener = listener
        self._guard = threading.RLock()
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self.python_versions: dict[str, tuple[int, int]] = {}

    @property
    def host(self) -> str:
        return self._config.cluster_host or "this machine"

    def connect(self) -> Channel:
        """The open channel; connects now when there is none. Raises ClusterConnectionError and its kin."""
        with self._guard:
            if self._channel is None or not self._channel.is_open:
                self._close()
                self._connection = _connection(self._config)
                try:
                    self._channel = Channel(
                        self._connection,
                        self.host,
                        self._config.remote_state_dir,
                        self._listener.on_ended,
                        self._on_lost,
                    )
                except BaseException:
                    self._close()
                    raise
            return self._channel

    def disconnect(self) -> None:
        """Close the connection; jobs go on."""
        with self._guard:
            self._close()

    def request(
        self, operation: str, head: dict[str, Any] | None = None, body: Any = b"", **more: Any
    ) -> dict[str, Any]:
        """One request to the agent; see Channel.request."""
        about_host = {"client": self._client(), "scheduler": self._config.cluster_type}
        return self.connect().request(operation, {**about_host, **(head or {})}, body, **more)

    def watch(self, job_ids: list[str]) -> None:
        """Have the agent watch jobs that were submitted over another connection."""
        missing = self.request("watch", {"jobs": job_ids})["missing"]
        if missing:
            self._listener.on_missing(missing)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._connection is not None:
            self._connection.close()
        self._channel = self._connection = None

    def _on_lost(self, error: errors.ClusterConnectionError) -> None:
        """Called by the lost channel's own thread: connect again as long as somebody waits for a job."""
        for pause in RECONNECT_AFTER:
            awaited = self._listener.awaited()
            if not awaited:
                return
            _log.warning("%s; connecting again in %g s", error, pause)
            time.sleep(pause)
            try:
                self.watch(awaited)
            except errors.ClusterConnectionError as failure:
                error = failure
            else:
                return
        self._listener.on_lost(error)


def _connection(config: ClusterConfig) -> Connection:
    if config.connection == "local":
        from clustrix.connection.local import LocalConnection  # noqa: PLC0415 - only what is used is imported

        return LocalConnection()
    from clustrix.connection.ssh import SSHConnection  # noqa: PLC0415 - paramiko takes 0.1 s

    return SSHConnection(config)
