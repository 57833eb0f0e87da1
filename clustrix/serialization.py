"""Values on the wire, the client's half: arguments go out, sealed results come in; and functions as bytes, for whoever reads them."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from clustrix.argument_classes import package_with_classes
from clustrix.config import get_config
from clustrix.errors import JobFailedError, RemoteError, ResultLostError, SerializationError
from clustrix.file_packaging import package_function_for_execution
from clustrix.remote import wire
from clustrix.remote.wire.calls import Call
from clustrix.source import unwrap_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clustrix.remote.wire import Bytes

__all__ = [
    "Met",
    "Outcome",
    "deserialize_function",
    "dump_arguments",
    "dump_bindings",
    "dump_task",
    "open_result",
    "serialize_function",
]

_ADVICE = "pass plain data, and make such objects inside the function"


@dataclass
class Met:
    """What was met in values as they were encoded: ``classes`` that they have instances of, which the reader must have, too.

    Where it is not known who reads: ``refusals``, by the version of Python that something in them needs, say what of them no older one can have.
    """

    classes: set[type] = field(default_factory=set)
    refusals: dict[tuple[int, int], str] = field(default_factory=dict)


class Outcome:
    """What a job's sealed result holds: its head (plain facts), and a value or an exception."""

    def __init__(self, head: dict[str, Any], value: Any, exception: BaseException | None) -> None:
        self.head = head
        self.value = value
        self.exception = exception


def serialize_function(
    func: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
) -> bytes:
    """A function with the arguments of a call, for ``deserialize_function`` on any client, or `clustrix.remote.wire.loads` on any cluster.

    It travels as its package (see file_packaging): by source, or where there is none as bytecode, which only a Python with
    this one's magic number reads.

    :raises PackagingError: (a ValueError) the function, or something it needs, can't come along
    :raises SerializationError: an argument can't; the message names it
    """
    config = get_config()
    package = package_function_for_execution(func, config)
    met = Met()
    arguments = dump_arguments(args, kwargs or {}, None, met, package.made)
    package = package_with_classes(func, config, package, met.classes)
    entry = package.metadata["entry"]
    cloudpickle = None
    if entry["kind"] == "bytecode":
        cloudpickle = str(importlib.import_module("cloudpickle").__version__)
    call = Call(
        package=Path(package.package_path).read_bytes(),
        entry=entry,
        package_id=package.package_id,
        arguments=b"".join(arguments),
        bindings=b"".join(dump_bindings(package.bindings, None, Met(), package.made)),
        cloudpickle=cloudpickle,
    )
    return wire.dumps(call)


def deserialize_function(data: bytes) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """(function, args, kwargs) of what ``serialize_function`` wrote. Only for data from a source that is trusted: it can run anything.

    Modules of the user's that are here already are used if they equal those that came along. Data files that came along are
    not put anywhere.

    :raises SerializationError: this Python can't have the function or an argument; the message says why
    """
    try:
        found = wire.loads(data, unknown_base=RemoteError)
    except Exception as error:
        raise SerializationError(f"Python {sys.version.split()[0]} can't read this function: {error}") from error
    if not (isinstance(found, tuple) and len(found) == 3 and callable(found[0])):
        raise SerializationError(f"this is a {type(found).__name__}, and nothing that serialize_function wrote")
    function, args, kwargs = found
    return unwrap_cluster(function), args, kwargs


def dump_arguments(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    reader: tuple[int, int] | None,
    met: Met,
    made: Mapping[Any, str] | None = None,
) -> list[Bytes]:
    """The call's arguments for a reader of Python version ``reader`` (None: not known yet, then for any).

    In pieces that belong together: large arrays are views of the caller's own memory.
    ``made`` are names in the main file of functions and classes that can't be found by their own.
    """
    names = {"call[0]": "args", "call[1]": "kwargs"}
    value, what = (args, dict(kwargs)), "the arguments"
    return _dump(value, root="call", reader=reader, names=names, what=what, met=met, made=made)


def dump_task(
    values: Any,
    number: int | None,
    positions: tuple[int, ...] | int,
    reader: tuple[int, int] | None,
    met: Met,
    *,
    made: Mapping[Any, str],
) -> list[Bytes]:
    """Likewise of one task of a map: the tuple of its arguments at ``positions``, or the one that all tasks have at one (``number`` is None)."""
    what = "the arguments of the map" if number is None else f"the arguments of task {number} of the map"
    if isinstance(positions, int):
        root = f"args[{positions}]"
        return _dump(values, root=root, reader=reader, names={}, what=what, met=met, made=made)
    names = {f"task[{place}]": f"args[{position}]" for place, position in enumerate(positions)}
    return _dump(values, root="task", reader=reader, names=names, what=what, met=met, made=made)


def dump_bindings(
    bindings: Mapping[str, Any], reader: tuple[int, int] | None, met: Met, made: Mapping[Any, str] | None = None
) -> list[Bytes]:
    """The captured values of the main file, by name, in pieces likewise; none when there are none."""
    if not bindings:
        return []
    what = "a variable that the function uses"
    return _dump(dict(bindings), root="globals()", reader=reader, names={}, what=what, met=met, made=made)


