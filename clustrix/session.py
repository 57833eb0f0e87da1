"""One host: connects when first used, connects again when the connection is lost, and knows which jobs are awaited."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from clustrix import errors
from clustrix.connection.channel import Channel, Connection
from clustrix.connection.choice import connection_for, is_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clustrix.config import ClusterConfig

__all__ = ["HOST_FIELDS", "Listener", "PythonWish", "Session"]

HOST_FIELDS = (
    "cluster_type", "cluster_host", "cluster_port", "username", "key_file", "password", "connection", "remote_state_dir",
    "host_key_policy", "known_hosts_file", "connect_timeout", "cleanup_on_success",
)  # fmt: skip
"""What of a configuration is about the host, and so the same for all jobs there."""

PythonWish = tuple[Any, ...]
"""All that decides which Python runs a job. Which one it was is known once a job has run."""

# Seconds before each attempt to connect again, from the loss or the attempt before on; all that wait share the attempts.
RECONNECT_AFTER = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
PATIENCE = 900.0
"""Seconds for which a lost connection is tried again: a login node may have to boot, a laptop to find its network."""
CALLERS_PATIENCE = 30.0
"""The same for whoever stands and waits for an answer."""
LIVED = 60.0  # seconds that a connection has to last, if nothing was asked over it, for its loss to count as the first
MOST_LOSSES = 20  # of connections over one request
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
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self.patience = PATIENCE
        """What nobody waits longer than."""
        self._has_left = threading.Event()
        self._was_open = False
        self._opened_at = 0.0
        self._failures = 0
        self._next_attempt = 0.0
        self._last_failure: errors.ClusterConnectionError | None = None
        self.python_versions: dict[PythonWish, tuple[int, int]] = {}

    @property
    def host(self) -> str:
        return "this machine" if is_here(self._config) else str(self._config.cluster_host)

    def connect(self) -> Channel:
        """The open channel; connects now when there is none. Raises ClusterConnectionError and its kin.

        What can't be reached the first time is told at once; a lost connection is tried for a while.
        """
        with self._guard:
            self._has_left.clear()
            if not self._was_open:
                return self._open()
        return self._connect_again(CALLERS_PATIENCE)

    def disconnect(self) -> None:
        """Close the connection; jobs go on."""
        self._has_left.set()
        # One that is just being made may not answer, and nobody who leaves shall wait for it.
        has_guard = self._guard.acquire(timeout=1)
        try:
            self._close()
            self._was_open = False
        finally:
            if has_guard:
                self._guard.release()

    def request(
        self,
        operation: str,
        head: dict[str, Any] | None = None,
        body: tuple[Any, ...] = (),
        *,
        patience: float = CALLERS_PATIENCE,
        **more: Any,
    ) -> dict[str, Any]:
        """One request to the agent; see Channel.request. If its connection is lost, it is made again and the request sent again.

        Every operation may be sent twice: the second time changes nothing, and has the same answer.
        """
        channel = self.connect()
        for attempt in range(MOST_LOSSES):
            try:
                answer = self._request(channel, operation, head or {}, body, **more)
            except errors.ClusterConnectionError:  # noqa: PERF203 - next to a round trip it costs nothing
                if channel.is_open or attempt == MOST_LOSSES - 1:
                    raise
                channel = self._connect_again(patience)
            else:
                self._failures = 0
                return answer
        raise AssertionError

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

    def _open(self) -> Channel:
        """The channel, connected now if there is none; called by who holds the guard."""
        if self._channel is not None and self._channel.is_open:
            return self._channel
        self._close()
        try:
            # Chosen anew each time: a laptop may be in another network than before.
            self._connection = connection_for(self._config)
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
        except BaseException as error:
            self._close()
            if isinstance(error, RuntimeError) and not threading.main_thread().is_alive():
                # From Python 3.12 on no thread can be started then, and a connection needs some.
                text = f"{self.host} can't be connected to again, for the interpreter is ending"
                raise errors.ClusterConnectionError(text) from error
            raise
        self._was_open = True
        self._opened_at = time.monotonic()
        return self._channel

    def _connect_again(self, patience: float) -> Channel:
        """The channel, after as many attempts as ``patience`` seconds allow for. What no attempt changes is raised at once."""
        started = time.monotonic()
        while True:
            with self._guard:
                if self._channel is not None and self._channel.is_open:
                    return self._channel
                if self._has_left.is_set():
                    raise errors.ClusterConnectionError(f"the connection to {self.host} was closed by this program")
                if time.monotonic() >= self._next_attempt:
                    try:
                        return self._open()
                    except (errors.HostKeyError, errors.AuthenticationError):
                        raise
                    except errors.ClusterConnectionError as error:
                        self._last_failure = error
                        self._put_off()
                failure, until = self._last_failure, self._next_attempt
            if until > started + min(patience, self.patience):
                raise failure or errors.ClusterConnectionError(f"the connection to {self.host} was lost")
            _log.info("connecting to %s again in %.1f s", self.host, until - time.monotonic())
            self._has_left.wait(max(0.0, until - time.monotonic()))

    def _put_off(self) -> None:
        self._next_attempt = time.monotonic() + RECONNECT_AFTER[min(self._failures, len(RECONNECT_AFTER) - 1)]
        self._failures += 1

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _on_lost(self, error: errors.ClusterConnectionError) -> None:
        """Called by the lost channel's own thread: connect again as long as somebody waits for a job."""
        with self._guard:
            # A host that ends every connection soon is not asked for a new one all the time.
            if time.monotonic() - self._opened_at > LIVED:
                self._failures = 0
            self._last_failure = error
            self._put_off()
        if not self._listener.awaited():
            return
        _log.warning("%s; connecting again", error)
        try:
            self._connect_again(PATIENCE)
        except errors.ClusterConnectionError as failure:
            # Who closed the connection connects again for what is awaited, or does not want it.
            if not self._has_left.is_set():
                self._listener.on_lost(failure)
        except Exception as failure:  # noqa: BLE001 - whatever it is, those who wait are told
            self._listener.on_lost(errors.ClusterConnectionError(f"{self.host} can't be used any more: {failure}"))
