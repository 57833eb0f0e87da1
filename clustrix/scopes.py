"""Which names a definition reads from outside itself, and when: as it is executed, or as it is called.

Python's own ``symtable`` answers differently from version to version (inlined comprehensions, annotation scopes), and
a package must not depend on the client's Python; so the rules of scoping are applied to the syntax tree here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NamesRead", "bound_in", "names_read", "variables_around"]

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BLOCK_PARTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class NamesRead:
    """``early``: when the statement is executed (decorators, defaults, bases, class bodies); ``late``: when called.

    ``hints`` are names that only unevaluated annotations have, ``assigned`` globals that are given a value when called,
    ``rebound`` names which a ``nonlocal`` in the text takes from a scope outside of it.
    """

    early: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    hints: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)
    rebound: set[str] = field(default_factory=set)

    @property
    def all(self) -> set[str]:
        return self.early | self.late


def names_read(statement: ast.stmt, *, postponed_annotations: bool = False) -> NamesRead:
    """The names that a statement needs from its module (or builtins); ``postponed_annotations`` as in PEP 563."""
    reader = _Reader(postponed_annotations)
    reader.visit(statement)
    return reader.found


def bound_in(body: Iterable[ast.AST]) -> set[str]:
    """The names that the statements of one scope bind."""
    return _bindings(body)[0]


def variables_around(definitions: Iterable[ast.stmt]) -> set[str]:
    """The variables of those of ``definitions`` that are functions, each within the one before it."""
    found: set[str] = set()
    for node in definitions:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bound, declared, _ = _bindings(node.body)
            found |= bound | {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
            found -= declared
    return found


@dataclass
class _Scope:
    kind: str  # "function", "class", "comprehension", or "types": the parameters in brackets of 3.12
    bound: set[str] = field(default_factory=set)
    from_module: set[str] = field(default_factory=set)  # declared global
    bound_later: set[str] = field(default_factory=set)  # by a class: until then they are the module's
    class_name: str = ""


class _Reader(ast.NodeVisitor):
    def __init__(self, postponed: bool) -> None:
        self.found = NamesRead()
        self.postponed = postponed
        self.scopes: list[_Scope] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.found.assigned.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        outer = [scope for scope in self.scopes[:-1] if scope.kind == "function"]
        self.found.rebound.update(name for name in node.names if not any(name in scope.bound for scope in outer))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._with_type_parameters(node, lambda: self._function(node, node.args, node.body))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._with_type_parameters(node, lambda: self._function(node, node.args, node.body))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, node.args, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._with_type_parameters(node, lambda: self._class(node))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        in_function = bool(self.scopes) and self.scopes[-1].kind == "function"
        self._annotation(node.annotation, evaluated=not (in_function or self.postponed))
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def _function(self, node: ast.AST, arguments: ast.arguments, body: Iterable[ast.AST]) -> None:
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None:
                self.visit(default)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
        for annotation in [*(argument.annotation for argument in every), getattr(node, "returns", None)]:
            if annotation is not None:
                self._annotation(annotation, evaluated=not self.postponed)
        body = list(body)
        bound, declared, free = _bindings(body)
        scope = _Scope("function", bound | {argument.arg for argument in every}, declared)
        scope.bound -= declared | free
        self.scopes.append(scope)
        for item in body:
            self.visit(item)
        self.scopes.pop()

    def _class(self, node: ast.ClassDef) -> None:
        for expression in [*node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(expression)
        scope = _Scope("class", bound_later=_bindings(node.body)[0], class_name=node.name)
        self.scopes.append(scope)
        self._class_statements(node.body, scope)
        self.scopes.pop()

    def _class_statements(self, body: Iterable[ast.AST], scope: _Scope) -> None:
        """A name is the class's own after the statement that binds it; before, it is the module's."""
        for item in body:
            inner: list[ast.AST] = []
            if isinstance(item, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(item, _DEFINITIONS):
                inner = [child for child in ast.iter_child_nodes(item) if isinstance(child, _BLOCK_PARTS)]
            head = [child for child in ast.iter_child_nodes(item) if child not in inner] if inner else [item]
            for part in head:
                self.visit(part)
            bound, declared, free = _bindings(head)
            if isinstance(item, ast.ExceptHandler) and item.name:
                bound.add(item.name)
            scope.from_module |= declared
            scope.bound |= bound - declared - free
            self._class_statements(inner, scope)

    def _comprehension(self, generators: list[ast.comprehension], results: list[ast.expr]) -> None:
        self.visit(generators[0].iter)
        targets, _, _ = _bindings([generator.target for generator in generators])
        self.scopes.append(_Scope("comprehension", targets))
        for index, generator in enumerate(generators):
            for part in [*generator.ifs, *([generator.iter] if index else []), generator.target]:
                self.visit(part)
        for result in results:
            self.visit(result)
        self.scopes.pop()

    def _with_type_parameters(self, node: ast.AST, visit: Callable[[], None]) -> None:
        parameters = getattr(node, "type_params", [])
        self.scopes.append(_Scope("types", {parameter.name for parameter in parameters}))
        for parameter in parameters:
            for part in ast.iter_child_nodes(parameter):
                self.visit(part)
        visit()
        self.scopes.pop()

    def _annotation(self, node: ast.expr, *, evaluated: bool) -> None:
        if evaluated:
            self.visit(node)
            return
        kept, self.found = self.found, NamesRead()
        self.visit(node)
        hints, self.found = self.found.all, kept
        self.found.hints |= hints

    def _read(self, name: str) -> None:
        innermost, called = True, False
        spelled = self._mangled(name)
        for scope in reversed(self.scopes):
            called = called or scope.kind == "function"
            if scope.kind == "class":
                if name == "__class__" and called:
                    return
                if innermost and name in scope.bound:
                    return
                if innermost and name in scope.bound_later:
                    break
            elif name in scope.from_module:
                break
            elif name in scope.bound:
                return
            innermost = innermost and scope.kind == "types"
        when_called = any(scope.kind == "function" for scope in self.scopes)
        (self.found.late if when_called else self.found.early).add(spelled)

    def _mangled(self, name: str) -> str:
        """``__x`` within class C is ``_C__x``."""
        if name.startswith("__") and not name.endswith("__"):
            for scope in reversed(self.scopes):
                if scope.class_name.strip("_"):
                    return f"_{scope.class_name.lstrip('_')}{name}"
        return name


def _bindings(nodes: Iterable[ast.AST]) -> tuple[set[str], set[str], set[str]]:
    """Names bound, declared global, and declared nonlocal in one scope, without the scopes nested in it."""
    bound: set[str] = set()
    declared: set[str] = set()
    free: set[str] = set()
    pending = [(node, False) for node in nodes]
    while pending:
        node, in_comprehension = pending.pop()
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and not in_comprehension:
                bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            pending += [(item, in_comprehension) for item in _evaluated_outside(node)]
            continue
        elif isinstance(node, ast.Lambda):
            pending += [(item, in_comprehension) for item in _evaluated_outside(node)]
            continue
        elif isinstance(node, ast.NamedExpr):
            bound.add(node.target.id)  # also from within a comprehension
            pending.append((node.value, in_comprehension))
            continue
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Global):
            declared.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            free.update(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)
        inside = in_comprehension or isinstance(node, _COMPREHENSIONS)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]
    return bound, declared, free


def _evaluated_outside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda) -> list[ast.expr]:
    """What of a nested scope is evaluated in the scope around it, where ``:=`` may bind names."""
    decorators = getattr(node, "decorator_list", [])
    if isinstance(node, ast.ClassDef):
        return [*decorators, *node.bases, *(keyword.value for keyword in node.keywords)]
    return [*decorators, *node.args.defaults, *(item for item in node.args.kw_defaults if item is not None)]