def open_result(
    sealed: bytes | bytearray,
    key: bytes,
    expected: dict[str, Any],
    made: Mapping[Any, str] | None = None,
    retries: int = 0,
) -> Outcome:
    """Check that ``sealed`` is the job's own result and decode it; ``expected`` are job_id, task and package;
    ``made`` the classes here that the job's main file has by these names.

    It may be that of any attempt up to ``retries``: one that a later attempt has overtaken is not stored at all.
    Large arrays stay where they are in ``sealed``, if that is a bytearray. Raises ResultLostError for bytes that are not authentic, and SerializationError for a value that can't be read here.
    """
    try:
        head, body = wire.unseal(key, sealed, expected)
        if head.get("attempt") not in range(retries + 1):
            raise wire.SealError(f"it is of attempt {head.get('attempt')!r}, and there were {retries + 1} to be made")
    except wire.SealError as error:
        raise ResultLostError(
            f"the result of job {expected['job_id']} is not the job's own ({error}): somebody or something changed it on the cluster. Run it again"
        ) from error
    if head["outcome"] == "refused":
        reason, shown = json.loads(bytes(body))
        words = f"the result of job {expected['job_id']} can't be sent back: {reason}; return plain data. str() of it was: {shown}"
        return Outcome(head, None, SerializationError(words))
    if head["outcome"] == "unwritten":
        text = bytes(body).decode(errors="replace")
        words = f"job {head['job_id']} on {head['node']} ended, but its result can't be stored: {text}. Make room there, or set remote_state_dir to a directory that has it, and run it again"
        return Outcome(head, None, ResultLostError(words))
    if head["outcome"] == "unreadable":
        return Outcome(head, None, SerializationError(_unreadable(head, bytes(body).decode(errors="replace"))))
    if head["outcome"] == "failed":
        text = bytes(body).decode(errors="replace")
        words = f"job {head['job_id']} on {head['node']} failed beside its function: {text}. future.stderr() may say more; use_two_venv=False does without that process"
        return Outcome(head, None, JobFailedError(words, job_id=head["job_id"], node=head["node"]))
    try:
        with _main_module_with(made or {}) as main_module:
            value = wire.loads(body, main_module, RemoteError)
    except BaseException as error:  # a value may raise SystemExit as it is rebuilt: of a map, one task fails by it
        raise SerializationError(
            f"the result of job {expected['job_id']} can't be read by Python {sys.version.split()[0]} here: {error}. "
            f"It was written by Python {head.get('python')}"
        ) from error
    if head["outcome"] == "value":
        return Outcome(head, value, None)
    return Outcome(head, None, value if isinstance(value, Exception) else _no_exit_of_ours(head, value))


@contextlib.contextmanager
def _main_module_with(made: Mapping[Any, str]) -> Iterator[str]:
    """The name of a module that has ``made`` by their names, and else what ``__main__`` has."""
    if not made:
        yield "__main__"
        return
    module = ModuleType(f"clustrix_main_of_{id(made)}_{threading.get_ident()}")
    vars(module).update({name: value for value, name in made.items()})
    vars(module)["__getattr__"] = lambda name: getattr(sys.modules["__main__"], name)
    sys.modules[module.__name__] = module
    try:
        yield module.__name__
    finally:
        del sys.modules[module.__name__]


def _unreadable(head: dict[str, Any], reason: str) -> str:
    return (
        f"the arguments of job {head['job_id']} can't be read by Python {head.get('python')} there: {reason}. "
        "A function of your script has to be named in the function that runs, or it is not sent along; "
        "libraries have to be there in a version that reads what yours wrote. Plain data always arrives"
    )


def _no_exit_of_ours(head: dict[str, Any], exit_there: BaseException) -> BaseException:
    """SystemExit and KeyboardInterrupt were meant for the job's process, and shall not end this one."""
    error = JobFailedError(
        f"the function of job {head['job_id']} ended its process: {exit_there!r}",
        job_id=head["job_id"],
        exit_code=exit_there.code if isinstance(exit_there, SystemExit) and isinstance(exit_there.code, int) else None,
        node=head.get("node", ""),
    )
    error.__cause__ = exit_there
    return error


def _dump(
    value: Any,
    *,
    root: str,
    reader: tuple[int, int] | None,
    names: dict[str, str],
    what: str,
    met: Met,
    made: Mapping[Any, str] | None = None,
) -> list[Bytes]:
    protocol, needs = 5 if reader and reader >= (3, 8) else 4, set[tuple[int, int]]()
    try:
        pieces = wire.dump_pieces(
            value, protocol, root=root, target=reader, classes=met.classes, made=dict(made or {}), needs=needs
        )
    except wire.WireError as error:
        path = error.path
        for prefix, name in names.items():
            if path.startswith(prefix):
                path = name + path[len(prefix) :]
        where = f" to Python {reader[0]}.{reader[1]}" if reader else ""
        raise SerializationError(f"{what} can't be sent{where}: {path}: {error.reason}; {_ADVICE}") from error
    for major, minor in sorted(needs - met.refusals.keys()):
        with _noted(met, (major, minor)):
            _dump(value, root=root, reader=(major, minor - 1), names=names, what=what, met=Met(), made=made)
    return pieces


@contextlib.contextmanager
def _noted(met: Met, needed: tuple[int, int]) -> Iterator[None]:
    try:
        yield
    except SerializationError as error:
        met.refusals[needed] = str(error)
