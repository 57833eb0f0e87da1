"""Gives a function's proven loops a second way to run: some of their iterations in other processes, their effects here.

The client says which loops are proven, and which statements of them have effects. A loop becomes

    for _clustrix_plain, _clustrix_effects in <the loop's run>(iterable):
        for i in _clustrix_plain:               # as the user wrote it: iterations that run here
            ...
        for _clustrix_values in _clustrix_effects:      # iterations that ran elsewhere: their effects, by the same statements
            ...

and its body, once more, a function that notes the values of these effects. All of it is made of the function's own syntax
tree, so every statement keeps its line, and nothing is written anywhere: a package stays as it is.
"""

import __future__

import ast
import copy
import functools
import sys
import tokenize
import types
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .loop_plan import EffectPlan, FunctionPlan, LoopPlan, Path
from .loop_runs import Loop, Processes

__all__ = ["MismatchError", "as_planned", "find_definition", "loops_of", "statements_of", "with_parallel_loops"]


class MismatchError(ValueError):
    """The function is not the one that the plan was made for."""


def as_planned(function: Any, data: Sequence[Any]) -> Any:
    """In a job: the function with its loops as the client planned them, whose FunctionPlan ``data`` was; else as it is."""
    plan = FunctionPlan.of(data)
    if not isinstance(function, types.FunctionType) or function.__code__.co_name != plan.name:
        return function
    try:
        with tokenize.open(function.__code__.co_filename) as stream:
            tree = ast.parse(stream.read())
        return with_parallel_loops(function, find_definition(function, tree), plan, Processes())
    except (OSError, SyntaxError, MismatchError) as error:
        sys.stderr.write("clustrix: the loops of %s run as they are: %s\n" % (plan.name, error))
        return function


def find_definition(function: types.FunctionType, tree: ast.AST) -> Any:
    """The definition in a file's ``tree`` that the function was compiled from."""
    code = function.__code__
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            if first == code.co_firstlineno:
                return node
    raise MismatchError("%s has no definition in line %d" % (code.co_name, code.co_firstlineno))


def with_parallel_loops(
    function: types.FunctionType, definition: Any, plan: FunctionPlan, processes: Processes
) -> types.FunctionType:
    """The function, made anew of its ``definition`` (which is changed): the planned loops run as the plan wishes.

    Raises MismatchError where the definition is not what was planned for.
    """
    code, found = function.__code__, loops_of(definition)
    names: List[str] = []
    bodies: List[ast.stmt] = []
    inner: List[List[str]] = []
    try:
        for loop_plan in plan.loops:
            loop, name = found[loop_plan.number], "_clustrix_loop_%d" % loop_plan.number
            names.append(name)
            inner.append(_read_of(loop, set(code.co_freevars) - set(loop_plan.reads)))
            bodies.append(_body(code.co_name, loop, loop_plan, [*loop_plan.reads, *inner[-1]]))
            _replace(definition, loop, _rounds(loop, loop_plan, name))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise MismatchError("%s: %s" % (code.co_name, error)) from error
    around = _parsed("def _clustrix_around(%s): pass" % ", ".join([*names, *code.co_freevars]), definition)[0]
    definition.decorator_list, definition.returns = [], None
    around.body = [definition]
    outer, *compiled = _compiled(code, [around, *bodies])
    runs: Dict[str, Any] = {}
    for name, loop_plan, read, inner_code in zip(names, plan.loops, inner, compiled):
        body = types.FunctionType(inner_code, function.__globals__)
        runs[name] = Loop(loop_plan, body, read, plan.wish, processes).begin
    return _made(function, _named(outer, code.co_name), runs)


def loops_of(definition: ast.AST) -> List[ast.For]:
    """The loops of a function, in an order that is the same for every Python."""
    return [node for node in ast.walk(definition) if isinstance(node, ast.For)]


def _read_of(loop: ast.For, names: Set[str]) -> List[str]:
    return sorted({node.id for node in ast.walk(loop) if isinstance(node, ast.Name)} & names)


def _body(name: str, loop: ast.For, plan: LoopPlan, reads: Sequence[str]) -> Any:
    """The body as a function of its items; what would have effects is noted: the effect's number and its values."""
    text = "def %s(_clustrix_items, _clustrix_note, %s):\n for _ in _clustrix_items: pass" % (name, ", ".join(reads))
    made = _parsed(text, loop)[0]
    loop = copy.deepcopy(loop)
    statements = statements_of(loop)
    for number, effect in enumerate(plan.effects):
        node = _planned(loop, statements, effect)
        note = _parsed("_clustrix_note((%d,))" % number, node)[0]
        note.value.args[0].elts += [_at(node, path)[2] for path in effect.values]
        _replace(loop, node, [note])
    loop.iter, loop.orelse = made.body[0].iter, []
    made.body[0] = loop
    return made


