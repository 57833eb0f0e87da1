"""The logs of a cluster's containers as one."""

from __future__ import annotations

import heapq
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.models.containers import Container

__all__ = ["read_logs"]


def read_logs(containers: Mapping[str, Container], *, follow: bool) -> Iterator[str]:
    """Every line with its time and its host's name, by time; with `follow` as they come, until all containers ended."""
    if not follow:
        yield from heapq.merge(*(_lines(host, container) for host, container in containers.items()))
        return
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for host, container in containers.items():
        threading.Thread(target=_pass_on, args=(host, container, lines), daemon=True).start()
    still = len(containers)
    while still:
        line = lines.get()
        if line is None:
            still -= 1
        else:
            yield line


def _lines(host: str, container: Container) -> list[str]:
    return sorted(_with_host(host, line) for line in container.logs(timestamps=True).splitlines())


def _pass_on(host: str, container: Container, lines: queue.SimpleQueue[str | None]) -> None:
    rest = b""
    for piece in container.logs(timestamps=True, stream=True, follow=True):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            lines.put(_with_host(host, line))
    lines.put(None)


def _with_host(host: str, line: bytes) -> str:
    moment, _, text = line.decode(errors="replace").partition(" ")
    return f"{moment} {host} {text}"
