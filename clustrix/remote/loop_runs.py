"""Runs a proven loop: its first iterations here, and if the others are worth it, these in the processes of a pool.

What a process computes is what an iteration's effects are made of; the effects happen here, in the order of the loop. Whatever goes
wrong there (an exception, a warning, a value that can't be sent, a killed process) goes wrong with that iteration only, which
then runs here, as the user wrote it. For iterations change nothing, a second run gives what the first one would have, and an
exception is raised where the plain loop raises it.
"""

import itertools
import pickle
import sys
import threading
import time
import types
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .cores import cores
from .loop_plan import LoopPlan, Wish

__all__ = ["Loop", "Processes"]

# What the loop's statement is given: items of iterations that run here, or values of the effects of those that ran elsewhere.
Round = Tuple[Iterable[Any], Iterable[Any]]

_INDEXED: Tuple[type, ...] = (range, list, tuple, str, bytes)
_SIZED: Tuple[type, ...] = (*_INDEXED, dict, set, frozenset, type({}.keys()), type({}.values()), type({}.items()))
# These are read ahead, by so many items.
_UNSIZED: Tuple[type, ...] = (enumerate, zip, reversed, type(reversed([])), type(reversed(range(0))))
READ_AHEAD = 100_000

# Seconds: what a pool takes to start and to end, and what each of its items costs on top; measured on a slow machine.
STARTING, PASSING = 0.05, 2e-5
# Seconds. An iteration that takes so long tells enough alone: else the first may have been slow for other reasons.
TELLING = 0.2
# Seconds. Iterations are measured together up to that, and loops that are over by then not at all for a while.
MEASURED, NOT_WORTH_IT, UNMEASURED_LOOPS = 0.02, 0.001, 50

# Iterations that were run elsewhere for nothing; if these are most of them, the others run here at once.
MOST_AGAIN = 8


class Processes(NamedTuple):
    """How worker processes are started, None for what the system's are by themselves, and what pickles for them."""

    start_method: Optional[str] = None
    pickler: Any = pickle.Pickler

    @property
    def are_forked(self) -> bool:
        return self.start_method == "fork" or (self.start_method is None and sys.platform == "linux")


class Loop:
    """A proven loop. ``body`` is its body as a function of items, of how to note an effect, of what ``plan.reads`` and ``inner``
    name: the latter are variables of the functions around it.
    """

    def __init__(
        self, plan: LoopPlan, body: types.FunctionType, inner: Sequence[str], wish: Wish, processes: Processes
    ) -> None:
        self._plan, self._body, self._inner = plan, body, inner
        self._wish, self._processes = wish, processes
        self._unmeasured = 0

    def begin(self, iterable: Any) -> Iterable[Round]:
        """The rounds of one run of the loop; called by the function whose loop it is, for its variables are read."""
        if not self._may_be_worth_it(iterable):
            return ((iterable, ()),)
        return self._rounds(iterable, sys._getframe(1))  # noqa: SLF001 - as inspect does it

    def _may_be_worth_it(self, iterable: Any) -> bool:
        least = 2 if self._wish.is_asked else max(2, self._wish.threshold)
        kind = type(iterable)
        if kind in _SIZED or (kind.__name__ == "ndarray" and kind.__module__ == "numpy" and iterable.ndim):
            if len(iterable) < least:
                return False
        elif kind not in _UNSIZED:
            return False
        if self._unmeasured:
            self._unmeasured -= 1
            return False
        # Of a process with threads a copy may hold locks that nobody gives back.
        is_safe = self._wish.is_asked or threading.active_count() == 1 or not self._processes.are_forked
        return is_safe and _may_have_children() and cores() > 1

    def _rounds(self, iterable: Any, frame: Any) -> Iterator[Round]:
        for items, error in _windows(iterable):
            yield from self._window(items, frame)
            if error is not None:
                raise error

    def _window(self, items: Sequence[Any], frame: Any) -> Iterator[Round]:
        workers, done, began = cores(), 0, time.perf_counter()
        plain = iter(items)
        is_enough = self._wish.is_asked or len(items) >= self._wish.threshold
        size = 0 if self._wish.threshold == 0 else 1 if is_enough else len(items)
        while size:
            since = time.perf_counter()
            yield itertools.islice(plain, size), ()
            seconds = time.perf_counter() - since
            done += size
            if done >= len(items):
                if time.perf_counter() - began < NOT_WORTH_IT:
                    self._unmeasured = UNMEASURED_LOOPS
                return
            saved = (len(items) - done) * (seconds / size * (1 - 1 / workers) - PASSING)
            if saved > 2 * STARTING and (done > 1 or seconds > TELLING):
                break
            size = size if seconds > MEASURED else 2 * size
        rest = items[done:]
        iteration = self._iteration(rest, frame)
        del frame
        if iteration is None:
            yield plain, ()
            return
        elsewhere = len(rest) - 1 if self._plan.has_later_reader else len(rest)
        yield from self._in_processes(iteration, rest[:elsewhere])
        if elsewhere < len(rest):
            yield rest[elsewhere:], ()

    def _in_processes(self, iteration: "_Iteration", items: Sequence[Any]) -> Iterator[Round]:
        from .parallel import Pool  # noqa: PLC0415 - most loops are not worth it

        with Pool(start_method=self._processes.start_method, pickler=self._processes.pickler) as pool:
            outcomes = pool.run(iteration, items)
            if not self._processes.are_forked:
                outcomes = _without_main(outcomes)
            position = again = 0
            while position < len(items):
                effects = _Effects(outcomes)
                yield (), effects
                position += effects.iterations
                again += 1
                if effects.is_over or (again > MOST_AGAIN and 2 * again > position):
                    break
                yield items[position : position + 1], ()
                position += 1
        yield items[position:], ()

    def _iteration(self, items: Any, frame: Any) -> Optional["_Iteration"]:
        """What a worker does with an item; None if a value here is not of those that were thought of."""
        from .plain_values import is_plain  # noqa: PLC0415 - as above

        variables, names = frame.f_locals, self._body.__globals__
        data = [_value_of(name, variables, names) for name in self._plan.data]
        values = [_value_of(name, variables, names) for name in (*self._plan.reads, *self._inner)]
        if any(value is _MISSING for value in data + values) or not (is_plain(data) and is_plain(items)):
            return None
        if self._plan.orders_by_hash and not self._processes.are_forked:
            return None
        return _Iteration(self._body, values, [effect.ownership for effect in self._plan.effects])


