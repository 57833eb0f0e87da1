"""Proves that the iterations of a loop do not depend on each other, or says which line and name stand against it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from clustrix.known_calls import FUNCTION, HANDLE, ITERATOR
from clustrix.loop_effects import Found, accumulated_names, find_effects
from clustrix.loop_flow import Flow, names_bound
from clustrix.loop_frame import Frame, Refused
from clustrix.loop_proof import Effect, LoopProof, Ownership, Refusal
from clustrix.loop_targets import Place, can_fail, check_target
from clustrix.loop_values import value_of
from clustrix.purity import Helpers, bind_elements, settle
from clustrix.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["prove"]

_SEES_ALL = frozenset(("locals", "globals", "vars", "eval", "exec", "dir"))


def prove(
    tree: ast.FunctionDef | ast.AsyncFunctionDef,
    loop: ast.For,
    namespace: Mapping[str, Any],
    helpers: Helpers | None = None,
) -> LoopProof | Refusal:
    """Whether ``loop``, a node within the function's ``tree``, may have its iterations computed side by side.

    ``namespace`` is what the function finds outside itself (``surroundings.namespace_of``).
    """
    try:
        return _proof(tree, loop, Surroundings(tree, namespace), helpers or Helpers())
    except Refused as refused:
        return Refusal(refused.line or loop.lineno, refused.name, refused.reason)
    except RecursionError:
        return Refusal(loop.lineno, "", "it is too involved")


def _proof(
    tree: ast.FunctionDef | ast.AsyncFunctionDef, loop: ast.For, around: Surroundings, helpers: Helpers
) -> LoopProof:
    _check_function(tree)
    _check_shape(loop)
    header = Frame(around, helpers)
    _check_header(loop, header)
    found = find_effects(loop.body, accumulated_names([loop], around.own))
    _check_mentions(loop, found)
    effects_by_node = {id(item.node): item for item in found}
    frame = Frame(around, helpers)
    bind_elements(loop.target, loop.iter, frame)
    frame.reads, frame.globals_read = set(), set()
    ownership: dict[int, Ownership] = {}

    def replayed(statement: ast.stmt) -> bool:
        effect = effects_by_node.get(id(statement))
        if effect is None:
            return False
        for value in effect.values:
            known = value_of(value, frame)
            if known.kind == FUNCTION:
                text = ast.unparse(value)
                raise Refused(value, text, f"{text!r} is a function that is kept: who calls it is not seen")
            ownership[id(value)] = min(known.ownership, ownership.get(id(value), known.ownership))
        return True

    settle(loop.body, frame, replayed)
    effects = tuple(_effect(item, ownership) for item in found)
    _check_held(found, ownership)
    assigned = {name for statement in [loop.target, *loop.body] for name in _bound_within(statement)} - {
        name for item in found for name in item.targets
    }
    always = _check_flow(loop, assigned, {id(item.node): item for item in effects})
    place = Place(tree, loop, lambda: Frame(around, helpers))
    looked_at = {
        name for name in sorted({n for item in found for n in item.targets}) if check_target(found, name, place)
    }
    scratch = frozenset(assigned - always)
    _check_later_reads(tree, loop, scratch)
    _check_caught(loop, found, place)
    if _is_guarded(place) and any(can_fail(item, place) for item in found):
        _check_reads_after_failure(tree, loop, frozenset(assigned))
    reads = frozenset(frame.reads - assigned)
    _check_iterators(tree, loop, reads | frozenset(header.reads), around, helpers)
    return LoopProof(
        loop,
        reads,
        frozenset(always),
        scratch,
        effects,
        must_be_plain=reads | frozenset(header.reads) | frozenset(looked_at),
        globals_read=frozenset(frame.globals_read | header.globals_read),
        helpers_read=frozenset(helpers.reads | frame.helpers_read),
        orders_by_hash=frame.orders_by_hash or helpers.orders_by_hash,
    )


def _check_function(tree: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if isinstance(tree, ast.AsyncFunctionDef):
        raise Refused(tree, tree.name, f"{tree.name!r} has to be awaited")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SEES_ALL:
            raise Refused(
                node, node.func.id, f"{node.func.id!r} sees all variables of the function, those of the loop too"
            )
        if isinstance(node, ast.Nonlocal | ast.Global):
            word = type(node).__name__.lower()
            raise Refused(node, node.names[0], f"{node.names[0]!r} is {word}: others may read it while the loop runs")


def _check_shape(loop: ast.For) -> None:
    if loop.orelse:
        raise Refused(loop.orelse[0], "", "the loop has an 'else'")
    pending: list[tuple[ast.AST, bool]] = [(item, True) for item in loop.body]
    while pending:
        node, is_own = pending.pop(0)
        if isinstance(node, ast.Return):
            raise Refused(node, "", "'return' ends the loop, so an iteration runs only if none before it got there")
        if isinstance(node, ast.Break) and is_own:
            raise Refused(node, "", "'break' ends the loop, so an iteration runs only if none before it got there")
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise Refused(node, "", "'yield' hands over in the middle of an iteration")
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            raise Refused(node, "", "'await' lets others run in the middle of an iteration")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        inner_own = is_own and not isinstance(node, ast.For | ast.While)
        pending[:0] = [(part, inner_own) for part in ast.iter_child_nodes(node)]


def _check_header(loop: ast.For, frame: Frame) -> None:
    for node in ast.walk(loop.target):
        if isinstance(node, ast.Attribute | ast.Subscript):
            raise Refused(
                loop, ast.unparse(node), f"the loop's variable is {ast.unparse(node)!r}, which others may know"
            )
    if value_of(loop.iter, frame).kind in (ITERATOR, HANDLE):
        raise Refused(
            loop,
            ast.unparse(loop.iter),
            f"{ast.unparse(loop.iter)!r} makes its items as the loop takes them: make a list of it first",
        )
    if frame.made:
        raise Refused(loop, next(iter(frame.made)), "the loop's head assigns a variable")


def _check_mentions(loop: ast.For, found: list[Found]) -> None:
    """What the effects change may be read by nothing but them."""
    targets = {name for item in found for name in item.targets}
    own = {id(node) for item in found for node in item.mentions}
    lines = {name: item.node.lineno for item in reversed(found) for name in item.targets}
    for node in ast.walk(loop):
        if isinstance(node, ast.Name) and node.id in targets and id(node) not in own:
            raise Refused(
                node, node.id,
                f"{node.id!r} is read, and an earlier iteration may have changed it (line {lines[node.id]})",
            )  # fmt: skip


def _bound_within(node: ast.AST) -> frozenset[str]:
    walrus = {item.target.id for item in ast.walk(node) if isinstance(item, ast.NamedExpr)}
    return names_bound(node) | walrus


def _check_flow(loop: ast.For, assigned: set[str], effects: Mapping[int, Effect]) -> set[str]:
    """The names that each iteration assigns, none of which it reads before."""
    flow = Flow(assigned, effects)
    end = flow.block(loop.body, set(names_bound(loop.target)))
    for name, node in sorted(flow.exposed.items(), key=lambda item: item[1].lineno):
        raise Refused(
            node, name, f"{name!r} is read before it is assigned: an iteration needs what the one before it left"
        )
    states = [*flow.ends, *([end] if end is not None else [])]
    return set.intersection(*states) & assigned if states else set(names_bound(loop.target))


def _effect(found: Found, ownership: Mapping[int, Ownership]) -> Effect:
    levels = []
    for value in found.values:
        level = ownership[id(value)]
        if any(value is key for key in found.keys):
            level = Ownership.KEY
        elif found.takes_contents:
            level = max(level, Ownership.SHELL)
        levels.append(level)
    return Effect(found.kind, found.targets, found.node, tuple(found.values), tuple(levels), found.operator)


def _check_held(found: list[Found], ownership: Mapping[int, Ownership]) -> None:
    """What the target holds at a depth where something is changed must be made for it."""
    for item in found:
        deepest = max(other.level for other in found if other.targets == item.targets)
        for value, level in item.stored:
            if level <= deepest and ownership[id(value)] is not Ownership.OWNED:
                raise Refused(
                    value, item.targets[0],
                    f"{ast.unparse(value)!r} is kept in {item.targets[0]!r}, and what that holds is changed: it may be what the loop reads",
                )  # fmt: skip


def _check_later_reads(tree: ast.AST, loop: ast.For, scratch: frozenset[str]) -> None:
    """A name that not every iteration assigns keeps an earlier value, which nobody may read."""
    flow = Flow(set(scratch), forgets=loop, forgotten=scratch)
    flow.block(tree.body, set(scratch))  # type: ignore[attr-defined]
    for name, node in sorted(flow.exposed.items(), key=lambda item: item[1].lineno):
        raise Refused(node, name, f"{name!r} is read after the loop, and not every iteration assigns it")


def _check_caught(loop: ast.For, found: list[Found], place: Place) -> None:
    """An effect that fails when it is replayed fails outside of the ``try`` that it stands in."""
    caught: set[ast.AST] = set()
    for node in ast.walk(loop):
        if isinstance(node, ast.Try):
            parts = node.body if not node.finalbody else [node]
            caught |= {item for part in parts for item in ast.walk(part)}
        elif isinstance(node, ast.With):
            caught |= {item for part in node.body for item in ast.walk(part) if not _only_opens(node)}
    for item in found:
        if item.node in caught and can_fail(item, place):
            name, text = item.targets[0], ast.unparse(item.node)
            raise Refused(
                item.node,
                name,
                f"{text!r} may fail within the 'try', and changes {name!r}: put it behind, into an 'else'",
            )


def _only_opens(node: ast.With) -> bool:
    """Files let every exception through."""
    return all(ast.unparse(item.context_expr).startswith("open(") for item in node.items)


def _is_guarded(place: Place) -> bool:
    """Whether the function goes on when the loop fails."""
    return any(
        isinstance(owner, ast.Try | ast.With) or type(owner).__name__ == "TryStar" for _, _, owner in place.enclosing()
    )


def _check_reads_after_failure(tree: ast.AST, loop: ast.For, names: frozenset[str]) -> None:
    """An effect that fails when it is replayed can't leave the variables as its iteration had them then."""
    flow = Flow(set(names), forgets=loop, forgotten=names)
    flow.block(tree.body, set(names))  # type: ignore[attr-defined]
    for name, node in sorted(flow.exposed.items(), key=lambda item: item[1].lineno):
        raise Refused(
            node,
            name,
            f"{name!r} is read here, also if the loop fails: then it is known only by running the loop as it is",
        )


def _check_iterators(
    tree: ast.AST, loop: ast.For, names: frozenset[str], around: Surroundings, helpers: Helpers
) -> None:
    """What one iteration takes from an iterator from before the loop, the next one misses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call | ast.GeneratorExp):
            given: list[tuple[ast.expr, ast.expr]] = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.With):
            given = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars is not None]
        else:
            continue
        for target, value in given:
            name = target.id if isinstance(target, ast.Name) else ""
            if name in names and _is_used_up(value, Frame(around, helpers)):
                raise Refused(
                    loop,
                    name,
                    f"{name!r} changes as it is used (line {node.lineno}): what one iteration takes from it, the next one misses",
                )


def _is_used_up(node: ast.expr, frame: Frame) -> bool:
    try:
        return value_of(node, frame).kind in (ITERATOR, HANDLE)
    except Refused:
        return False  # what it is shows when the loop runs
