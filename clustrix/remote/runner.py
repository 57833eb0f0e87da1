"""The runner: in the job, it loads the function from its package, calls it, and stores the sealed result.

A run that may not begin, or that a later one has overtaken, stores nothing. The order at the end matters: output flushed, result renamed into place, then the mark. Whoever sees the mark finds all.
"""

import contextlib
import io
import json
import os
import stat
import sys
import time
import types
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from . import wire
from .paths import JobPaths, aside, read_whole
from .runs import claim_run, is_overtaken, most_runs
from .stage_process import this_process
from .stages import Serialization, StageError, serialization_stage

__all__ = [
    "NOT_BEGUN",
    "Ended",
    "Stages",
    "head_of",
    "load",
    "main",
    "mark",
    "read_spec",
    "run",
    "show_lines_at_once",
    "who_did_what",
]

# The exit statuses of a run. The last two are hardly anybody else's; the client's deaths.py has words for them.
STORED_VALUE, STORED_EXCEPTION, NOT_STORED, NOT_BEGUN = 0, 1, 117, 118
LARGEST_SHOWN = 2000  # characters of what could not be sent


class Ended(NamedTuple):
    """What came of a call: ``outcome`` as the seal has it, and the pieces of what it seals."""

    outcome: str
    body: Sequence[Any]


class Stages:
    """Seconds per stage, as pairs in order."""

    def __init__(self) -> None:
        self.seconds: List[Tuple[str, float]] = []
        self._since = time.time()

    def end(self, stage: str) -> None:
        now = time.time()
        self.seconds.append((stage, now - self._since))
        self._since = now


def main(job_root: str) -> int:
    """Run the job whose directory is ``job_root``; the exit status says whether it ended in a value or an exception, or why in neither."""
    started = time.time()
    show_lines_at_once()
    job = JobPaths(job_root)
    spec = read_spec(job)
    try:
        number = claim_run(job, spec)
    except OSError as error:
        return _not_stored(error)
    if number is None:
        sys.stderr.write("clustrix: this job has begun %d times, as often as it may\n" % most_runs(spec))
        return NOT_BEGUN
    spec["attempt"] = number
    with contextlib.suppress(OSError):  # who looks on would like to know; the job does not depend on it
        mark(job, spec, "began")
    stages, where = Stages(), []
    try:
        with serialization_stage(spec) as serialization:
            ended = run(
                spec,
                stages,
                serialization,
                lambda serialization: load(job, spec, serialization),
                lambda serialization: _arguments(job, serialization),
            )
            where = who_did_what(serialization)
    except StageError as error:
        ended = Ended("failed", [str(error).encode("utf-8", "replace")])
    with open(job.key, "rb") as stream:
        key = stream.read()
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the function may have closed it, or its disk may be full
            output.flush()
    head = head_of(spec, ended.outcome, stages, started, where)
    if is_overtaken(job, number):
        sys.stderr.write("clustrix: a later run of this job has begun, so the result of this one is dropped\n")
        return NOT_BEGUN
    try:
        is_stored = _store(job, key, head, ended.body)
        mark(job, spec, "done")
    except OSError as error:
        return _not_stored(error)
    return STORED_VALUE if is_stored and ended.outcome == "value" else STORED_EXCEPTION


def _store(job: JobPaths, key: bytes, head: Dict[str, Any], body: Sequence[Any]) -> bool:
    """Write the result; where there is no room for it, the few bytes that say so, and False."""
    try:
        with aside(job.result) as stream:
            wire.seal(stream, key, head, body)
    except OSError as error:
        words = "%s, %d bytes: %s" % (job.result, sum(len(piece) for piece in body), error.strerror or error)
        with aside(job.result) as stream:
            wire.seal(stream, key, dict(head, outcome="unwritten"), [words.encode("utf-8", "replace")])
        return False
    return True


def _not_stored(error: OSError) -> int:
    sys.stderr.write("clustrix: the job's directory can't be written to: %s\n" % error)
    return NOT_STORED


def mark(job: JobPaths, spec: Dict[str, Any], name: str) -> None:
    """Show the agent that the job ``began`` or is ``done``; the move fails, and leaves nothing, where it was cleaned up."""
    path = job.file("marks", name)
    open(path, "wb").close()
    os.rename(path, os.path.join(spec["done_dir"], "%s.%s" % (spec["job_id"], name)))


def read_spec(job: JobPaths) -> Dict[str, Any]:
    """The job as the agent described it."""
    with open(job.spec, encoding="utf-8") as stream:
        spec = json.load(stream)
    if not isinstance(spec, dict):
        raise TypeError("%s is not an object" % job.spec)
    return spec


def who_did_what(serialization: Serialization) -> List[Tuple[Any, ...]]:
    """Executable, version and process of each stage."""
    return [("decode", *serialization.who), ("run", *this_process()), ("encode", *serialization.who)]


def head_of(spec: Dict[str, Any], outcome: str, stages: Stages, started: float, where: Any) -> Dict[str, Any]:
    """The head of a sealed result, whose call ends now."""
    head = {name: spec[name] for name in ("job_id", "task", "package")}
    head["attempt"] = spec.get("attempt", 0)
    head["outcome"] = outcome
    head["python"], head["node"] = "%d.%d.%d" % sys.version_info[:3], os.uname().nodename
    head["executable"], head["started"], head["stages"] = sys.executable, started, stages.seconds
    head["where"], head["ended"] = where, time.time()
    head["used"], head["written"] = _used(), _written()
    return head