def _rounds(loop: ast.For, plan: LoopPlan, name: str) -> List[ast.stmt]:
    """What stands in the loop's place; see above."""
    text = (
        "for _clustrix_plain, _clustrix_effects in %s(None):\n pass\n for _clustrix_values in _clustrix_effects: pass\n"
    )
    made = _parsed(text % name + "_clustrix_plain = _clustrix_effects = _clustrix_values = None", loop)
    after = copy.deepcopy(loop)
    statements = statements_of(after)
    effects: List[ast.stmt] = [ast.copy_location(ast.Pass(), loop)]
    for number, effect in reversed(list(enumerate(plan.effects))):
        node = _planned(after, statements, effect)
        for position, path in enumerate(effect.values, 1):
            value = _parsed("_clustrix_values[%d]" % position, _at(node, path)[2])[0].value
            _put(node, path, value)
        choice = _parsed("if _clustrix_values[0] == %d: pass" % number, node)[0]
        choice.body, choice.orelse = [node], effects
        effects = [choice]
    outer, replay = made[0], made[0].body[1]
    replay.body = effects
    outer.iter.args[0], loop.iter = loop.iter, ast.copy_location(ast.Name("_clustrix_plain", ast.Load()), loop.iter)
    outer.body[0] = loop
    made += loop.orelse
    loop.orelse = []
    return made


def statements_of(loop: ast.For) -> List[ast.stmt]:
    """The statements within a loop, without bare annotations: where Python is old, some may have been added."""
    found = [node for node in ast.walk(loop) if isinstance(node, ast.stmt) and node is not loop]
    return [node for node in found if not (isinstance(node, ast.AnnAssign) and node.value is None)]


def _planned(loop: ast.For, statements: List[ast.stmt], effect: EffectPlan) -> ast.stmt:
    node = statements[effect.statement]
    if type(node).__name__ != effect.kind or node.lineno - loop.lineno != effect.line:
        raise MismatchError("line %d is not the planned one" % node.lineno)
    return node


def _at(node: ast.AST, path: Path) -> Tuple[Any, Tuple[str, Optional[int]], Any]:
    """What a path leads to: the node that holds it, field and index there, and the expression itself."""
    holder: Any = node
    found: Any = node
    for field, index in path:
        holder = found
        found = getattr(holder, field) if index is None else getattr(holder, field)[index]
        if type(found).__name__ == "Index":  # before Python 3.9
            holder, field, index, found = found, "value", None, found.value  # noqa: PLW2901
        last = (field, index)
    return holder, last, found


def _put(node: ast.AST, path: Path, value: ast.expr) -> None:
    holder, (field, index), _ = _at(node, path)
    if index is None:
        setattr(holder, field, value)
    else:
        getattr(holder, field)[index] = value


def _replace(tree: ast.AST, node: ast.stmt, others: Sequence[ast.stmt]) -> None:
    for holder in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(holder, field, None)
            if isinstance(block, list) and any(item is node for item in block):
                position = next(number for number, item in enumerate(block) if item is node)
                block[position : position + 1] = others
                return
    raise MismatchError("line %d stands in no block" % node.lineno)


def _parsed(text: str, place: Any) -> List[Any]:
    """The statements of a text, all of them where ``place`` is."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        ast.copy_location(node, place)
    return list(tree.body)


def _compiled(code: types.CodeType, definitions: Sequence[ast.stmt]) -> List[types.CodeType]:
    """The code of each of these functions, with the file and the future features of ``code``."""
    every = functools.reduce(lambda one, name: one | getattr(__future__, name).compiler_flag, _FUTURES, 0)
    module = ast.parse("")
    module.body = list(definitions)
    compiled = compile(module, code.co_filename, "exec", code.co_flags & every, dont_inherit=True)
    return [item for item in compiled.co_consts if isinstance(item, types.CodeType)]


_FUTURES = [name for name in __future__.all_feature_names if name != "nested_scopes"]  # its flag says something else


def _named(code: types.CodeType, name: str) -> types.CodeType:
    for item in code.co_consts:
        if isinstance(item, types.CodeType) and item.co_name == name:
            return item
    raise MismatchError("no code of %s was made" % name)


def _made(function: types.FunctionType, code: types.CodeType, values: Dict[str, Any]) -> types.FunctionType:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    cells.update((name, _cell(value)) for name, value in values.items())
    closure = tuple(cells[name] for name in code.co_freevars)
    made = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    functools.update_wrapper(made, function)
    del made.__wrapped__  # type: ignore[attr-defined]
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _cell(value: Any) -> Any:
    closure = (lambda: value).__closure__
    assert closure is not None  # noqa: S101 - it reads a variable
    return closure[0]
