"""What a job asks for by `-l`: the server's Resource_List, and the core's own terms."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simcluster.emulated.pbs.getopt import log_refusal
from simcluster.emulated.pbs.words import (
    ILLEGAL_VALUE,
    NODES_AND_SELECT,
    NOT_IN_SELECT,
    NOT_WITH_SELECT,
    OVER_LIMIT,
    PLACE_ALONE,
    UNKNOWN_RESOURCE,
    DeniedError,
    clock_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcluster.emulated.interface import Partition

__all__ = ["Chunk", "Resources", "parse_size_kb", "parse_time", "requested_resources", "split_list"]

_MOST = 1 << 32
_SIZE = re.compile(r"(\d+)(?:([kmgtp])?([bw]))?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_COUNTS = ("mpiprocs", "ncpus", "ngpus", "ompthreads")
_CHUNK = (*_COUNTS, "mem", "host", "vnode", "arch")
_JOB = ("walltime", "select", "place", "nodes")
_REAL = frozenset(
    {"accelerator", "accelerator_memory", "accelerator_model", "aoe", "cput", "eoe", "file", "hbmem", "max_walltime"}
    | {"min_walltime", "mpparch", "mppdepth", "mpphost", "mpplabels", "mppmem", "mppnodes", "mppnppn", "mppwidth"}
    | {"naccelerators", "nchunk", "nice", "nodect", "partition", "pcput", "pmem", "preempt_targets", "pvmem", "site"}
    | {"soft_walltime", "software", "start_time", "vmem", "vntype"}
)
"""Resources of PBS's that nothing here counts."""


@dataclass(frozen=True)
class Chunk:
    """One of the equal parts of `-l select`, which a node has to give as a whole. `mem` is as it was written."""

    count: int = 1
    ncpus: int = 1
    mem: str | None = None
    ngpus: int = 0
    mpiprocs: int | None = None
    ompthreads: int | None = None
    host: str | None = None

    @property
    def mem_kb(self) -> int:
        return 0 if self.mem is None else parse_size_kb(self.mem, "mem")


@dataclass(frozen=True)
class Resources:
    """`listed` is the Resource_List without walltime, by name."""

    chunk: Chunk
    place: str
    listed: tuple[tuple[str, str], ...]
    walltime: int | None

    def shown(self, walltime: int | None) -> list[tuple[str, str]]:
        """The Resource_List with that walltime."""
        return [*self.listed, *([] if walltime is None else [("walltime", clock_text(walltime))])]

    def in_core_terms(self, gpus_per_node: int) -> dict[str, Any]:
        """Fields of `jobs.Request`. A chunk is a task; its GPUs are counted by node, so free chunks with GPUs share one node or none."""
        chunk, arrangement = self.chunk, self.place.split(":")[0]
        memory = math.ceil(chunk.mem_kb / 1024)
        fields: dict[str, Any] = {"tasks": chunk.count, "cpus_per_task": max(1, chunk.ncpus)}
        if arrangement == "free" and chunk.ngpus:
            arrangement = "pack" if chunk.count * chunk.ngpus <= gpus_per_node else "scatter"
        if arrangement in {"scatter", "vscatter"}:
            fields |= {"min_nodes": chunk.count, "tasks_per_node": 1, "gpus": chunk.ngpus}
        elif arrangement == "pack":
            fields |= {"max_nodes": 1, "gpus": chunk.ngpus * chunk.count}
            memory *= chunk.count
        if arrangement == "free" or not memory:
            fields["memory_per_cpu_mb"] = math.ceil(memory / fields["cpus_per_task"])
        else:
            fields["memory_mb"] = memory
        if chunk.host is not None:
            fields["nodelist"] = (chunk.host,)
        fields["is_exclusive"] = "excl" in self.place
        return fields


def requested_resources(values: Iterable[str], queue: Partition) -> Resources:
    """From the values of all `-l`. Raises DeniedError."""
    asked: dict[str, str] = {}
    for name, value in (pair for text in values for pair in split_list(text)):
        asked.setdefault(name, value)
    for name, value in asked.items():
        _check(name, value)
    chunk, place, listed = _placed(asked)
    count = chunk.count
    listed |= {"ncpus": str(chunk.ncpus * count), "nodect": str(count), "place": place}
    if chunk.mem is not None and "mem" not in listed:
        listed["mem"] = _times(chunk.mem, count)
    for name in ("mpiprocs", "ngpus"):
        if number := getattr(chunk, name):
            listed[name] = str(number * count)
    walltime = parse_time(asked["walltime"]) if "walltime" in asked else None
    if queue.max_time is not None and (walltime or 0) > queue.max_time:
        raise DeniedError(OVER_LIMIT)
    if queue.max_cpus is not None and chunk.ncpus * count > queue.max_cpus:
        raise DeniedError(OVER_LIMIT)
    return Resources(chunk, place, tuple(sorted(listed.items())), walltime)


def split_list(text: str) -> list[tuple[str, str]]:
    """`ncpus=2,mem=1gb`; a select's value may have commas in quotes only."""
    pairs = []
    for piece in text.split(","):
        name, _, value = piece.strip().partition("=")
        pairs.append((name.strip(), value.strip()))
    return pairs


def parse_time(text: str) -> int:
    """`90`, `1:30`, `02:00:00` in seconds. Raises DeniedError."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise DeniedError(ILLEGAL_VALUE, " Resource_List.walltime")
    seconds = 0
    for part in text.partition(".")[0].split(":"):
        seconds = seconds * 60 + int(part)
    return min(seconds, _MOST)


def parse_size_kb(text: str, name: str) -> int:
    """`512mb` in kilobytes. Raises DeniedError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise DeniedError(ILLEGAL_VALUE, f" Resource_List.{name}")
    words = 8 if (match[3] or "b").lower() == "w" else 1
    return math.ceil(min(int(match[1]), _MOST) * words * _UNITS[(match[2] or "").lower()] / 1024)


def _check(name: str, value: str) -> None:
    if name not in (*_CHUNK, *_JOB):
        if name in _REAL:
            log_refusal("qsub", f"-l {name}")
        raise DeniedError(UNKNOWN_RESOURCE, f" Resource_List.{name}")
    if name in _COUNTS and not value.isdecimal():
        raise DeniedError(ILLEGAL_VALUE, f" Resource_List.{name}")
    if name == "mem":
        parse_size_kb(value, name)
    if name == "walltime":
        parse_time(value)
    if name == "place":
        arrangement, *sharing = value.split(":")
        if arrangement not in {"free", "pack", "scatter", "vscatter"} or set(sharing) - {"excl", "shared", "exclhost"}:
            if any(word.startswith("group=") for word in sharing):
                log_refusal("qsub", "-l place=...:group=")
            raise DeniedError(ILLEGAL_VALUE, " Resource_List.place")


def _placed(asked: dict[str, str]) -> tuple[Chunk, str, dict[str, str]]:
    """The chunk, how chunks are placed, and the part of the Resource_List that is as it was asked for."""
    job_wide = [name for name in _CHUNK if name in asked]
    if "select" in asked or "place" in asked:
        if "nodes" in asked:
            raise DeniedError(NODES_AND_SELECT, ": nodes")
        if job_wide:
            raise DeniedError(NOT_WITH_SELECT, f": {job_wide[0]}")
        if "select" not in asked:
            raise DeniedError(PLACE_ALONE)
        chunk, text = _select(asked["select"])
        return chunk, asked.get("place", "free"), {"select": text}
    if "nodes" in asked:
        chunk = _nodes(asked)
        return chunk, "scatter", {"nodes": asked["nodes"], "select": _as_text(chunk)} | _total(asked)
    chunk = _chunk(1, [(name, asked[name]) for name in job_wide])
    written = sorted((name, asked[name]) for name in job_wide)
    if "ncpus" not in asked:
        written.append(("ncpus", "1"))
    return chunk, "pack", {"select": ":".join(["1", *(f"{name}={value}" for name, value in written)])}


def _total(asked: dict[str, str]) -> dict[str, str]:
    return {"mem": asked["mem"]} if "mem" in asked else {}


def _select(text: str) -> tuple[Chunk, str]:
    """`2:ncpus=2:mem=1gb`; chunks that differ are not emulated."""
    chunks, written = [], []
    for piece in text.split("+"):
        first, *rest = piece.split(":")
        if not first.isdecimal():
            rest, first = [first, *rest], "1"
        pairs = [(name, value) for name, _, value in (word.partition("=") for word in rest)]
        chunks.append(_chunk(int(first), pairs))
        words = [first, *rest, *([] if any(name == "ncpus" for name, _ in pairs) else ["ncpus=1"])]
        written.append(":".join(words))
    if len({_as_text(chunk).partition(":")[2] for chunk in chunks}) > 1:
        log_refusal("qsub", "-l select with chunks that differ")
        raise DeniedError(ILLEGAL_VALUE, " Resource_List.select")
    total = sum(chunk.count for chunk in chunks)
    return Chunk(**{**vars(chunks[0]), "count": total}), "+".join(written)


def _nodes(asked: dict[str, str]) -> Chunk:
    """`2:ppn=2`, the old form; memory is of all nodes together."""
    first, *rest = asked["nodes"].split("+")[0].split(":")
    if "+" in asked["nodes"]:
        log_refusal("qsub", "-l nodes with several parts")
        raise DeniedError(ILLEGAL_VALUE, " Resource_List.nodes")
    pairs: list[tuple[str, str]] = []
    if not first.isdecimal():
        pairs.append(("host", first))
    for word in rest:
        name, _, value = word.partition("=")
        if name in {"ppn", "cpp"}:
            pairs += [("ncpus", value), ("mpiprocs", value)]
        else:
            pairs.append((name, value))
    count = int(first) if first.isdecimal() else 1
    if "mem" in asked:
        pairs.append(("mem", f"{parse_size_kb(asked['mem'], 'mem') // max(1, count)}kb"))
    pairs += [(name, asked[name]) for name in ("ngpus",) if name in asked]
    return _chunk(count, pairs)


def _chunk(count: int, pairs: Iterable[tuple[str, str]]) -> Chunk:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in {*_JOB, "nodect"}:
            raise DeniedError(NOT_IN_SELECT, f": {name}")
        if name not in _CHUNK:
            if name in _REAL:
                log_refusal("qsub", f"-l select=...:{name}")
            raise DeniedError(UNKNOWN_RESOURCE, f": {name}")
        if name in _COUNTS:
            if not value.isdecimal():
                raise DeniedError(ILLEGAL_VALUE, " Resource_List.select")
            fields[name] = int(value)
        elif name == "mem":
            parse_size_kb(value, "select")
            fields[name] = value
        elif name in {"host", "vnode"}:
            fields["host"] = value
        elif value != "linux":
            raise DeniedError(ILLEGAL_VALUE, " Resource_List.select")
    return Chunk(count, **fields)


def _as_text(chunk: Chunk) -> str:
    names = ("host", "ncpus", "mem", "ngpus", "mpiprocs", "ompthreads")
    given = [(name, getattr(chunk, name)) for name in names]
    return ":".join([str(chunk.count), *(f"{name}={value}" for name, value in given if value)])


def _times(size: str, count: int) -> str:
    """`256mb` twice is `512mb`."""
    match = _SIZE.fullmatch(size)
    assert match is not None  # noqa: S101
    return f"{int(match[1]) * count}{size[len(match[1]) :]}"
