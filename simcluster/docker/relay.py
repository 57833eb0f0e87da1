"""The bad line of a cluster in containers: runs on the login host, between port 22 and the SSH server, which has moved aside.

python -m simcluster.docker.relay DIRECTORY HOST:PORT

Each file of the directory is a fault, named by a number in hexadecimal, of which the text is a name and a value in JSON.
SIGHUP has them read again; what is in force then stands in DIRECTORY.seen. Without faults it takes no connections any
more, and ends with the last that it has. Standalone: standard library only, Python 3.8.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from simcluster.emulated.line import Line

__all__ = ["Relay"]

_PORT = 22


class Relay:
    """The line, as wrong as the files say."""

    def __init__(self, directory: Path, host: str, port: int) -> None:
        self._directory = directory
        self._server = (host, port)
        self._line = Line()
        self._looked = asyncio.Event()
        self._passages: set[_Passage] = set()

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._looked.set)
        await self._line.create_server(lambda *_: _Passage(self._server, self._passages), "0.0.0.0", _PORT)  # noqa: S104
        while await self._look():
            await self._looked.wait()
            self._looked.clear()
        while self._passages:
            await asyncio.wait({each.over for each in self._passages})

    async def _look(self) -> bool:
        """Do what the files say; whether there are any."""
        files = sorted(self._directory.iterdir())
        faults = {int(file.name, 16): json.loads(file.read_text()) for file in files}
        line = self._line
        line.latencies = _values(faults, "latency")
        line.bandwidths = _values(faults, "bandwidth")
        drops, refusals = _values(faults, "drop"), _values(faults, "refuse")
        for number in line.cuts.keys() - drops.keys():
            del line.cuts[number]
        for number in drops.keys() - line.cuts.keys():
            line.cut(number, drops[number])
        for number in refusals.keys() - line.refusals:
            line.refuse(number)
        for number in line.refusals - refusals.keys():
            await line.accept(number)
        line.look_again()
        if not faults:
            line.close()
            await asyncio.sleep(0)  # the loop lets go of the socket only then
        seen = self._directory.with_suffix(".seen")
        seen.with_suffix(".new").write_text("\n".join(file.name for file in files))
        seen.with_suffix(".new").replace(seen)
        return bool(faults)


class _Passage(asyncio.Protocol):
    """The server's end of a connection: what the line delivers goes to the SSH server, and the answers to the line."""

    def __init__(self, server: tuple[str, int], passages: set[_Passage]) -> None:
        self._server = server
        self._passages = passages
        self._waiting = b""
        self._is_over = False
        self._far: asyncio.Transport | None = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._near = transport
        self._passages.add(self)
        self._task = asyncio.ensure_future(self._connect())

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._waiting += data
        else:
            self._far.write(data)

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_over = True
        if self._far is not None:
            self._far.close()

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(partial(_Far, self, self._near), *self._server)
        except OSError:
            self.end()

    def reached(self, far: asyncio.Transport) -> None:
        self._far = far
        far.write(self._waiting)
        if self._is_over:
            far.close()

    def end(self) -> None:
        self._near.abort()
        self._passages.discard(self)
        self.over.set_result(None)


class _Far(asyncio.Protocol):
    """The connection to the SSH server."""

    def __init__(self, passage: _Passage, near: asyncio.Transport) -> None:
        self._passage = passage
        self._near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._passage.reached(transport)

    def data_received(self, data: bytes) -> None:
        self._near.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._passage.end()


def _values(faults: dict[int, Any], name: str) -> dict[int, Any]:
    return {number: fault[1] for number, fault in faults.items() if fault[0] == name}


async def _main(directory: str, server: str) -> None:
    host, _, port = server.partition(":")
    await Relay(Path(directory), host, int(port)).run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
