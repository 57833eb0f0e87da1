"""What comes of one item of a pool's run."""

from typing import Any, NamedTuple, Optional

from .wire import RemoteErrorBase, rebuild_exception

__all__ = ["Outcome", "WorkerDiedError", "read_error", "timed_out"]


class WorkerDiedError(RuntimeError):
    """A worker process ended at this item, or before it had handed the item's result over."""


class Outcome(NamedTuple):
    """What came of the item number ``index``: ``value``, or what the function raised."""

    index: int  # type: ignore[assignment] # nobody asks a tuple of outcomes' fields where a value is
    value: Any
    error: Optional[BaseException] = None

    def result(self) -> Any:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.value


def timed_out(timeout: Any, position: int, total: Optional[int]) -> TimeoutError:
    """What a run ends in when its time is over and the item number ``position`` is not done."""
    of = "" if total is None else " of %d" % total
    return TimeoutError(
        "after %g s the work was ended: item %d%s was not done yet, counted from 0" % (timeout, position, of)
    )


def read_error(record: Any, is_forked: bool) -> BaseException:
    """The exception that a worker described, of its own class, with the worker's traceback as the cause that Python prints."""
    described, address = record
    error = rebuild_exception(described)
    if is_forked and isinstance(error, RemoteErrorBase):
        known = _class_at(address, described["type_name"])
        if known is not None:
            return _as(error, known)
    return error


def _class_at(address: int, type_name: str) -> Optional[type]:
    """The class of exceptions that has no name to import it by, but was there before the fork, at the same address."""
    unseen = [BaseException]
    while unseen:
        found = unseen.pop()
        if id(found) == address and "%s.%s" % (found.__module__, found.__qualname__) == type_name:
            return found
        unseen.extend(found.__subclasses__())
    return None


def _as(stand_in: BaseException, cls: Any) -> BaseException:
    try:
        error: BaseException = cls.__new__(cls, *stand_in.args)
        error.args = stand_in.args
        for name, value in vars(stand_in).items():
            setattr(error, name, value)
    except Exception:  # noqa: BLE001 - a class with rules of its own for being made or changed
        return stand_in
    error.__cause__, error.__context__ = stand_in.__cause__, stand_in.__context__
    error.__suppress_context__ = stand_in.__suppress_context__
    return error
