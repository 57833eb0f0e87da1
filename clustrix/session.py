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

__all__ = ["Listener", "PythonWish", "Session"]

PythonWish = tuple[Any, ...]
"""All that decides which Python runs a job. Which one it was is known once a job has run."""

RECONNECT_AFTER = (0.5, 2.0, 5.0, 10.0, 20.0)  # seconds before each attempt to connect again
LEAST_START = 30.0  # seconds that the agent gets to start, however short connect_timeout is

_log = logging.getLogger("clustrix")


class Listener(Protocol):
    """Who wants to know what happens on the host."""

    def on_event(self, head: dict[str, Any], body: bytes | bytearray) -> None:
        """A job began (``event`` is "began") or ended ("ended"); then ``body`` is its sealed result if it has one."""

    def on_progress(self, line: str) -> None:
        """What the user may want to know while it takes its time."""

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
        self._connection = _connection(config)
        self._channel: Channel | None = None
        self.python_versions: dict[PythonWish, tuple[int, int]] = {}

    @property
    def host(self) -> str:
        return self._config.cluster_host or "this machine"

    def connect(self) -> Channel:
        """The open channel; connects now when there is none. Raises ClusterConnectionError and its kin."""
        with self._guard:
            if self._channel is None or not self._channel.is_open:
                self._close()
                try:
                    self._channel = Channel(
                        self._connection,
                        self.host,
                        self._config.remote_state_dir,
                        timeout=max(self._config.connect_timeout, LEAST_START),
                        on_event=self._listener.on_event,
                        on_lost=self._on_lost,
                        on_progress=self._listener.on_progress,
                    )
                    # What was awaited over an earlier connection is awaited over this one.
                    self._watch(self._channel, self._listener.awaited())
                except BaseException:
                    self._close()
                    raise
            return self._channel

    def disconnect(self) -> None:
        """Close the connection; jobs go on."""
        # One that is just being made may not answer, and nobody who leaves shall wait for it.
        has_guard = self._guard.acquire(timeout=1)
        try:
            self._close()
        finally:
            if has_guard:
                self._guard.release()

    def request(
        self, operation: str, head: dict[str, Any] | None = None, body: tuple[Any, ...] = (), **more: Any
    ) -> dict[str, Any]:
        """One request to the agent; see Channel.request."""
        return self._request(self.connect(), operation, head or {}, body, **more)

    def watch(self, job_ids: list[str]) -> None:
        """Have the agent watch jobs that were submitted over another connection."""
        self._watch(self.connect(), job_ids)

    def _request(
        self, channel: Channel, operation: str, head: dict[str, Any], body: tuple[Any, ...] = (), **more: Any
    ) -> dict[str, Any]:
        about_host = {"client": self._client(), "scheduler": self._config.cluster_type}
        return channel.request(operation, {**about_host, **head}, body, **more)

    def _watch(self, channel: Channel, job_ids: list[str]) -> None:
        if job_ids:
            self._listener.on_missing(self._request(channel, "watch", {"jobs": job_ids})["missing"])

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._connection.close()

    def _on_lost(self, error: errors.ClusterConnectionError) -> None:
        """Called by the lost channel's own thread: connect again as long as somebody waits for a job."""
        for pause in RECONNECT_AFTER:
            if not self._listener.awaited():
                return
            _log.warning("%s; connecting again in %g s", error, pause)
            time.sleep(pause)
            try:
                self.connect()
            except errors.ClusterConnectionError as failure:
                error = failure
            except Exception as failure:  # noqa: BLE001 - whatever it is, those who wait are told
                error = errors.ClusterConnectionError(f"{self.host} can't be used any more: {failure}")
            else:
                return
        self._listener.on_lost(error)


def _connection(config: ClusterConfig) -> Connection:
    if config.connection == "local":
        from clustrix.connection.local import LocalConnection  # noqa: PLC0415 - only what is used is imported

        return LocalConnection()
    from clustrix.connection.ssh import SSHConnection  # noqa: PLC0415 - paramiko takes 0.1 s

    return SSHConnection(config)
