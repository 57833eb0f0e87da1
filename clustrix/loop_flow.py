"""Which variables an iteration reads before it has assigned them, which it always assigns, and which are read later.

Execution is followed through the statements in order, with the set of names that certainly have a value of their own.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clustrix.loop_proof import Effect

__all__ = ["Flow", "free_loads", "names_bound"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass
class Flow:
    """``exposed`` collects the loads of ``watched`` names that may come before any assignment, by name.

    ``effects`` (by the identity of their statement) assign nothing here; of them, only the values are evaluated.
    ``forgets`` is a loop after which the names of ``forgotten`` have no value of their own any more.
    """

    watched: set[str]
    effects: Mapping[int, Effect] = field(default_factory=dict)
    forgets: ast.stmt | None = None
    forgotten: frozenset[str] = frozenset()
    exposed: dict[str, ast.Name] = field(default_factory=dict)
    ends: list[set[str]] = field(default_factory=list)  # states at a ``continue`` of the outermost body
    breaks: list[list[set[str]]] = field(default_factory=list)
    continues: list[list[set[str]]] = field(default_factory=list)

    def block(self, statements: Iterable[ast.stmt], have: set[str]) -> set[str] | None:
        """The names that certainly have a value after ``statements``; None if what follows is never reached."""
        state: set[str] | None = set(have)
        for statement in statements:
            if state is None:
                return None
            state = self._statement(statement, state)
        return state

    def _statement(self, node: ast.stmt, have: set[str]) -> set[str] | None:
        if node is self.forgets:
            return have - self.forgotten
        if id(node) in self.effects:
            for value in self.effects[id(node)].values:
                self.expression(value, have)
            return have
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            return self._loop(node, have)
        if isinstance(node, ast.If):
            self.expression(node.test, have)
            return _both(self.block(node.body, have), self.block(node.orelse, have))
        if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self._try(node, have)
        if isinstance(node, ast.With | ast.AsyncWith):
            return self._with(node, have)
        if isinstance(node, ast.Match):
            return self._match(node, have)
        if isinstance(node, ast.Break | ast.Continue):
            self._leave(node, have)
            return None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._check(free_loads(node), have)
            return have | {node.name}
        self._parts(node, have)
        return None if isinstance(node, ast.Return | ast.Raise) else have | names_bound(node)

    def _parts(self, node: ast.stmt, have: set[str]) -> None:
        """What a simple statement evaluates, its targets last."""
        parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        for part in [part for part in parts if part not in targets] + [part for part in parts if part in targets]:
            self.expression(part, have)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self._check([node.target], have)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, have: set[str]) -> set[str] | None:
        is_endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and bool(node.test.value)
        self.expression(node.test if isinstance(node, ast.While) else node.iter, have)
        before: set[str] | None = have
        broken: set[str] | None = None
        for _ in range(2):  # what the first round forgets, the second may read
            inside = set(before or ()) | (set() if isinstance(node, ast.While) else names_bound(node.target))
            self.breaks.append([])
            self.continues.append([])
            end = self.block(node.body, inside)
            for state in self.continues.pop():
                end = _both(end, state)
            for state in self.breaks.pop():
                broken = _both(broken, state)
            before = _both(before, end)
            if isinstance(node, ast.While):
                self.expression(node.test, before or set())
        after = None if is_endless else self.block(node.orelse, before or set())
        return _both(after, broken)

    def _leave(self, node: ast.Break | ast.Continue, have: set[str]) -> None:
        if isinstance(node, ast.Break):
            self.breaks[-1].append(have)
        elif self.continues:
            self.continues[-1].append(have)
        else:
            self.ends.append(have)

    def _try(self, node: Any, have: set[str]) -> set[str] | None:
        start = set(have)
        if self.forgets is not None and any(item is self.forgets for item in ast.walk(node)):
            start -= self.forgotten
        merged = self.block(node.body, have)
        if merged is not None:
            merged = self.block(node.orelse, merged)
        for handler in node.handlers:
            if handler.type is not None:
                self.expression(handler.type, start)
            state = self.block(handler.body, start | ({handler.name} if handler.name else set()))
            merged = _both(merged, state - {handler.name} if state is not None and handler.name else state)
        final = self.block(node.finalbody, start)
        if final is None:
            return None
        return None if merged is None else merged | (final - start)

    def _with(self, node: ast.With | ast.AsyncWith, have: set[str]) -> set[str] | None:
        suppresses = False
        have = set(have)
        for item in node.items:
            self.expression(item.context_expr, have)
            suppresses |= not ast.unparse(item.context_expr).startswith("open(")
            if item.optional_vars is not None:
                have |= names_bound(item.optional_vars)
        end = self.block(node.body, have)
        return have if suppresses else end

    def _match(self, node: ast.Match, have: set[str]) -> set[str] | None:
        self.expression(node.subject, have)
        last = node.cases[-1]
        takes_all = last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        merged: set[str] | None = None if takes_all else set(have)
        for case in node.cases:
            inside = have | names_bound(case.pattern)
            if case.guard is not None:
                self.expression(case.guard, inside)
            merged = _both(merged, self.block(case.body, inside))
        return merged

    def expression(self, node: ast.AST, have: set[str], hidden: frozenset[str] = frozenset()) -> None:
        """Follow an expression; ``:=`` adds to ``have`` where it is certain to be evaluated."""
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load) and node.id not in hidden:
                self._check([node], have)
        elif isinstance(node, ast.NamedExpr):
            self.expression(node.value, have, hidden)
            have.add(node.target.id)
        elif isinstance(node, ast.BoolOp | ast.IfExp):
            first, *rest = node.values if isinstance(node, ast.BoolOp) else [node.test, node.body, node.orelse]
            self.expression(first, have, hidden)
            maybe = set(have)
            for part in rest:
                self.expression(part, maybe if isinstance(node, ast.BoolOp) else set(have), hidden)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node, set(have), hidden)
        elif isinstance(node, ast.Lambda):
            self._check(free_loads(node, hidden), have)
        else:
            for child in ast.iter_child_nodes(node):
                self.expression(child, have, hidden)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, have: set[str], hidden: frozenset[str]
    ) -> None:
        for generator in node.generators:
            self.expression(generator.iter, have, hidden)
            hidden |= names_bound(generator.target)
            for condition in generator.ifs:
                self.expression(condition, have, hidden)
        for result in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.expression(result, have, hidden)

    def _check(self, loads: Iterable[ast.Name], have: set[str]) -> None:
        for node in loads:
            if node.id in self.watched and node.id not in have:
                self.exposed.setdefault(node.id, node)


def free_loads(node: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[ast.Name]:
    """The names that are read in ``node`` and are not variables of a comprehension, a lambda or a function in it."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in hidden:
            yield node
        return
    if isinstance(node, _COMPREHENSIONS):
        for generator in node.generators:
            yield from free_loads(generator.iter, hidden)
            hidden |= names_bound(generator.target)
        parts: list[ast.AST] = [condition for generator in node.generators for condition in generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    elif isinstance(node, _SCOPES) and not isinstance(node, ast.ClassDef):
        for default in [*node.args.defaults, *node.args.kw_defaults, *getattr(node, "decorator_list", [])]:
            if default is not None:
                yield from free_loads(default, hidden)
        hidden |= {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
        parts = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        if not isinstance(node, ast.Lambda):
            declared = {name for item in ast.walk(node) if isinstance(item, ast.Nonlocal) for name in item.names}
            hidden |= frozenset().union(*(names_bound(part) for part in parts)) - declared
    else:
        parts = list(ast.iter_child_nodes(node))
    for inner in parts:
        yield from free_loads(inner, hidden)


def names_bound(node: ast.AST) -> frozenset[str]:
    """The names that a statement, a target or a pattern binds, without the scopes nested in it."""
    found: set[str] = set()
    pending: list[ast.AST] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
        elif isinstance(item, ast.alias):
            found.add(item.asname or item.name.partition(".")[0])
        elif isinstance(item, ast.NamedExpr):
            pass  # where it is evaluated is followed with the expression
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(item.name)
            continue
        elif isinstance(item, ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            name = item.rest if isinstance(item, ast.MatchMapping) else item.name
            found |= {name} if name else set()
        if isinstance(item, (*_COMPREHENSIONS, ast.Lambda, ast.NamedExpr)):
            continue
        pending += ast.iter_child_nodes(item)
    return frozenset(found)


def _both(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    """The names that have a value whichever way was taken."""
    if one is None or other is None:
        return other if one is None else one
    return one & other
