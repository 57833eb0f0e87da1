"""A TCP proxy that a test counts bytes with, and that stops passing them on at a number of them."""

import contextlib
import socket
import threading


class Proxy:
    """Listens on ``port`` of the loopback and passes on to ``target``; ``sent`` and ``received`` are the client's bytes so far.

    With ``stop_sending_at`` or ``stop_receiving_at`` no byte beyond that number is passed on, and ``is_stopped`` is set.
    """

    def __init__(self, target):
        self._target = target
        self._sockets = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.sent = self.received = 0
        self.stop_sending_at = self.stop_receiving_at = None
        self.is_stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self):
        """Cut all connections, and pass on whatever comes over new ones."""
        self.stop_sending_at = self.stop_receiving_at = None
        while self._sockets:
            each = self._sockets.pop()
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self):
        self._server.close()
        self.drop()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                host = socket.create_connection(self._target)
                self._sockets += [client, host]
                threading.Thread(target=self._pass_on, args=(client, host, "sent"), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(host, client, "received"), daemon=True).start()

    def _pass_on(self, source, sink, direction):
        limit = "stop_sending_at" if direction == "sent" else "stop_receiving_at"
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                allowed = getattr(self, limit)
                if allowed is not None and getattr(self, direction) + len(data) > allowed:
                    self.is_stopped.set()
                    break  # what was sent is lost, as the client is to be killed
                setattr(self, direction, getattr(self, direction) + len(data))
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_WR)