class _Iteration:
    """What a worker does with an item: the values of its effects, each with its number; None if it has to run here."""

    def __init__(self, body: Callable[..., None], values: Sequence[Any], ownership: Sequence[Sequence[int]]) -> None:
        self._body, self._values, self._ownership = body, values, ownership

    def __call__(self, item: Any) -> Optional[List[Any]]:
        warnings.showwarning = _note_warning  # type: ignore[assignment]
        del _warnings[:]
        noted: List[Any] = []
        try:
            self._body((item,), noted.append, *self._values)
        except BaseException:  # noqa: BLE001 - it is raised again where it belongs
            return None
        from .plain_values import is_detached  # noqa: PLC0415 - as above

        for number, *values in noted:
            if not all(map(is_detached, values, self._ownership[number])):
                return None
        return None if _warnings else noted


_warnings: List[Any] = []


def _note_warning(*shown: Any) -> None:
    _warnings.append(shown[0])


class _Effects:
    """The values of the effects of the iterations that come next, up to one that has to run here."""

    def __init__(self, outcomes: Iterator[Any]) -> None:
        self._outcomes = outcomes
        self.iterations, self.is_over = 0, False

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                noted = next(self._outcomes).result()
            except StopIteration:
                self.is_over = True
                return
            except Exception:  # noqa: BLE001 - whatever it is, the iteration runs here, and those after it if there is no pool any more
                return
            if noted is None:
                return
            yield from noted
            self.iterations += 1


def _without_main(outcomes: Iterator[Any]) -> Iterator[Any]:
    """The outcomes, from spawned processes that don't run the user's script again: what they need of it comes by value."""
    main: Any = sys.modules["__main__"]
    while True:
        hidden = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
        main.__spec__ = None
        try:
            outcome = next(outcomes, None)
        finally:
            vars(main).update(hidden)
        if outcome is None:
            return
        yield outcome


def _windows(iterable: Any) -> Iterator[Tuple[Sequence[Any], Optional[Exception]]]:
    """The items at once where they are there, else what is read ahead of them; and what reading raised after these."""
    kind = type(iterable)
    if kind in _INDEXED or kind not in _UNSIZED:
        yield iterable if kind in _INDEXED else list(iterable), None
        return
    items: List[Any] = [None]
    iterator, error = iter(iterable), None
    while items and error is None:
        items = []
        try:
            items.extend(itertools.islice(iterator, READ_AHEAD))
        except Exception as raised:  # noqa: BLE001 - it is raised when the loop has come so far
            error = raised
        yield items, error


def _may_have_children() -> bool:
    """Workers of somebody else's pool may not; who has no such pool has not loaded what would say so."""
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing is None or not multiprocessing.current_process().daemon


_MISSING = object()


def _value_of(name: str, variables: Dict[str, Any], names: Dict[str, Any]) -> Any:
    """What a name means to the function, or ``module.name`` to another module; in a main file, that may stand there, too."""
    module, _, rest = name.rpartition(".")
    if module in sys.modules:
        return getattr(sys.modules[module], rest, _MISSING)
    if module:
        return names.get(rest, _MISSING)
    return variables[name] if name in variables else names.get(name, _MISSING)
