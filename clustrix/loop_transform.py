"""Which loops of a function run in parallel, planned for whoever runs it: a job, or this process.

Only the function's own loops are looked at; those of functions that it calls run as they are. What the plan becomes is in
``remote/loops.py``.
"""

from __future__ import annotations

import ast
import copy
import inspect
import logging
import weakref
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clustrix.errors import PackagingError
from clustrix.loop_analysis import are_current, proofs_of
from clustrix.loop_proof import LoopProof, Refusal
from clustrix.native_calls import native_call
from clustrix.remote.loop_plan import EffectPlan, FunctionPlan, LoopPlan
from clustrix.remote.loop_runs import Processes
from clustrix.remote.loops import loops_of, statements_of, with_parallel_loops
from clustrix.source import own_source, plain_function, submitted
from clustrix.surroundings import namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from clustrix.remote.loop_plan import Path, Wish

__all__ = ["FunctionLoops", "function_plan", "loops_in", "running_here"]

_log = logging.getLogger("clustrix")


@dataclass(frozen=True)
class FunctionLoops:
    """The loops of a function: ``plans`` of those that are proven, by line, and why the others stay as they are."""

    plans: dict[int, LoopPlan]
    refusals: tuple[Refusal, ...]


def function_plan(function: Callable[..., Any], wish: Wish) -> FunctionPlan | None:
    """The plan of a function's loops; None if it has no proven ones, which is logged once where it was asked for."""
    loops = loops_in(function)
    if loops.plans:
        return FunctionPlan(submitted(function).__code__.co_name, list(loops.plans.values()), wish)
    if wish.is_asked:
        _say_why(function, loops)
    return None


def running_here(function: Callable[..., Any], wish: Wish, processes: Processes | None = None) -> Callable[..., Any]:
    """The function as it is called in this process: with its loops in parallel, if it has such."""
    plan = function_plan(function, wish)
    if plan is None:
        return function
    plain = submitted(function)
    known = _known[plain]
    how = (wish, processes)
    if how not in known.made:
        definition = copy.deepcopy(known.node)
        known.made[how] = with_parallel_loops(plain, definition, plan, processes or _processes())
    return known.made[how]


def loops_in(function: Callable[..., Any]) -> FunctionLoops:
    """What is known of the loops of a function, as what it refers to is now."""
    plain = submitted(function)
    if not isinstance(plain, FunctionType):
        return FunctionLoops({}, (Refusal(0, "", "it is an object around a function"),))
    known = _known.get(plain)
    if known is None or not are_current(known.verdicts, plain):
        try:
            verdicts, node = proofs_of(plain), own_source(plain).node
        except PackagingError as error:
            return FunctionLoops({}, (Refusal(0, "", str(error)),))
        known = _known[plain] = _Known(node, verdicts, _planned(plain, node, verdicts))
    return known.loops


@dataclass(frozen=True)
class _Known:
    node: Any
    verdicts: dict[ast.For, LoopProof | Refusal]
    loops: FunctionLoops
    made: dict[Any, FunctionType] = field(default_factory=dict)


_known: weakref.WeakKeyDictionary[FunctionType, _Known] = weakref.WeakKeyDictionary()
_explained: weakref.WeakSet[FunctionType] = weakref.WeakSet()


def _planned(function: FunctionType, node: Any, verdicts: dict[ast.For, LoopProof | Refusal]) -> FunctionLoops:
    """The outermost loops that can be are planned; of those within one that can't, each runs many times, but may be worth it."""
    reason = _kept_whole(function, node)
    if reason is not None:
        return FunctionLoops({}, tuple(Refusal(loop.lineno, "", reason) for loop in verdicts))
    plans: dict[int, LoopPlan] = {}
    refusals: list[Refusal] = []
    taken: set[ast.AST] = set()
    for loop, verdict in verdicts.items():
        if loop in taken:
            continue
        found = _plan(function, node, verdict) if isinstance(verdict, LoopProof) else verdict
        if isinstance(found, LoopPlan):
            plans[loop.lineno] = found
            taken |= set(ast.walk(loop))
        else:
            refusals.append(found)
    return FunctionLoops(plans, tuple(refusals))


