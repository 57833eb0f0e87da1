"""Values on the wire, the client's half: arguments go out, sealed results come in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from clustrix.errors import JobFailedError, RemoteError, ResultLostError, SerializationError
from clustrix.remote import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Outcome", "dump_arguments", "dump_bindings", "open_result"]

_ADVICE = "pass plain data, and make such objects inside the function"


class Outcome:
    """What a job's sealed result holds: its head (plain facts), and a value or an exception."""

    def __init__(self, head: dict[str, Any], value: Any, exception: BaseException | None) -> None:
        self.head = head
        self.value = value
        self.exception = exception


def dump_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], reader: tuple[int, int] | None, classes: set[type]
) -> bytes:
    """The call's arguments for a reader of Python version ``reader`` (None: not known yet, then for any).

    ``classes`` gets the classes they have instances of: the reader must have those, too.
    """
    names = {"call[0]": "args", "call[1]": "kwargs"}
    return _dump((args, dict(kwargs)), root="call", reader=reader, names=names, what="the arguments", classes=classes)


def dump_bindings(bindings: Mapping[str, Any], reader: tuple[int, int] | None) -> bytes:
    """The captured values of the main file, by name; empty when there are none."""
    if not bindings:
        return b""
    return _dump(dict(bindings), root="globals()", reader=reader, names={}, what="a variable that the function uses")


def open_result(sealed: bytes | bytearray, key: bytes, expected: dict[str, Any]) -> Outcome:
    """Check that ``sealed`` is the job's own result and decode it; ``expected`` are job_id, attempt, task and package.

    Large arrays stay where they are in ``sealed``, if that is a bytearray. Raises ResultLostError for bytes that are not authentic, and SerializationError for a value that can't be read here.
    """
    try:
        head, body = wire.unseal(key, sealed, expected)
    except wire.SealError as error:
        raise ResultLostError(
            f"the result of job {expected['job_id']} is not the job's own ({error}): somebody or something changed it on the cluster. Run it again"
        ) from error
    if head["outcome"] == "refused":
        text = bytes(body).decode(errors="replace")
        return Outcome(
            head,
            None,
            SerializationError(f"the result of job {expected['job_id']} can't be sent back: {text}; return plain data"),
        )
    if head["outcome"] == "unreadable":
        return Outcome(head, None, SerializationError(_unreadable(head, bytes(body).decode(errors="replace"))))
    if head["outcome"] == "failed":
        text = bytes(body).decode(errors="replace")
        words = f"job {head['job_id']} on {head['node']} failed beside its function: {text}. future.stderr() may say more; use_two_venv=False does without that process"
        return Outcome(head, None, JobFailedError(words, job_id=head["job_id"], node=head["node"]))
    try:
        value = wire.loads(body, unknown_base=RemoteError)
    except Exception as error:
        raise SerializationError(
            f"the result of job {expected['job_id']} can't be read by Python {sys.version.split()[0]} here: {error}. "
            f"It was written by Python {head.get('python')}"
        ) from error
    if head["outcome"] == "value":
        return Outcome(head, value, None)
    return Outcome(head, None, value if isinstance(value, Exception) else _no_exit_of_ours(head, value))


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
    classes: set[type] | None = None,
) -> bytes:
    protocol = 5 if reader and reader >= (3, 8) else 4
    try:
        return wire.dumps(value, protocol=protocol, root=root, target=reader, classes=classes)
    except wire.WireError as error:
        path = error.path
        for prefix, name in names.items():
            if path.startswith(prefix):
                path = name + path[len(prefix) :]
        raise SerializationError(f"{what} can't be sent: {path}: {error.reason}; {_ADVICE}") from error
