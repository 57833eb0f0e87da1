"""A TCP line to a port that is cut after so many bytes, once for each number that it is given."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["CutLine"]


class CutLine:
    """As a context manager, listens on ``port`` and passes on to ``target``. ``limits`` are for the connections from then on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._guard = threading.Lock()
        self.limits: list[int] = []
        self.cuts = 0
        self.connections = 0
        self.passed = 0  # bytes, in both directions
        self._ends: list[socket.socket] = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut_all()

    def cut_all(self) -> None:
        """End every connection."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self._target))
                with self._guard:
                    limit = self.limits.pop() if self.limits else None
                left = [limit]
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink, left), daemon=True).start()

    def _pass_on(self, source, sink, left) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 12):
                with self._guard:
                    is_cut = left[0] is not None and len(data) >= left[0]
                    if left[0] is not None:
                        data = data[: left[0]]
                        left[0] -= len(data)
                sink.sendall(data)
                self.passed += len(data)
                if is_cut:
                    self.cuts += 1
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()  # what the other direction has to send is read by nobody any more
