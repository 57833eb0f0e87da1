"""How xdist's workers get clusters: the controller owns them, and answers on a socket of this machine's own.

A worker's connection is a visit of its test: when it ends, for whatever reason, so does the visit. What they say is pickled, for
errors are to be raised on the other side as what they are; that gives nobody anything: only who knows the secret is let in,
and who knows it has it from xdist, by a channel over which programs are sent.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from simcluster.pytest_plugin.visits import Source, Visit, Visitor
    from simcluster.running import RunningCluster
    from simcluster.spec import ClusterSpec

__all__ = ["RemoteClusters", "Service"]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 30.0
_END = "end"
_STAY_ALONE = "stay alone"


class Service:
    """The controller's end. `source` is called when the first worker asks for a cluster."""

    def __init__(self, source: Callable[[], Source]) -> None:
        self._source = source
        self._key = secrets.token_bytes(32)
        self._listener = socket.create_server((_LOOPBACK, 0), backlog=128)
        self._listener.setblocking(True)
        self._visits: list[threading.Thread] = []
        threading.Thread(target=self._accept, name="simcluster-service", daemon=True).start()

    @property
    def ticket(self) -> tuple[int, bytes]:
        """What a worker needs to be let in: the port, and a secret."""
        return self._listener.getsockname()[1], self._key

    def close(self) -> None:
        """Take nobody any more, and wait until the visits of workers that ended are over."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits there
        self._listener.close()
        deadline = time.monotonic() + _PATIENCE
        for visit in self._visits:
            visit.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listener.accept()
                taken.setblocking(True)  # whatever the process's default is
                visit = threading.Thread(target=self._serve, args=(taken,), name="simcluster-visit", daemon=True)
                self._visits = [*(visit for visit in self._visits if visit.is_alive()), visit]
                visit.start()

    def _serve(self, taken: socket.socket) -> None:
        # Imported late: most runs of pytest have no cluster.
        from multiprocessing import AuthenticationError  # noqa: PLC0415
        from multiprocessing.connection import Connection, answer_challenge, deliver_challenge  # noqa: PLC0415

        with suppress(OSError, EOFError, AuthenticationError), Connection(taken.detach()) as connection:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            match connection.recv():
                case spec, None, _:
                    _answer(connection, lambda: self._source().share(spec))
                case spec, test, alone:
                    _receive_visit(connection, lambda: self._source().visit(spec, test, alone=alone))


def _receive_visit(connection: Connection, begin: Callable[[], Visitor]) -> None:
    visitors: list[Visitor] = []

    def enter() -> Visit:
        visitors.append(begin())
        return visitors[0].visit

    try:
        _answer(connection, enter)
        while visitors and connection.recv() == _STAY_ALONE:
            _answer(connection, visitors[0].stay_alone)
    except (OSError, EOFError):  # the worker is gone
        for visitor in visitors:
            visitor.end()
    else:
        for visitor in visitors:
            _answer(connection, visitor.end)


def _answer(connection: Connection, call: Callable[[], Any]) -> None:
    try:
        answer = call()
    except Exception as error:  # noqa: BLE001 - raised in the worker
        answer = error
    connection.send(answer)


class RemoteClusters:
    """A worker's end; see `clusters.Source`."""

    def __init__(self, ticket: tuple[int, bytes]) -> None:
        self._ticket = ticket

    def share(self, spec: ClusterSpec) -> RunningCluster:
        """The run's cluster for this spec."""
        with self._connect() as connection:
            running: RunningCluster = _ask(connection, (spec, None, False))
        return running

    def visit(self, spec: ClusterSpec, test: str, *, alone: bool) -> Visitor:
        """Let a test be on that cluster."""
        connection = self._connect()
        try:
            return _RemoteVisit(connection, _ask(connection, (spec, test, alone)))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Nothing is owned here."""

    def _connect(self) -> Connection:
        from multiprocessing.connection import Client  # noqa: PLC0415

        port, key = self._ticket
        return Client((_LOOPBACK, port), authkey=key)


class _RemoteVisit:
    """A visit of a test in a worker."""

    def __init__(self, connection: Connection, visit: Visit) -> None:
        self._connection = connection
        self.visit = visit

    def stay_alone(self) -> None:
        """Wait until no other test is on the cluster."""
        _ask(self._connection, _STAY_ALONE)

    def end(self) -> None:
        """Have the controller tidy up, and let others have the cluster."""
        with self._connection:
            _ask(self._connection, _END)


def _ask(connection: Connection, request: object) -> Any:
    connection.send(request)
    answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer
