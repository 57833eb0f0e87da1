"""Examines a configuration on its cluster: what holds, what does not, and what to do about it. A small job is run, nothing is changed."""

from __future__ import annotations

import concurrent.futures
import importlib
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clustrix.config import ClusterConfig, get_config, parse_memory_mb, parse_time_seconds
from clustrix.errors import (
    AuthenticationError,
    ClusterConnectionError,
    ClustrixError,
    ConfigurationError,
    HostKeyError,
)
from clustrix.executor import ClusterExecutor
from clustrix.lock import find_uv
from clustrix.resources import JobOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BAD", "GOOD", "ODD", "Finding", "examine", "fitting", "login_facts"]

GOOD, ODD, BAD = "good", "odd", "bad"
MOST_CLOCK_DIFFERENCE = 5.0  # seconds
LEAST_ROOM = 1 << 30  # bytes: environments of the scientific packages are that large
PINGS = 5
_SMALL = JobOptions(cores=1, memory="200MB", time="00:05:00", requirements=[])


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``verdict`` is GOOD, ODD (it works, but) or BAD; ``fix`` says what to do where it is not GOOD."""

    what: str
    verdict: str
    text: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """As plain data."""
        return asdict(self)


def examine(config: ClusterConfig | None = None, *, job_seconds: float = 120.0) -> Iterator[Finding]:
    """The findings, one after another as they are made.

    A job of one core is submitted and waited for ``job_seconds``; with 0 there is none. What can't be connected to ends it.
    """
    config = config or get_config()
    try:
        executor = ClusterExecutor(config)
    except ConfigurationError as error:
        yield Finding("configuration", BAD, str(error), "clustrix init asks for what is needed, and writes a profile")
        return
    try:
        connection = _connection(executor, config)
        yield from connection
        if connection[-1].verdict == BAD:
            return
        yield from _login_node(executor.request("survey", {}), config)
        yield _client_uv()
        if job_seconds > 0:
            yield from _job(executor, config, job_seconds)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def login_facts(config: ClusterConfig) -> dict[str, Any]:
    """What the login node says of itself (see `clustrix.remote.survey`). Raises ClusterConnectionError and its kin."""
    executor = ClusterExecutor(config)
    try:
        return executor.request("survey", {})
    finally:
        executor.shutdown()


def _connection(executor: ClusterExecutor, config: ClusterConfig) -> list[Finding]:
    where = f"{config.cluster_host}:{config.cluster_port}" if config.cluster_host else "this machine"
    started = time.perf_counter()
    try:
        executor.connect()
    except HostKeyError as error:
        return [Finding("host key", BAD, str(error), "ask the site for its fingerprint, and compare")]
    except AuthenticationError as error:
        return [
            Finding(
                "login",
                BAD,
                str(error),
                "try the same with ssh; set username and key_file, or have ssh-agent hold the key",
            )
        ]
    except ClusterConnectionError as error:
        return [
            Finding(
                "connection", BAD, str(error), "try the same with ssh; set cluster_host, cluster_port and the jump host"
            )
        ]
    except ClustrixError as error:
        return [Finding("agent", BAD, str(error), "correct what it names, and try again")]
    took = time.perf_counter() - started
    pings = [_ping(executor) for _ in range(PINGS)]
    latency = statistics.median(took for took, _ in pings)
    return [
        Finding("connection", GOOD, f"{where} in {took:.1f} s; the host's key is the known one"),
        Finding("latency", GOOD, f"{latency * 1000:.0f} ms for a question and its answer"),
        _clock("clock of the login node", min(pings)[1]),
    ]


def _ping(executor: ClusterExecutor) -> tuple[float, float]:
    """Seconds from a question to its answer, and by how many the clock there is ahead of this one's."""
    asked, started = time.time(), time.perf_counter()
    there = executor.request("ping", {})["time"]
    took = time.perf_counter() - started
    return took, there - asked - took / 2


def _login_node(facts: dict[str, Any], config: ClusterConfig) -> Iterator[Finding]:
    for name, error in facts["failures"].items():
        yield Finding(name, ODD, error, "what it means for jobs is not known: look at it on the login node")
    yield from _pythons(facts, config)
    yield from _scheduler(facts, config)
    yield from _room(facts)
    yield _packages(facts)


def _clock(what: str, difference: float) -> Finding:
    if abs(difference) <= MOST_CLOCK_DIFFERENCE:
        return Finding(what, GOOD, "agrees with this computer's")
    way = "ahead of" if difference > 0 else "behind"
    return Finding(
        what,
        ODD,
        f"{abs(difference):.0f} s {way} this computer's",
        "set this computer's clock, or tell the site: times in job lists and certificates are judged by it",
    )


def _pythons(facts: dict[str, Any], config: ClusterConfig) -> Iterator[Finding]:
    found = facts.get("interpreters", [])
    versions = sorted({tuple(item["version"][:3]) for item in found})
    if not found:
        yield Finding(
            "Python",
            BAD,
            "none of 3.6 or newer was found",
            "set python_executable, or provision_python=True has uv fetch one",
        )
        return
    modules = sorted({name for item in found for name in item["modules"]})
    text = ", ".join(".".join(map(str, version)) for version in versions)
    yield Finding("Python", GOOD, text + (f"; with modules: {', '.join(modules)}" if modules else ""))
    named = config.python_executable
    if named and "/" in named and named not in {item["path"] for item in found}:
        yield Finding(
            "python_executable",
            ODD,
            f"{named} is not among those that were found",
            "jobs are refused if it is none: the paths that were found are in clustrix doctor --json",
        )


def _scheduler(facts: dict[str, Any], config: ClusterConfig) -> Iterator[Finding]:
    there = {site["scheduler"]: site for site in facts.get("schedulers", [])}
    wanted = config.cluster_type
    if wanted in ("ssh", "local"):
        if there:
            yield Finding(
                "scheduler",
                ODD,
                f"cluster_type={wanted!r} starts jobs on {facts.get('host', 'the host')} itself, which has {' and '.join(there)}",
                f"set cluster_type={next(iter(there))!r}, unless this host is yours alone",
            )
        else:
            yield Finding("scheduler", GOOD, f"none, as cluster_type={wanted!r} says; {facts.get('cores', '?')} cores")
        return
    if wanted not in there:
        others = " and ".join(there) or "no scheduler"
        fix = f"set cluster_type={next(iter(there), 'ssh')!r}, or cluster_host to a login node of that cluster"
        yield Finding("scheduler", BAD, f"cluster_type={wanted!r}, but {others} is there", fix)
        return
    site = there[wanted]
    if site["error"]:
        yield Finding(
            "scheduler", BAD, site["error"], "wait until it answers, or ask the site; jobs are kept and looked up"
        )
        return
    yield Finding("scheduler", GOOD, site["version"])
    if site["has_accounting"] is False:
        yield Finding(
            "accounting",
            ODD,
            "sacct does not answer",
            "jobs end all the same; why one died is known for some minutes only",
        )
    elif site["has_accounting"]:
        yield Finding("accounting", GOOD, "sacct answers")
    yield _queue(site["queues"], config)


def _queue(queues: list[dict[str, Any]], config: ClusterConfig) -> Finding:
    what, field = ("partition", "default_partition") if config.cluster_type == "slurm" else ("queue", "default_queue")
    wanted = getattr(config, field)
    names = ", ".join(queue["name"] for queue in queues) or "none"
    chosen = [queue for queue in queues if (queue["name"] == wanted if wanted else queue["is_default"])]
    if not chosen and (wanted or config.cluster_type == "slurm"):
        text = f"there is no {what} {wanted!r}" if wanted else f"no {what} is the default"
        return Finding(what, BAD, f"{text}; there is {names}", f"set {field} to one of these")
    if not chosen:
        return Finding(what, GOOD, f"{names}; the scheduler chooses")
    return _fits(chosen[0], what, config)


def _fits(queue: dict[str, Any], what: str, config: ClusterConfig) -> Finding:
    """Whether a job of the configuration's defaults can run there; what is not known of the queue fits."""
    facts = [(queue["nodes"], "nodes"), (queue["cores"], "cores"), (queue["memory_mb"], "MB")]
    named = ", ".join(
        [*(f"{count} {unit}" for count, unit in facts if count), f"time limit {queue['time_limit'] or 'none'}"]
    )
    named = f"{queue['name']}: {named}"
    if not queue["is_open"]:
        return Finding(what, BAD, f"{queue['name']} takes no jobs now", f"name another {what}, or wait")
    lower = fitting(queue, config)
    if not lower:
        return Finding(what, GOOD, named)
    wanted = ", ".join(f"{name}={getattr(config, name)!r}" for name in lower)
    fix = ", ".join(f"{name}={value!r}" for name, value in lower.items())
    return Finding(what, BAD, f"{named}; but {wanted}", f"set {fix}, or name another {what}")


def fitting(queue: dict[str, Any], config: ClusterConfig) -> dict[str, Any]:
    """The defaults of jobs that are more than a node of ``queue`` has or it allows, with the most that fits."""
    lower: dict[str, Any] = {}
    if queue["cores"] and config.default_cores > queue["cores"]:
        lower["default_cores"] = queue["cores"]
    if queue["memory_mb"] and parse_memory_mb(config.default_memory) > queue["memory_mb"]:
        lower["default_memory"] = f"{queue['memory_mb']}MB"
    limit = queue["time_limit"]
    if limit and parse_time_seconds(config.default_time) > parse_time_seconds(limit):
        lower["default_time"] = limit
    return lower


def _room(facts: dict[str, Any]) -> Iterator[Finding]:
    room = facts.get("room")
    if room is None:
        return
    free, where = room["free"], facts["state_dir"]
    fix = f"make room there, or set remote_state_dir to a directory on another disk; `clustrix env list` shows what {where} holds"
    yield Finding(
        "free space",
        BAD if free < LEAST_ROOM else GOOD,
        f"{free / (1 << 30):.1f} GiB of {room['total'] / (1 << 30):.1f} at {where}",
        fix if free < LEAST_ROOM else "",
    )
    for quota in room["quotas"]:
        limit, used = quota["limit"], quota["used"]
        text = f"{used / (1 << 30):.1f} of {limit / (1 << 30):.1f} GiB" if limit else "no limit"
        is_full = bool(limit) and limit - used < LEAST_ROOM
        yield Finding(f"quota on {quota['file_system']}", BAD if is_full else GOOD, text, fix if is_full else "")


def _packages(facts: dict[str, Any]) -> Finding:
    index = facts.get("index", {"url": "", "error": "not known"})
    uv = "uv" if facts.get("uv") else "no uv of its own"
    if index["error"]:
        return Finding(
            "packages there",
            ODD,
            f"{index['url']} does not answer ({index['error']}); {uv}",
            "nothing has to be done: this computer fetches the wheels and sends them, once for each",
        )
    return Finding("packages there", GOOD, f"{index['url']} answers; {uv}")


def _client_uv() -> Finding:
    uv = find_uv()
    if uv is None:
        return Finding(
            "uv here",
            ODD,
            "not found: the cluster's pip chooses versions within the bounds of yours",
            "pip install 'clustrix[uv]' has them locked, and fetched for clusters without internet",
        )
    return Finding("uv here", GOOD, uv)


def _facts_of_job():  # type: ignore[no-untyped-def]  # noqa: ANN202 - runs under any Python
    return importlib.import_module("clustrix_remote.survey").job_facts()


# The job has no such module: it is sent as a script's function is.
_facts_of_job.__module__ = "__main__"


def _job(executor: ClusterExecutor, config: ClusterConfig, seconds: float) -> Iterator[Finding]:
    started = time.perf_counter()
    try:
        future = executor.submit_job(_facts_of_job, (), {}, _SMALL, config)
        facts = future.result(timeout=seconds)
    except concurrent.futures.TimeoutError:
        words = future.notice or f"job {future.scheduler_id} is {future.status().lower()} after {seconds:.0f} s"
        future.cancel()
        yield Finding("job", ODD, words, "a busy cluster lets jobs wait; --wait SECONDS waits longer")
        return
    except ClustrixError as error:
        yield Finding("job", BAD, str(error), "correct what it names; `clustrix run --explain` shows the job script")
        return
    took = time.perf_counter() - started
    yield Finding("job", GOOD, f"ran on {facts['node']} under Python {facts['python']}, {took:.1f} s in all")
    index = facts["index"]
    yield Finding(
        "packages in jobs",
        GOOD,
        "the compute node reaches the package index" if not index["error"] else "no internet there, which no job needs",
    )