def show_lines_at_once() -> None:
    """Have each line go to its file when it is written: somebody may follow."""
    for output in (sys.stdout, sys.stderr):
        reconfigure = getattr(output, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)
    if sys.version_info < (3, 7):
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def _used() -> Dict[str, Any]:
    """Bytes at most, and seconds of CPU, of this process and of its children that have ended (the largest of them)."""
    import resource  # noqa: PLC0415 - only now

    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    times = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {"memory": max(own.ru_maxrss, children.ru_maxrss) * 1024, "cpu": times}


def _written() -> Dict[str, int]:
    """Bytes of standard output and error up to now, where they are files."""
    sizes = {}
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        with contextlib.suppress(OSError):  # closed by the function
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                sizes[name] = status.st_size
    return sizes


def run(
    spec: Dict[str, Any],
    stages: Stages,
    serialization: Serialization,
    find: Callable[[Serialization], Callable[..., Any]],
    read: Callable[[Serialization], Any],
) -> Ended:
    """Find the function, read its arguments, call it, and encode what came of it. Raises StageError, nothing else."""
    ended = _call(spec, stages, serialization, find, read)
    if ended.outcome in ("value", "exception"):
        ended = ended._replace(body=serialization.value(ended.body, tuple(spec["client_python"][:2])))
        stages.end("encode")
    return ended


def _call(
    spec: Dict[str, Any],
    stages: Stages,
    serialization: Serialization,
    find: Callable[[Serialization], Callable[..., Any]],
    read: Callable[[Serialization], Any],
) -> Ended:
    client = (spec["client_python"][0], spec["client_python"][1])
    protocol = 5 if client >= (3, 8) and sys.version_info >= (3, 8) else 4
    try:
        function = find(serialization)
        stages.end("load")
        try:
            arguments, keywords = read(serialization)
        except StageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a pickle raises, it is not the function's
            return Ended("unreadable", [("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace")])
        stages.end("decode")
        value = _completed(function(*arguments, **keywords))
        stages.end("call")
        return _value(value, protocol, client)
    except StageError:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are the function's own as well
        stages.end("call")
        _drop_own_frames(error)
        return Ended("exception", wire.dump_pieces(error, protocol=protocol, target=client))


def _value(value: Any, protocol: int, client: Tuple[int, int]) -> Ended:
    try:
        return Ended("value", wire.dump_pieces(value, protocol=protocol, root="result", target=client))
    except wire.WireError as error:
        # Hours of work may be in it: what can be read of it is not lost.
        return Ended("refused", [json.dumps([str(error), _shown(value)]).encode("ascii")])


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - it is a text of the user's own
        text = "(str() of it raises %s: %s)" % (type(error).__name__, error)
    return text if len(text) <= LARGEST_SHOWN else text[:LARGEST_SHOWN] + "..."


def _completed(value: Any) -> Any:
    """The value; that of a coroutine is what it returns in an event loop of its own."""
    if type(value) is not types.CoroutineType:
        return value
    import asyncio  # noqa: PLC0415 - most functions don't wait for it

    run = getattr(asyncio, "run", None)  # not in 3.6
    if run is not None:
        return run(value)
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(value)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _arguments(job: JobPaths, serialization: Serialization) -> Any:
    (written,) = serialization.value([read_whole(job.arguments)], sys.version_info[:2])
    return wire.loads(written)


def load(job: JobPaths, spec: Dict[str, Any], serialization: Serialization) -> Callable[..., Any]:
    """The function, with everything it needs importable: its modules first, then our ``clustrix``, then the environment."""
    source = serialization.function(spec["package_dir"], spec["entry"])
    package, here = spec["package_dir"], os.path.dirname(os.path.abspath(__file__))
    if package != spec["original_dir"]:
        from .original_lines import show_original_lines  # noqa: PLC0415 - most packages run as they are

        show_original_lines(package, spec["original_dir"])
    os.environ["CLUSTRIX_JOB_DIR"] = job.root
    os.environ["CLUSTRIX_JOB_ID"] = spec["job_id"]
    os.environ["CLUSTRIX_JOB_DEPTH"] = str(spec.get("depth", 1))
    # The agent's own directory comes last of ours: a module of the user's may be called run_job, too.
    sys.path[:1] = [os.path.join(package, "modules"), os.path.join(here, "front"), sys.path[0]]
    sys.argv = [spec["entry"]["name"]]
    if spec["entry"]["kind"] == "bytecode":
        from . import bytecode  # noqa: PLC0415 - few functions come so

        return bytecode.load_function(package, source.text, spec["entry"])
    if source.path is not None:
        found: Any = _run_main_file(source.path, source.text)
    else:
        found = __import__(spec["entry"]["module"], fromlist=["*"])
    for name in spec["entry"]["name"].split("."):
        found = getattr(found, name)
    found = getattr(found, "clustrix_undecorated", found)
    # A class method came with its class as first argument, as the client's decorator got it.
    found = getattr(found, "__func__", found)
    if not spec.get("loops"):
        return found  # type: ignore[no-any-return]
    from .loops import as_planned  # noqa: PLC0415 - most functions have none

    return as_planned(found, spec["loops"])  # type: ignore[no-any-return]


def _run_main_file(path: str, text: bytes) -> types.ModuleType:
    """Run the shipped main file as ``__main__``, so its classes pickle by name and spawned processes find it again."""
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    code = compile(text, path, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - running the user's code is what a job is for
    return module


def _drop_own_frames(error: BaseException) -> None:
    """Begin the traceback at the user's code."""
    here = os.path.dirname(os.path.abspath(__file__))
    while error.__traceback__ is not None:
        if os.path.dirname(os.path.abspath(error.__traceback__.tb_frame.f_code.co_filename)) != here:
            return
        error.__traceback__ = error.__traceback__.tb_next