def _kept_whole(function: FunctionType, node: Any) -> str | None:
    """Why none of a function's loops is touched."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return f"{function.__name__} is a generator: what its caller does comes between"
    for item in ast.walk(node):
        name = item.id if isinstance(item, ast.Name) else item.attr if isinstance(item, ast.Attribute) else ""
        if name.startswith("__") and not name.endswith("__") and "." in function.__qualname__:
            return f"{name} is a name that only the class has"
    return "it has type parameters" if getattr(node, "type_params", None) else None


def _plan(function: FunctionType, node: Any, proof: LoopProof) -> LoopPlan | Refusal:
    loop = proof.node
    native = native_call(loop, node, namespace_of(function))
    if native:
        words = f"{native!r} uses all cores by itself, and with fewer what it gives may differ in the last bit"
        return Refusal(loop.lineno, native, words)
    later = _read_later(node, loop) - proof.targets
    if later:
        around = _may_go_on_after_an_error(node, loop)
        if around is not None:
            words = f"{min(later)!r} is read after the loop, and what is around it (line {around.lineno}) may go on after an error"
            return Refusal(loop.lineno, min(later), words)
    numbers = {statement: number for number, statement in enumerate(statements_of(loop))}
    effects = [
        EffectPlan(
            numbers[effect.node],
            effect.node.lineno - loop.lineno,
            type(effect.node).__name__,
            [_path(effect.node, value) for value in effect.values],
            [int(item) for item in effect.ownership],
        )
        for effect in proof.effects
    ]
    data = sorted(proof.must_be_plain | proof.globals_read | proof.helpers_read)
    number = loops_of(node).index(loop)
    return LoopPlan(number, effects, sorted(proof.reads), data, bool(later), proof.orders_by_hash)


def _read_later(node: Any, loop: ast.For) -> set[str]:
    """The variables of a loop that are read elsewhere in the function."""
    within = set(ast.walk(loop)) - {inner for statement in loop.orelse for inner in ast.walk(statement)}
    assigned = {item.id for item in within if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    read = {
        item.id
        for item in ast.walk(node)
        if isinstance(item, ast.Name) and item not in within and not isinstance(item.ctx, ast.Store)
    }
    changed = {
        item.target.id
        for item in ast.walk(node)
        if isinstance(item, ast.AugAssign) and isinstance(item.target, ast.Name) and item not in within
    }
    return assigned & (read | changed)


def _may_go_on_after_an_error(node: Any, loop: ast.For) -> ast.stmt | None:
    """What stands around a loop and may catch what an iteration raises."""
    for item in ast.walk(node):
        is_catching = isinstance(item, ast.With | ast.AsyncWith) or type(item).__name__ in ("Try", "TryStar")
        if is_catching and any(inner is loop for inner in ast.walk(item)):
            return item  # type: ignore[return-value]
    return None


def _path(statement: ast.AST, value: ast.expr) -> Path:
    for name, content in ast.iter_fields(statement):
        children = (
            [(None, content)]
            if isinstance(content, ast.AST)
            else enumerate(content)
            if isinstance(content, list)
            else ()
        )
        for index, child in children:
            if child is value:
                return [(name, index)]
            if isinstance(child, ast.AST):
                inner = _path(child, value)
                if inner:
                    return [(name, index), *inner]
    return []


def _say_why(function: Callable[..., Any], loops: FunctionLoops) -> None:
    plain = plain_function(function)
    if plain in _explained:
        return
    _explained.add(plain)
    reasons = "; ".join(map(str, loops.refusals)) or "it has no for loop of its own"
    _log.warning("%s (%s) runs without parallel loops: %s", plain.__qualname__, plain.__code__.co_filename, reasons)


def _processes() -> Processes:
    if Processes().are_forked:
        return Processes()
    import cloudpickle  # noqa: PLC0415 - forked processes need nothing pickled

    return Processes(None, cloudpickle.Pickler)
